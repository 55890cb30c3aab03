#!/usr/bin/env python3
"""Makes goldens-late-gradients.json: the loss of a step of late interaction and its gradients, by PyLate's scores and PyTorch.

needs  pip install pylate   (1.6.0; CPU is enough)
run    python make_late_gradients.py        in this folder, after make_late_interaction.py, whose texts it takes

For each model, two queries with three passages each, the first of which is relevant: the cross-entropy of softmax(scores), mean over
the queries, and of the gradient of every parameter of the encoder the length and the first values, in float64.
"""
import json

import torch
import torch.nn.functional as F
from pylate import models, scores

from make_late_interaction import PASSAGES, QUERIES
from make_tiny_model import HERE

SHOWN = 4
GROUPS = [(QUERIES[1], [PASSAGES[1], PASSAGES[0], PASSAGES[3]]), (QUERIES[3], [PASSAGES[1], PASSAGES[3], PASSAGES[0]])]


def vectors(model, text, is_query):
    """The vectors of a text's tokens and whether each counts."""
    features = model.tokenize([text], is_query=is_query)
    out = model(features)
    counts = out["attention_mask"].bool()
    if is_query and model.do_query_expansion:
        counts = torch.ones_like(counts)
    if not is_query:
        counts = counts & model.skiplist_mask(features["input_ids"], model.skiplist)
    return F.normalize(out["token_embeddings"], dim=-1)[counts][None]


def learnt(name, **changes):
    model = models.ColBERT(str(HERE / name), device="cpu", **changes).double().eval()
    losses = []
    for query, passages in GROUPS:
        asked = vectors(model, query, True)
        found = [scores.colbert_scores(asked, vectors(model, passage, False))[0, 0] for passage in passages]
        losses.append(F.cross_entropy(torch.stack(found)[None], torch.tensor([0])))
    loss = torch.stack(losses).mean()
    loss.backward()
    encoder = dict(model[0].auto_model.named_parameters())
    gradients = {
        key: {"l2": round(float(p.grad.norm()), 9), "head": [round(v, 9) for v in p.grad.flatten()[:SHOWN].tolist()]}
        for key, p in encoder.items() if p.grad is not None}
    return {"model": name, "changes": changes, "loss": round(loss.item(), 9), "gradients": gradients}


def main():
    cases = [learnt("tiny-colbert"), learnt("tiny-pylate"), learnt("tiny-pylate", do_query_expansion=False)]
    goldens = {"groups": [{"query": query, "passages": passages} for query, passages in GROUPS], "cases": cases}
    (HERE / "goldens-late-gradients.json").write_text(json.dumps(goldens, ensure_ascii=False) + "\n", encoding="utf-8")
    for case in cases:
        print(case["model"], case["changes"], case["loss"], len(case["gradients"]))


if __name__ == "__main__":
    main()
