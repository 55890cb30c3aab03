"""Which way to fuse a reranker with the first stages? fusion_ways.py OUT TAG [TAG ...]

OUT is what recipe_grid.py wrote, a TAG a recipe of it with its seed (`llm.C/1`). Prints, for each
way, the mean and the worst relative change of nDCG@10 over the reciprocal rank fusion of the first
stages, and that of each set.
"""

import json, numpy as np, math, sys, collections

OUT = sys.argv[1]
S = {}
for n in ["handbook", "se-beer", "clapnq-dev", "tatqa", "cosqa", "cranfield", "scifact"]:
    S[n] = json.load(open(f"{OUT}/{n}.json"))
R = collections.defaultdict(dict)
for l in open(f"{OUT}/runs.jsonl"):
    x = json.loads(l)
    R[x["tag"]][x["set"]] = x["z"]


def nd(order, rel):
    d = sum(max(rel.get(str(p), 0), 0) / math.log2(i + 2) for i, p in enumerate(order[:10]))
    ideal = sum(
        g / math.log2(i + 2)
        for i, g in enumerate(sorted([g for g in rel.values() if g > 0], reverse=True)[:10])
    )
    return d / ideal if ideal else 0


def z(v):
    v = np.asarray(v, float)
    s = v.std()
    return (v - v.mean()) / (s if s > 1e-9 else 1)


def feats(s, i):
    f = S[s]["first"][i]
    n = len(f)
    b = np.array([x[0] if x[0] is not None else np.nan for x in f], float)
    d = np.array([x[1] if x[1] is not None else np.nan for x in f], float)
    b = np.where(np.isnan(b), np.nanmin(b) if not np.all(np.isnan(b)) else 0, b)
    d = np.where(np.isnan(d), np.nanmin(d) if not np.all(np.isnan(d)) else 0, d)
    rb = np.array([x[2] or 1e9 for x in f])
    rd = np.array([x[3] or 1e9 for x in f])
    rr = 1 / (60 + rb) + 1 / (60 + rd)
    return b, d, rb, rd, rr


F = {s: [feats(s, i) for i in range(len(S[s]["queries"]))] for s in S}


def ev(s, fn):
    X = S[s]
    return np.array(
        [
            nd([X["cand"][i][j] for j in np.argsort(-fn(i), kind="stable")], X["qrels"][i])
            for i in range(len(X["queries"]))
        ]
    )


rr = {s: ev(s, lambda i: F[s][i][4]) for s in S}


def rank(v):
    r = np.empty(len(v))
    r[np.argsort(-v, kind="stable")] = np.arange(1, len(v) + 1)
    return r


def weighed(s, Z, b, d):
    """A logit over 4, with these weights of the z-scored first stages."""
    return lambda i: np.array(Z[i]) / 4 + b * z(F[s][i][0]) + d * z(F[s][i][1])


# The weights of BM25 and of the bi-encoder: each alone, and both.
WEIGHTS = [pair for w in (0.25, 0.5, 1.0) for pair in ((w, 0), (0, w), (w, w))]


def ways(s, Z):
    return {f"raw+{b}b+{d}d": weighed(s, Z, b, d) for b, d in WEIGHTS} | {
        "alone": lambda i: np.array(Z[i]),
        "rrf3": lambda i: F[s][i][4] + 1 / (60 + rank(np.array(Z[i]))),
        "z+.25rr": lambda i: z(Z[i]) + 0.25 * z(F[s][i][4]),
        "z+.5rr": lambda i: z(Z[i]) + 0.5 * z(F[s][i][4]),
        "z+1rr": lambda i: z(Z[i]) + 1.0 * z(F[s][i][4]),
        "z+.25(b+d)": lambda i: z(Z[i]) + 0.25 * (z(F[s][i][0]) + z(F[s][i][1])),
        "z+.5(b+d)": lambda i: z(Z[i]) + 0.5 * (z(F[s][i][0]) + z(F[s][i][1])),
        "raw+.5(b+d)": lambda i: np.array(Z[i]) / 4 + 0.5 * (z(F[s][i][0]) + z(F[s][i][1])),
        "raw2+.25(b+d)": lambda i: np.array(Z[i]) / 3 + 0.25 * (z(F[s][i][0]) + z(F[s][i][1])),
        "z+.15(b+d)": lambda i: z(Z[i]) + 0.15 * (z(F[s][i][0]) + z(F[s][i][1])),
        "z+.5d": lambda i: z(Z[i]) + 0.5 * z(F[s][i][1]),
        "z+.3b+.5d": lambda i: z(Z[i]) + 0.3 * z(F[s][i][0]) + 0.5 * z(F[s][i][1]),
    }


tags = ["base"] + [t for t in sys.argv[2:]]
print("rrf first:", {s: round(float(v.mean()), 4) for s, v in rr.items()})
for t in tags:
    if len(R[t]) < 7:
        continue
    print("==", t)
    for w in ways("handbook", R[t]["handbook"]):
        m = {s: ev(s, ways(s, R[t][s])[w]).mean() for s in S}
        g = [m[s] / rr[s].mean() - 1 for s in S]
        print(
            f"  {w:14s} over rrf {np.mean(g):+.2%} worst {min(g):+.2%}  "
            + " ".join(f"{x:+.1%}" for x in g)
        )
