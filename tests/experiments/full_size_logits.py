#!/usr/bin/env python3
"""Are the logits of models of full size those of transformers? Prints the largest difference, and the range they lie in.

needs  torch, transformers          usage: full_size_logits.py WHETSTONE MODEL_DIR…        random_models.py makes such folders

Twenty pairs of 20 to 400 tokens, in f32 on both sides, batched here and one by one there.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

WORDS = "a valve that sticks open lets the pump run dry and wears out its bearing before you replace it".split()
QUERY = "how to oil a pump"
PASSAGES = [" ".join(WORDS[(i * (number + 3) + i // 7) % len(WORDS)] for i in range(10 + 10 * number)) for number in range(20)]


def ours(whetstone, model):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(passage + "\n" for passage in PASSAGES)
        file.flush()
        done = subprocess.run([whetstone, "rerank", "--model", model, "--query", QUERY, "--json", file.name], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    found = {line["index"]: line["score"] for line in json.loads(done.stdout)}
    return [found[index] for index in range(len(PASSAGES))]


def theirs(model):
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    limit = min(tokenizer.model_max_length, 512)
    with torch.no_grad():
        pairs = [tokenizer(QUERY, text, truncation="only_second", max_length=limit, return_tensors="pt") for text in PASSAGES]
        return [network(**pair).logits[0, 0].item() for pair in pairs], [pair["input_ids"].shape[1] for pair in pairs]


for model in map(pathlib.Path, sys.argv[2:]):
    (expected, lengths), found = theirs(model), ours(sys.argv[1], model)
    off = max(abs(a - b) for a, b in zip(found, expected))
    print(f"| {model.name} | {min(lengths)} to {max(lengths)} | {min(expected):.4f} to {max(expected):.4f} | {off:.1e} |", flush=True)
