#!/usr/bin/env python3
"""The speed of reading and measuring a large run, here and in ranx, on the same bytes.

needs  pip install ranx
run    python bench_eval.py [WORK_DIR]     from the repository's root; runs `cargo bench` and then ranx

ranx gets a small run first, so that its compilation is not counted. Both tell the best of five. The means of both must
agree, or the comparison is worth nothing. Exit code 1 where they don't, where all measures take 2 s or more here, or where
ranx is less than three times as slow.
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import ranx

PAIRS = {  # ours: ranx's
    "ndcg@10": "ndcg@10",
    "ndcg-exp@10": "ndcg_burges@10",
    "mrr@10": "mrr@10",
    "p@1": "precision@1",
    "recall@10": "recall@10",
    "hit@10": "hit_rate@10",
    "map": "map",
}
TOLERANCE = 1e-6
WANTED_S, WANTED_RATIO = 2.0, 3.0


def ours(folder):
    command = ["cargo", "bench", "--quiet", "--workspace", "--bench", "speed", "--", "--keep", str(folder)]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(text, end="")
    seconds = {name.strip(): float(value) / 1000 for name, value in re.findall(r"^(.*?)\s+([\d.]+) ms$", text, re.M)}
    means = {name: float(value) for name, value in re.findall(r"^mean (\S+) ([\d.]+)$", text, re.M)}
    whole = next(value for name, value in seconds.items() if name.startswith("read and measure"))
    measuring = next(value for name, value in seconds.items() if name == "of which measuring")
    return whole, measuring, means


def best_of_five(work):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def theirs(folder):
    metrics = list(PAIRS.values())
    small = ranx.Qrels({"q": {"a": 1, "b": 2}}), ranx.Run({"q": {"a": 0.5, "b": 0.1}})
    for _ in range(2):
        ranx.evaluate(*small, metrics)

    def read():
        return ranx.Qrels.from_file(str(folder / "speed.qrels"), kind="trec"), ranx.Run.from_file(str(folder / "speed.run"), kind="trec")

    # A first run on the real files compiles what the small one did not reach.
    qrels, run = read()
    ranx.evaluate(qrels, run, metrics, make_comparable=True)
    whole, means = best_of_five(lambda: ranx.evaluate(*read(), metrics, make_comparable=True))
    measuring, _ = best_of_five(lambda: ranx.evaluate(qrels, run, metrics, make_comparable=True))
    return whole, measuring, means


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        folder.mkdir(parents=True, exist_ok=True)
        whole, measuring, means = ours(folder)
        ranx_whole, ranx_measuring, ranx_means = theirs(folder)
    apart = max(abs(means[name] - ranx_means[theirs]) for name, theirs in PAIRS.items())
    print(f"\n{'':<24}{'whetstone':>12}{'ranx ' + ranx.__version__ if hasattr(ranx, '__version__') else 'ranx':>12}{'ratio':>8}")
    for name, a, b in [("read and measure", whole, ranx_whole), ("of which measuring", measuring, ranx_measuring)]:
        print(f"{name:<24}{a:>10.3f} s{b:>10.3f} s{b / a:>8.1f}")
    print(f"largest difference of a mean: {apart:.1e}")
    kept = whole < WANTED_S and ranx_whole >= WANTED_RATIO * whole and apart < TOLERANCE
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
