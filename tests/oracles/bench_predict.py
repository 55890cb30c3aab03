"""Scoring side by side on a device: pairs per second of `whetstone rerank` and of sentence-transformers' CrossEncoder.predict.

needs: torch, transformers, sentence-transformers
usage: bench_predict.py WHETSTONE MODEL_DIR PAIRS.jsonl [--turns 3] [--pairs 9000] [--len 256] [--device cuda]

Both sides score the first --pairs pairs with a head that two steps of training gave the model, in turns, f32 and bf16. Whetstone's rate is
the one that the command prints, and the one of its whole process; sentence-transformers' is of predict alone. The first turn, in which
both compile and tune, is left out. Prints the medians, and the largest difference between the logits of the two sides in f32.
"""
import argparse, json, pathlib, re, statistics, subprocess, sys, tempfile, time

parser = argparse.ArgumentParser()
for name in ("whetstone", "model", "pairs"):
    parser.add_argument(name, type=pathlib.Path)
parser.add_argument("--turns", type=int, default=3)
parser.add_argument("--pairs-used", "--pairs", dest="used", type=int, default=9000)
parser.add_argument("--len", type=int, default=256)
parser.add_argument("--device", default="cuda", help="of both sides")
options = parser.parse_args()
work = pathlib.Path(tempfile.mkdtemp())
rows = [json.loads(line) for line in open(options.pairs)][: options.used]


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stderr


def model_with_a_head():
    (work / "data").mkdir()
    with open(work / "data/train.jsonl", "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows[:32])
    config = [f'model = "{options.model.resolve()}"', "epochs = 1", "batch-pairs = 16", f"max-seq-tokens = {options.len}", "warm-start-steps = 0"]
    (work / "train.toml").write_text("\n".join(config) + "\n")
    run(options.whetstone, "train", "--config", work / "train.toml", "--data", work / "data", "--out", work / "run")
    run(options.whetstone, "export", "--checkpoint", work / "run", "--out", work / "model")
    return work / "model"


def write_collection():
    """Every pair is a passage of its own, so that all are scored."""
    with open(work / "corpus.jsonl", "w") as corpus, open(work / "queries.jsonl", "w") as queries, open(work / "candidates.run", "w") as run:
        for at, row in enumerate(rows):
            print(json.dumps({"_id": f"p{at}", "title": "", "text": row["passage"]}), file=corpus)
            print(json.dumps({"_id": f"q{at}", "text": row["query"]}), file=queries)
            print(f"q{at} Q0 p{at} 1 1 first", file=run)


def ours(model, precision):
    out, started = work / f"{precision}.run", time.perf_counter()
    said = run(options.whetstone, "rerank", "--model", model, "--corpus", work / "corpus.jsonl", "--queries", work / "queries.jsonl", "--candidates",
               work / "candidates.run", "--out", out, "--device", options.device, "--precision", precision, "--force")
    whole = len(rows) / (time.perf_counter() - started)
    logits = {line.split()[0]: float(line.split()[4]) for line in open(out)}
    rate = re.search(r"\(([\d.,]+) pairs/s\)", said)
    return float(rate[1].replace(",", "")), whole, [logits[f"q{at}"] for at in range(len(rows))]


def theirs(model, precision):
    import torch
    from sentence_transformers import CrossEncoder

    torch.backends.cuda.matmul.allow_tf32 = True
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    peer = CrossEncoder(str(model), device=options.device, max_length=options.len, model_kwargs={"dtype": dtype}, activation_fn=torch.nn.Identity())
    texts = [(row["query"], row["passage"]) for row in rows]
    peer.predict(texts[:256], batch_size=128, show_progress_bar=False)
    started = time.perf_counter()
    logits = peer.predict(texts, batch_size=128, show_progress_bar=False)  # waits for the device
    return len(rows) / (time.perf_counter() - started), logits


model = model_with_a_head()
write_collection()
rates = {}
for turn in range(options.turns + 1):
    for precision in ("f32", "bf16"):
        own, whole, logits = ours(model, precision)
        peer, expected = theirs(model, precision)
        if turn:
            rates.setdefault(precision, []).append((own, whole, peer))
        if precision == "f32":
            off = max(abs(found - float(logit)) for found, logit in zip(logits, expected))
medians = {precision: [statistics.median(column) for column in zip(*turns)] for precision, turns in rates.items()}
best = max(peer for _, _, peer in medians.values())
print("pairs/s of     whetstone   with its process   sentence-transformers   whetstone by the peer's better precision")
for precision, (own, whole, peer) in medians.items():
    print(f"{precision:12} {own:11.0f} {whole:18.0f} {peer:23.0f} {own / best:17.2f}")
print(f"largest difference of a logit in f32: {off:.1e} of {len(rows)}")
