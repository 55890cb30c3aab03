"""Which recipe makes a general reranker better on a corpus? A grid of short trainings on one GPU.

recipe_grid.py BI_ENCODER BASE DATA OUT [--budget SECONDS] [--human QUERIES]

BASE is a BertForSequenceClassification with one label, BI_ENCODER a BertModel with the same
vocabulary. DATA/SET holds corpus.jsonl, queries.jsonl and test.tsv (BEIR), gen-llm.jsonl and
gen-built.jsonl (a line {"q": query, "p": passage id} for each generated query). In PyTorch, since
the question is the recipe and not the engine; what wins is confirmed with whetstone. OUT/SET.json
gets the candidates with the first stages' scores, OUT/runs.jsonl the logits of every model, from
which fusion_ways.py compares ways to fuse. Needs torch, transformers, bm25s, PyStemmer.
"""

import argparse, json, math, os, random, re, time, copy
import numpy as np, torch, torch.nn.functional as F

ap = argparse.ArgumentParser()
[ap.add_argument(x) for x in ("bi", "base", "data", "out")]
ap.add_argument("--budget", type=float, default=480)
ap.add_argument("--cpu-test", action="store_true")
ap.add_argument("--human", type=int, default=150)
ap.add_argument("--sets", default="")
ap.add_argument("--plan", default="1")
a = ap.parse_args()
T0 = time.time()
os.makedirs(a.out, exist_ok=True)
from transformers import AutoTokenizer, BertModel, BertForSequenceClassification

dev = "cuda" if torch.cuda.is_available() and not a.cpu_test else "cpu"
amp = lambda: torch.autocast(dev, dtype=torch.bfloat16)
tok = AutoTokenizer.from_pretrained(a.bi)
enc = (
    BertModel.from_pretrained(a.bi, dtype=torch.float32, attn_implementation="sdpa").to(dev).eval()
)
base = (
    BertForSequenceClassification.from_pretrained(
        a.base, num_labels=1, dtype=torch.float32, attn_implementation="sdpa"
    )
    .to(dev)
    .eval()
)


def ids_of(t, limit):
    return (
        [
            np.array(x, np.int32)
            for x in tok(
                t,
                add_special_tokens=False,
                truncation=True,
                max_length=limit,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]
        ]
        if t
        else []
    )


def embed(toks):
    out = np.zeros((len(toks), 384), np.float32)
    order = sorted(range(len(toks)), key=lambda i: -len(toks[i]))
    for s in range(0, len(order), 512):
        ix = order[s : s + 512]
        L = max(len(toks[i]) for i in ix) + 2
        x = np.zeros((len(ix), L), np.int64)
        m = np.zeros((len(ix), L), np.int64)
        for r, i in enumerate(ix):
            t = toks[i]
            x[r, : len(t) + 2] = [101, *t, 102]
            m[r, : len(t) + 2] = 1
        with torch.no_grad(), amp():
            h = enc(
                input_ids=torch.from_numpy(x).to(dev), attention_mask=torch.from_numpy(m).to(dev)
            ).last_hidden_state.float()
        mm = torch.from_numpy(m).to(dev)[..., None]
        out[ix] = F.normalize((h * mm).sum(1) / mm.sum(1), dim=1).cpu().numpy()
    return out


import bm25s, Stemmer

stem = Stemmer.Stemmer("english")
btok = lambda t: bm25s.tokenize(t, stopwords="en", stemmer=stem, show_progress=False)


def rrf(lists, k=60):
    f = {}
    for l in lists:
        for i, p in enumerate(l):
            f[p] = f.get(p, 0) + 1 / (k + i + 1)
    return sorted(f, key=lambda p: -f[p])


def ndcg1(r, rel, k=10):
    d = sum(max(rel.get(p, 0), 0) / math.log2(i + 2) for i, p in enumerate(r[:k]))
    ideal = sum(
        g / math.log2(i + 2)
        for i, g in enumerate(sorted([g for g in rel.values() if g > 0], reverse=True)[:k])
    )
    return d / ideal if ideal else 0


class S:
    pass


