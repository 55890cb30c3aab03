#!/usr/bin/env python3
"""Has PyLate score the pairs of golden.json in an exported late interaction, and order them with the snippet of its card.
Each ONNX file of the folder gives vectors for the tokens that PyLate makes, which PyLate compares.

needs  pip install pylate onnxruntime   (1.6.0 and 1.32.0; CPU is enough)
run    python check_late.py MODEL        exit code 1 if a score differs by more than 1e-4 (f16 0.05, int8 1)
"""
import json
import pathlib
import re
import sys

import onnxruntime
import torch
from pylate import models, scores

FILES = {"model": 1e-4, "model_fp16": 5e-2, "model_quantized": 1.0}  # as `whetstone verify` has them

folder = pathlib.Path(sys.argv[1])
model = models.ColBERT(str(folder), device="cpu").eval()
golden = json.loads((folder / "golden.json").read_text())["pairs"]


def own(text, is_query):
    return torch.from_numpy(model.encode(text, is_query=is_query))


def of_session(session):
    """The vectors that a text has by an ONNX file."""
    names = {known.name for known in session.get_inputs()}

    def vectors(text, is_query):
        tokens = model.tokenize([text], is_query=is_query)
        inputs = {name: values.numpy().astype("int64") for name, values in tokens.items() if name in names}
        inputs |= {name: 0 * inputs["input_ids"] for name in names - inputs.keys()}
        found = torch.from_numpy(session.run(["token_embeddings"], inputs)[0][0])
        if is_query:
            return found
        kept = tokens["attention_mask"][0].bool() & ~torch.isin(tokens["input_ids"][0], torch.tensor(list(model.skiplist)))
        return found[kept]

    return vectors


def worst(vectors):
    def score(pair):
        query, passage = (vectors(pair[kind], kind == "query") for kind in ("query", "passage"))
        return scores.colbert_scores(query[None], passage[None]).item()

    return max(abs(score(pair) - pair["logit"]) for pair in golden)


sources = [("PyLate", own, 1e-4)]
for file, allowed in FILES.items():
    if (path := folder / "onnx" / f"{file}.onnx").is_file():
        sources.append((f"ONNX Runtime, {file}.onnx", of_session(onnxruntime.InferenceSession(str(path))), allowed))
failed = False
for name, vectors, allowed in sources:
    difference = worst(vectors)
    failed |= not difference <= allowed
    print(f"{name}: {len(golden)} pairs, largest difference {difference:.1e}")
snippet = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[1]
lines = snippet.replace("THIS_FOLDER", str(folder)).strip().splitlines()
names = {}
exec("\n".join(lines[:-1] + [f"answer = {lines[-1]}"]), names)
print("the card's snippet:", names["answer"])
sys.exit(failed or len(names["answer"][0]) != 2)
