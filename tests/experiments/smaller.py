#!/usr/bin/env python3
"""What do fewer layers and fewer words cost? Shrinks a tuned model in several ways and compares them.

needs  nothing but Python 3.11
run    python smaller.py WHETSTONE MODEL DATA TEST OUT [--layers 4,3,2] [--config FILE.toml]

MODEL was tuned on DATA, a data set whose train.jsonl and dev.jsonl the students learn from. TEST is a
BEIR folder with candidates.run and qrels/test.tsv, or DATA itself. For each number of layers there is
a student; the smallest vocabulary is that of TEST's corpus, for the model itself and for the second
student. What is complete is not done again. Prints a Markdown table: size, CPU seconds of 30
candidates as `rerank` spends them on TEST (start left out), nDCG@10, and its difference to MODEL.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("whetstone", "model", "data", "test", "out"):
    parser.add_argument(name, type=pathlib.Path)
parser.add_argument("--layers", default="4,3,2")
parser.add_argument("--config", type=pathlib.Path)
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)


def whetstone(*words):
    """Returns what a command prints, and the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    answer = subprocess.run([options.whetstone.resolve(), *map(str, words)], stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        sys.exit(f"whetstone {' '.join(map(str, words))} ended with {answer.returncode}")
    return answer.stdout, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def student(layers, *more, name=None):
    out = options.out / (name or f"L{layers}")
    config = ["--config", options.config] if options.config else []
    whetstone("shrink", "--model", options.model, "--layers", layers, "--data", options.data, *config,
              "--checkpoint", options.out / f"checkpoint-{layers}", "--out", out, *more)
    return out


def models():
    words = ["--vocabulary", options.test / "corpus.jsonl"]
    yield "tuned", options.model
    pruned = options.out / "tuned-vocabulary"
    whetstone("shrink", "--model", options.model, *words, "--out", pruned)
    yield "tuned, its corpus's words", pruned
    numbers = [int(number) for number in options.layers.split(",")]
    for place, layers in enumerate(numbers):
        yield f"{layers} layers", student(layers)
        if place == min(1, len(numbers) - 1):
            out = options.out / f"L{layers}-vocabulary"
            whetstone("shrink", "--model", options.out / f"L{layers}", *words, "--out", out)
            yield f"{layers} layers, its corpus's words", out


def seconds(name, model, run):
    """CPU seconds of 30 candidates; kept, as a run that is complete is not made again."""
    kept = options.out / "seconds.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    files = ["--corpus", options.test / "corpus.jsonl", "--queries", options.test / "queries.jsonl"]
    rerank = ["rerank", "--model", model, *files, "--candidates", options.test / "candidates.run", "--out", run]
    _, spent = whetstone(*rerank, "--quiet")
    if name not in known:
        pairs = len(run.read_text().splitlines())
        _, start = whetstone("rerank", "--model", model, "--query", "a", options.out / "one.txt")
        known[name] = (spent - start) * 30 / pairs
        kept.write_text(json.dumps(known))
    return known[name]


(options.out / "one.txt").write_text("a\n")
systems = [(name, model, options.out / "runs" / f"{model.name}.run") for name, model in models()]
costs = {name: seconds(name, model, run) for name, model, run in systems}
runs = [word for name, _, run in systems for word in ("--run", f"{name}={run}")]
answer, _ = whetstone("eval", "--qrels", options.test / "qrels/test.tsv", "--candidates", options.test / "candidates.run",
                      *runs, "--baseline", "tuned", "--out", options.out / "eval", "--json")
measures = json.loads(answer)
measures = measures.get("assessment", measures)
against = {row["system"]: row for row in measures["comparisons"] if row["measure"] == "ndcg@10"}
print("| model | MB | CPU s, 30 candidates | ratio | nDCG@10 | difference |\n|---|---|---|---|---|---|")
for name, model, _ in systems:
    size = (model / "model.safetensors").stat().st_size / 1e6
    cost, ndcg, row = costs[name], measures["runs"][name]["ndcg@10"], against.get(name)
    difference = "–"
    if row:
        difference = f"{row['difference']:+.4f} ({row['interval']['low']:+.4f} to {row['interval']['high']:+.4f})"
    print(f"| {name} | {size:.1f} | {cost:.2f} | {cost / costs['tuned']:.2f} | {ndcg:.4f} | {difference} |")
