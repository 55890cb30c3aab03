#!/usr/bin/env python3
"""How often are the first ten candidates in bf16 those in f32, and how few scored again in f32 would make it so?

needs  nothing but Python 3.11
run    python first_ten.py WHETSTONE MODEL OUT TEST…

Each TEST is a BEIR folder with candidates.run. MODEL reranks it in both precisions. Then all candidates whose bf16 score
is within a window of the cut after the tenth get their f32 score, as if they had been scored again. What is complete is
not done again. Prints a Markdown table.
"""
import argparse
import collections
import pathlib
import subprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("whetstone", "model", "out"):
    parser.add_argument(name, type=pathlib.Path)
parser.add_argument("test", type=pathlib.Path, nargs="+")
options = parser.parse_args()
WINDOWS = 0.01, 0.02, 0.04


def scores(test, precision):
    """The score of each candidate by query."""
    run = options.out / f"{test.resolve().parent.name}-{test.name}-{precision}.run"
    texts = ["--corpus", test / "corpus.jsonl", "--queries", test / "queries.jsonl"]
    command = [options.whetstone, "rerank", "--model", options.model, *texts, "--candidates", test / "candidates.run"]
    subprocess.run([*command, "--precision", precision, "--out", run, "--quiet"], check=True)
    found = collections.defaultdict(dict)
    for line in open(run):
        query, _, passage, _, score, _ = line.split()
        found[query][passage] = float(score)
    return found


def first_ten(found):
    return sorted(found, key=lambda passage: -found[passage])[:10]


def again(exact, rounded, window):
    """The scores after some were computed again, and how many those are."""
    ranked = sorted(rounded.values(), reverse=True)
    if len(ranked) <= 10:
        return rounded, 0
    cut = (ranked[9] + ranked[10]) / 2
    near = [passage for passage, score in rounded.items() if abs(score - cut) < window]
    if len(near) < 2:
        return rounded, 0
    return rounded | {passage: exact[passage] for passage in near}, len(near)


options.out.mkdir(parents=True, exist_ok=True)
queries = [
    (exact, rounded[query])
    for test in options.test
    for exact, rounded in [(scores(test, "f32"), scores(test, "bf16"))]
    for query, exact in exact.items()
]
share = lambda count: f"{count} of {len(queries)}"
largest = max(abs(exact[passage] - rounded[passage]) for exact, rounded in queries for passage in exact)
in_order = sum(first_ten(exact) == first_ten(rounded) for exact, rounded in queries)
print(f"largest difference of a score: {largest:.3f}; the same first ten in the same order: {share(in_order)}\n")
print("| scored again within | candidates a query | the same first ten |\n|---|---|---|")
for window in (0, *WINDOWS):
    settled = [(exact, *again(exact, rounded, window)) for exact, rounded in queries]
    same = sum(set(first_ten(exact)) == set(first_ten(found)) for exact, found, _ in settled)
    print(f"| {window} | {sum(count for *_, count in settled) / len(queries):.2f} | {share(same)} |")
