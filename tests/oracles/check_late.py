#!/usr/bin/env python3
"""Has PyLate score the pairs of golden.json in an exported late interaction, and order them with the snippet of its card.

needs  pip install pylate   (1.6.0; CPU is enough)
run    python check_late.py MODEL        exit code 1 if a score differs by more than 1e-4
"""
import json
import pathlib
import re
import sys

import torch
from pylate import models, scores

folder = pathlib.Path(sys.argv[1])
model = models.ColBERT(str(folder), device="cpu").eval()
golden = json.loads((folder / "golden.json").read_text())["pairs"]


def score(pair):
    query, passage = (torch.from_numpy(model.encode(pair[kind], is_query=kind == "query")) for kind in ("query", "passage"))
    return scores.colbert_scores(query[None], passage[None]).item()


worst = max(abs(score(pair) - pair["logit"]) for pair in golden)
print(f"{len(golden)} pairs, largest difference {worst:.1e}")
snippet = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[1]
lines = snippet.replace("THIS_FOLDER", str(folder)).strip().splitlines()
names = {}
exec("\n".join(lines[:-1] + [f"answer = {lines[-1]}"]), names)
print("the card's snippet:", names["answer"])
sys.exit(worst > 1e-4 or len(names["answer"][0]) != 2)