def search(s, texts, toks, k):
    k = min(k, len(s.ids))
    di, sc = s.bm.retrieve(btok(texts), k=k, show_progress=False)
    Q = embed(toks)
    v, i = (torch.from_numpy(Q).to(dev) @ torch.from_numpy(s.E).to(dev).T).topk(k, dim=1)
    return di.tolist(), sc.tolist(), i.cpu().tolist(), v.cpu().tolist(), Q


def load(name):
    s = S()
    s.name = name
    d = f"{a.data}/{name}"
    docs = [json.loads(l) for l in open(f"{d}/corpus.jsonl")]
    s.ids = [x["_id"] for x in docs]
    pos = {x: i for i, x in enumerate(s.ids)}
    s.texts = [((x.get("title") or "") + " " + x["text"]).strip() for x in docs]
    s.body = [x["text"] for x in docs]
    s.ptok = ids_of(s.texts, 300)
    s.E = embed(ids_of(s.texts, 254))
    s.bm = bm25s.BM25(k1=0.9, b=0.4)
    s.bm.index(btok(s.texts), show_progress=False)
    hq = {x["_id"]: x["text"] for x in map(json.loads, open(f"{d}/queries.jsonl"))}
    s.qrels = {}
    for l in list(open(f"{d}/test.tsv"))[1:]:
        q, p, g = l.rstrip("\n").split("\t")
        if q in hq and p in pos:
            s.qrels.setdefault(q, {})[pos[p]] = int(float(g))
    s.qrels = {q: r for q, r in s.qrels.items() if any(g > 0 for g in r.values())}
    keep = sorted(s.qrels)
    random.Random(7).shuffle(keep)
    keep = keep[: (3 if a.cpu_test else a.human)]
    s.hq = keep
    s.htok = ids_of([hq[q] for q in keep], 64)
    b, bs, de, ds, _ = search(s, [hq[q] for q in keep], s.htok, 100)
    s.cand = [rrf([b[i], de[i]])[:30] for i in range(len(keep))]
    s.first = []
    for i in range(len(keep)):
        B = dict(zip(b[i], bs[i]))
        D = dict(zip(de[i], ds[i]))
        s.first.append(
            [
                (
                    B.get(p),
                    D.get(p),
                    b[i].index(p) + 1 if p in B else None,
                    de[i].index(p) + 1 if p in D else None,
                )
                for p in s.cand[i]
            ]
        )
    s.gen = {}
    for g in ("llm", "built"):
        rows = [json.loads(l) for l in open(f"{d}/gen-{g}.jsonl")]
        rows = [r for r in rows if r["p"] in pos]
        if a.cpu_test:
            rows = rows[:12]
        G = S()
        G.q = [r["q"] for r in rows]
        G.p = [pos[r["p"]] for r in rows]
        G.tok = ids_of(G.q, 64)
        G.b, G.bs, G.d, G.ds, G.Q = search(s, G.q, G.tok, 60)
        s.gen[g] = G
    s.rr = float(np.mean([ndcg1(s.cand[i], s.qrels[q]) for i, q in enumerate(keep)]))
    json.dump(
        {
            "name": name,
            "queries": s.hq,
            "qrels": [{str(p): g for p, g in s.qrels[q].items()} for q in s.hq],
            "cand": s.cand,
            "first": s.first,
        },
        open(f"{a.out}/{name}.json", "w"),
    )
    return s


def batch(pairs, limit=256):
    L = 0
    rows = []
    for q, p in pairs:
        p = p[: max(limit - len(q) - 3, 1)]
        rows.append((q, p))
        L = max(L, len(q) + len(p) + 3)
    L = (L + 7) // 8 * 8
    x = np.zeros((len(rows), L), np.int64)
    t = np.zeros_like(x)
    m = np.zeros_like(x)
    for r, (q, p) in enumerate(rows):
        n = len(q) + 2
        e = n + len(p) + 1
        x[r, 0] = 101
        x[r, 1 : n - 1] = q
        x[r, n - 1] = 102
        x[r, n : e - 1] = p
        x[r, e - 1] = 102
        t[r, n:e] = 1
        m[r, :e] = 1
    c = lambda z: torch.from_numpy(z).to(dev, non_blocking=True)
    return dict(input_ids=c(x), token_type_ids=c(t), attention_mask=c(m))


