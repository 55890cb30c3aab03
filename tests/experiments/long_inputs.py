#!/usr/bin/env python3
"""Trains and scores with pairs that fill their length: seconds and the largest resident set of each process.

usage  long_inputs.py WHETSTONE OUT MODEL CASE…        only the standard library; MODEL is a folder, OUT is emptied

A case is `train:8x512` (two steps of eight pairs of 512 tokens, each with a checkpoint), `again:8x512` (the same with
gradient-checkpointing), `frozen:8x512` (the same with freeze-embeddings too) or `score:8x512` (one query and eight passages).
Prints a row of a Markdown table for each. The runs are deleted: a checkpoint of 568 M parameters has 7 GB.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

WORDS = """a valve that sticks open lets the pump run dry and wears out its bearing before you replace it drain the housing loosen
the bolts of the cover check seal for cracks""".split()


def passage(tokens, number):
    """At least so many tokens, and another text for each number."""
    return " ".join(WORDS[(i * (number + 3) + i // 7) % len(WORDS)] for i in range(tokens))


def limited(model, tokens, out):
    """The model as a folder whose pairs are cut at that length."""
    folder = out / "model"
    folder.mkdir(parents=True)
    for path in model.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    settings = folder / "tokenizer_config.json"
    text = json.loads(settings.read_text()) | {"model_max_length": tokens}
    settings.unlink()
    settings.write_text(json.dumps(text))
    return folder


def training(what, pairs, tokens, model, out):
    lines = [
        {"query": "how to oil a pump", "passage": passage(tokens, i), "label": float(i % 2), "query_id": f"q{i // 2}", "passage_id": f"p{i}"}
        for i in range(2 * pairs)
    ]
    (out / "data").mkdir(parents=True)
    (out / "data/train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    keys = {"model": str(model), "epochs": 1, "batch-pairs": pairs, "max-seq-tokens": tokens, "eval-every-steps": 1, "warm-start-steps": 0,
            "gradient-checkpointing": what != "train", "freeze-embeddings": what == "frozen"}
    (out / "train.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    return ["train", "--config", out / "train.toml", "--data", out / "data", "--out", out / "run"]


def scoring(pairs, tokens, model, out):
    model = limited(model, tokens, out)
    (out / "passages.txt").write_text("".join(passage(tokens, i) + "\n" for i in range(pairs)))
    return ["rerank", "--model", model, "--query", "how to oil a pump", out / "passages.txt"]


def measured(command):
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))}: {said}")
    return time.monotonic() - start, usage.ru_maxrss / 2**20


def main():
    whetstone, out, model, *cases = sys.argv[1:]
    out, model = pathlib.Path(out), pathlib.Path(model)
    for case in cases:
        what, pairs, tokens = re.fullmatch(r"(train|again|frozen|score):(\d+)x(\d+)", case).groups()
        shutil.rmtree(out, ignore_errors=True)
        size = (int(pairs), int(tokens), model, out)
        command = scoring(*size) if what == "score" else training(what, *size)
        seconds, gib = measured([whetstone, *command])
        print(f"| {model.name} | {what} | {pairs} × {tokens} | {gib:.2f} | {seconds:.0f} |", flush=True)
        shutil.rmtree(out)


main()
