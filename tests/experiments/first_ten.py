#!/usr/bin/env python3
"""How often are the first ten candidates in bf16 those in f32?

needs  nothing but Python 3.11, a CPU with AVX-512 BF16
run    python first_ten.py WHETSTONE MODEL OUT TEST…

Each TEST is a BEIR folder with candidates.run. MODEL reranks it in both precisions. What is complete is not done again.
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


options.out.mkdir(parents=True, exist_ok=True)
queries = [
    (exact, rounded[query])
    for test in options.test
    for exact, rounded in [(scores(test, "f32"), scores(test, "bf16"))]
    for query, exact in exact.items()
]
share = lambda count: f"{count} of {len(queries)} queries ({count / len(queries):.1%})"
print("largest difference of a score", f"{max(abs(exact[passage] - rounded[passage]) for exact, rounded in queries for passage in exact):.3f}")
print("the same first ten", share(sum(set(first_ten(exact)) == set(first_ten(rounded)) for exact, rounded in queries)))
print("in the same order", share(sum(first_ten(exact) == first_ten(rounded) for exact, rounded in queries)))