def logits(model, pairs, bs=768):
    model.eval()
    order = sorted(range(len(pairs)), key=lambda j: -(len(pairs[j][0]) + len(pairs[j][1])))
    out = np.zeros(len(pairs), np.float32)
    for b in range(0, len(order), bs):
        ix = order[b : b + bs]
        with torch.no_grad(), amp():
            z = model(**batch([pairs[j] for j in ix])).logits[:, 0].float()
        out[ix] = z.cpu().numpy()
    return out


def measure(model, s, tag):
    flat = [(s.htok[i], s.ptok[p]) for i in range(len(s.hq)) for p in s.cand[i]]
    z = logits(model, flat)
    o = 0
    tot = 0
    rows = []
    for i, q in enumerate(s.hq):
        n = len(s.cand[i])
        zi = z[o : o + n]
        o += n
        rows.append([round(float(v), 4) for v in zi])
        tot += ndcg1([s.cand[i][j] for j in np.argsort(-zi, kind="stable")], s.qrels[q])
    with open(f"{a.out}/runs.jsonl", "a") as f:
        f.write(json.dumps({"set": s.name, "tag": tag, "z": rows}) + "\n")
    return tot / len(s.hq)


SENT = re.compile(r"(?<=[.!?;:])\s+")
W = lambda t: set(re.findall(r"\w+", t.lower()))


def masked(s, G, j, rng, ict, lex, title):
    p = G.p[j]
    u = rng.random()
    if u < ict:
        parts = SENT.split(s.texts[p])
        w = W(G.q[j])
        if len(parts) > 1:
            best = max(range(len(parts)), key=lambda i: len(w & W(parts[i])))
            return ids_of([" ".join(parts[:best] + parts[best + 1 :])], 300)[0]
    elif u < ict + lex:
        q = set(int(t) for t in G.tok[j])
        keep = [t for t in s.ptok[p] if int(t) not in q or rng.random() > 0.5]
        if len(keep) > 5:
            return np.array(keep, np.int32)
    elif u < ict + lex + title:
        return ids_of([s.body[p]], 300)[0]
    return s.ptok[p]


def groups(
    s, gen, rng, n_pairs, negs, hard="mix", ict=0, lex=0, title=0, maxq=None, rand=0.2, per=None
):
    G = s.gen[gen]
    order = list(range(len(G.q)))
    rng.shuffle(order)
    if maxq:
        order = order[:maxq]
    if per:
        seen = {}
        keep = []
        for j in order:
            seen[G.p[j]] = seen.get(G.p[j], 0) + 1
            if seen[G.p[j]] <= per:
                keep.append(j)
        order = keep
    out = []
    used = 0
    own = {}
    for j in range(len(G.q)):
        own.setdefault(G.q[j].lower(), set()).add(G.p[j])
    for j in order:
        p0 = G.p[j]
        b, d = G.b[j], G.d[j]
        bs = dict(zip(b, G.bs[j]))
        ds = dict(zip(d, G.ds[j]))
        pb = bs.get(p0, min(G.bs[j]))
        pd = float(s.E[p0] @ G.Q[j])
        bad = own[G.q[j].lower()]
        m = 0.95
        if hard == "top":
            pool = [p for p in rrf([b, d])[:30] if p not in bad]
            pick = pool if len(pool) <= negs else rng.sample(pool, negs)
        else:
            nh = int(negs * (1 - rand) / 2 + 0.5)
            A = [p for p in b if p not in bad and bs[p] < m * pb]
            D = [p for p in d if p not in bad and ds[p] < m * pd]
            pick = rng.sample(A, min(nh, len(A)))
            rest = [p for p in D if p not in pick]
            pick += rng.sample(rest, min(nh, len(rest)))
            while len(pick) < min(negs, len(s.ids) - 1):
                r = rng.randrange(len(s.ids))
                if r not in bad and r not in pick:
                    pick.append(r)
        ps = [p0] + pick
        cos = (s.E[ps] @ G.Q[j]).astype(np.float32)
        mb = max(G.bs[j]) or 1
        bmv = np.array([bs.get(p, min(G.bs[j])) / mb for p in ps], np.float32)
        toks = [s.ptok[p] for p in ps]
        if ict or lex or title:
            toks[0] = masked(s, G, j, rng, ict, lex, title)
        y = np.zeros(len(ps), np.float32)
        y[0] = 1
        out.append([G.tok[j], toks, y, cos, bmv, None, [s.ptok[p] for p in ps]])
        used += len(ps)
        if used >= n_pairs:
            break
    return out


