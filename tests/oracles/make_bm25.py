#!/usr/bin/env python3
"""BM25 scores of ten tiny passages by a second implementation, for the candidates retriever.

needs  pip install bm25s numpy
run    python make_bm25.py     writes bm25.json in this folder

Passages and queries are given as tokens: nothing is stemmed or dropped. The script also computes the formula by hand
and stops if bm25s says something else.
"""
import json
import math
import pathlib

import bm25s

HERE = pathlib.Path(__file__).resolve().parent
K1, B = 1.2, 0.75
PASSAGES = [
    "the pump stops when the tank is empty",
    "a dry pump wears out its bearing",
    "replace the bearing of the pump",
    "the relief valve opens above four bar",
    "four bar is the limit of the tank",
    "clean the filter once a month",
    "a filter a filter a filter",
    "the warning light shows that the temperature of the motor has passed its limit and that the pump will stop",
    "battery",
    "the the the the",
]
QUERIES = ["pump", "bearing of the pump", "filter filter month", "relief valve unheard", "nothing matches"]


def by_hand(query, tokens):
    """Sum over the query's tokens, a repeated one counted each time, of idf * tf / (tf + k1 (1 - b + b len / mean len))."""
    mean = sum(map(len, tokens)) / len(tokens)
    scores = []
    for passage in tokens:
        score = 0.0
        for token in query:
            holding = sum(token in other for other in tokens)
            idf = math.log(1 + (len(tokens) - holding + 0.5) / (holding + 0.5))
            count = passage.count(token)
            score += idf * count / (count + K1 * (1 - B + B * len(passage) / mean)) if holding else 0.0
        scores.append(score)
    return scores


def main():
    tokens = [passage.split() for passage in PASSAGES]
    index = bm25s.BM25(k1=K1, b=B, method="lucene", dtype="float64")
    index.index(tokens, show_progress=False)
    rows = []
    for query in QUERIES:
        words = query.split()
        known = [word for word in words if word in index.vocab_dict]
        scores = [float(score) for score in index.get_scores(known)] if known else [0.0] * len(tokens)
        for ours, theirs in zip(by_hand(words, tokens), scores):
            assert abs(ours - theirs) < 1e-9, (query, ours, theirs)
        rows.append({"query": words, "scores": [float(f"{score:.9g}") for score in scores]})
    lines = lambda values: "[\n" + ",\n".join("  " + json.dumps(value) for value in values) + "\n ]"
    about = {
        "made_by": "make_bm25.py, bm25s method lucene", "k1": K1, "b": B, "idf": "ln(1 + (N - n + 0.5) / (n + 0.5))",
        "scores": "without the factor k1 + 1 of the classical formula, which changes no order",
        "factor_to_classical": K1 + 1, "repeated_query_token": "counted each time", "unknown_query_token": "nothing",
        "mean_length": sum(map(len, tokens)) / len(tokens),
    }
    (HERE / "bm25.json").write_text(
        f'{{\n "about": {json.dumps(about)},\n "passages": {lines(tokens)},\n "queries": {lines(rows)}\n}}\n', encoding="utf-8")
    print(f"{len(tokens)} passages, {len(rows)} queries, equal to the formula by hand")


if __name__ == "__main__":
    main()