def add_base(gs):
    z = logits(base, [(g[0], p) for g in gs for p in g[6]])
    o = 0
    for g in gs:
        n = len(g[6])
        g[5] = z[o : o + n]
        o += n
    return gs


def train(gs, loss, lr, teacher, epochs=1, gb=12, warm=0.1, seed=1, wd=0.01, mix=0.0):
    m = copy.deepcopy(base).train()
    rng = random.Random(seed)
    torch.manual_seed(seed)
    opt = torch.optim.AdamW(m.parameters(), lr=lr, weight_decay=wd, fused=dev == "cuda")
    steps = []
    for _ in range(epochs):
        o = list(range(len(gs)))
        rng.shuffle(o)
        steps += [o[i : i + gb] for i in range(0, len(o), gb)]
    for t, ix in enumerate(steps):
        f = min(
            (t + 1) / max(1, warm * len(steps)), (len(steps) - t) / max(1, (1 - warm) * len(steps))
        )
        for g in opt.param_groups:
            g["lr"] = lr * f
        G = [gs[i] for i in ix]
        with amp():
            z = m(**batch([(g[0], p) for g in G for p in g[1]])).logits[:, 0].float()
        n = max(len(g[1]) for g in G)
        Z = torch.full((len(G), n), -1e4, device=dev)
        T = torch.zeros((len(G), n))
        M = torch.zeros((len(G), n))
        idx = []
        o = 0
        for r, g in enumerate(G):
            k = len(g[1])
            idx += [r * n + c for c in range(k)]
            T[r, :k] = torch.from_numpy(np.asarray(teacher(g), np.float32))
            M[r, :k] = 1
            o += k
        Z = Z.view(-1).index_copy(0, torch.tensor(idx, device=dev), z).view(len(G), n)
        T = T.to(dev)
        M = M.to(dev)
        mm = (
            lambda: ((((Z[:, :1] - Z[:, 1:]) - (T[:, :1] - T[:, 1:])) ** 2) * M[:, 1:]).sum()
            / M[:, 1:].sum()
        )
        sm = lambda: -F.log_softmax(Z, 1)[:, 0].mean()
        kl = (
            lambda: -(F.softmax(T.masked_fill(M == 0, -1e4), 1) * F.log_softmax(Z, 1)).sum(1).mean()
        )
        l = (
            mm()
            if loss == "mmse"
            else sm() if loss == "softmax" else kl() if loss == "kl" else mm() + mix * sm()
        )
        l.backward()
        torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
    return m.eval()


cosT = lambda w: (lambda g: 10 * g[3] + w * g[2])
hyb = lambda w: (lambda g: 10 * g[3] + 5 * g[4] + w * g[2])
self_ = lambda w: (lambda g: g[5] + w * g[2])
selfcos = lambda w: (lambda g: 0.5 * g[5] + 5 * g[3] + w * g[2])


def R(gen, negs=7, loss="mmse", lr=4e-5, teacher=cosT(4), n=8000, epochs=1, mix=0.0, gb=12, **k):
    return dict(
        gen=gen,
        negs=negs,
        loss=loss,
        lr=lr,
        teacher=teacher,
        n=n,
        epochs=epochs,
        mix=mix,
        gb=gb,
        k=k,
    )


PLANS = {
    "1": {  # name: recipe
        "llm.C": R("llm"),
        "llm.C2": R("llm", epochs=2),
        "llm.neg15": R("llm", negs=15, n=16000),
        "llm.sm": R("llm", loss="softmax", lr=2e-5),
        "llm.mix": R("llm", loss="mix", mix=1.0),
        "llm.hyb": R("llm", teacher=hyb(4)),
        "llm.self": R("llm", teacher=self_(4)),
        "llm.selfcos": R("llm", teacher=selfcos(4)),
        "llm.ict3": R("llm", ict=0.3),
        "llm.mask": R("llm", ict=0.15, lex=0.15, title=0.3),
        "llm.lr2": R("llm", lr=2e-5),
        "llm.lr8": R("llm", lr=8e-5),
        "llm.top": R("llm", hard="top"),
        "llm.w2": R("llm", teacher=cosT(2)),
        "llm.q100": R("llm", maxq=100),
        "llm.q300": R("llm", maxq=300),
        "llm.per1": R("llm", per=1),
        "llm.selfkl": R("llm", loss="kl", teacher=self_(4)),
        "b.C": R("built"),
        "b.mask": R("built", ict=0.15, lex=0.15, title=0.3),
        "b.ict3": R("built", ict=0.3),
        "b.lex5": R("built", lex=0.5),
        "b.self": R("built", teacher=self_(4)),
        "b.selfmask": R("built", teacher=self_(3), ict=0.15, lex=0.15, title=0.3),
        "b.hyb": R("built", teacher=hyb(4)),
        "b.lr2": R("built", lr=2e-5),
        "b.sm": R("built", loss="softmax", lr=2e-5),
        "b.q300": R("built", maxq=300),
        "b.w2": R("built", teacher=cosT(2)),
        "b.ict6": R("built", ict=0.6),
        "both.C": None,
    }
}
names = [
    n
    for n in (
        a.sets.split(",")
        if a.sets
        else ["handbook", "se-beer", "clapnq-dev", "tatqa", "cosqa", "cranfield", "scifact"]
    )
]
sets = []
for n in names:
    t = time.time()
    s = load(n)
    s.base = measure(base, s, "base")
    sets.append(s)
    print(
        f"{n} {len(s.ids)} passages, llm {len(s.gen['llm'].q)} built {len(s.gen['built'].q)}, {len(s.hq)} human; rrf {s.rr:.4f} base {s.base:.4f} ({time.time()-t:.0f}s at {time.time()-T0:.0f}s)",
        flush=True,
    )
tab = {}
bsd = {k: v.clone() for k, v in base.state_dict().items()}


def run(code, r, s, seed):
    rng = random.Random(seed)
    if r is None:
        gs = groups(s, "llm", rng, 4000, 7) + groups(s, "built", rng, 4000, 7)
        r = R("llm")
    else:
        gs = groups(s, r["gen"], rng, 24 if a.cpu_test else r["n"], r["negs"], **r["k"])
    if "self" in code:
        add_base(gs)
    m = train(
        gs,
        r["loss"],
        r["lr"],
        r["teacher"],
        epochs=r["epochs"],
        seed=seed,
        mix=r["mix"],
        gb=r["gb"],
    )
    v = measure(m, s, f"{code}/{seed}")
    tab.setdefault(code, {}).setdefault(s.name, []).append(v)
    msg = f"{v:.4f}"
    for al in (0.3, 0.5):
        b = copy.deepcopy(m)
        b.load_state_dict(
            {
                k: (x * (1 - al) + bsd[k] * al if x.is_floating_point() else x)
                for k, x in m.state_dict().items()
            }
        )
        w = measure(b, s, f"{code}~{al}/{seed}")
        tab.setdefault(f"{code}~{al}", {}).setdefault(s.name, []).append(w)
        msg += f" ~{al} {w:.4f}"
    return msg


over = False
for seed in (1, 2):
    for code, r in PLANS[a.plan].items():
        for s in sets:
            if time.time() - T0 > a.budget:
                over = True
                break
            t = time.time()
            msg = run(code, r, s, seed)
            print(
                f"{code} {s.name} seed {seed}: {msg} (base {s.base:.4f}) {time.time()-t:.1f}s",
                flush=True,
            )
        if over:
            break
    if over:
        print("budget reached", flush=True)
        break
print("\nmean gain over base (relative), worst set")
for code, rw in tab.items():
    g = [np.mean(rw[s.name]) / s.base - 1 for s in sets if s.name in rw]
    if len(g) == len(sets):
        print(
            f"{code:14s} {np.mean(g):+.2%} worst {min(g):+.2%}  "
            + " ".join(f"{x:+.1%}" for x in g),
            flush=True,
        )
