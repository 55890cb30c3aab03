#!/usr/bin/env python3
"""Should questions of people choose the checkpoint and its mixture with the base? Prints what a choice on N dev questions brings.

needs  numpy; OUT is what recipe_grid.py wrote
run    python choosing_a_mixture.py OUT

A model is one of: the base, the tuned model mixed with 0.5 or 0.3 of the base, the tuned model, and that of two epochs. It is chosen by
nDCG@10 on N questions of a collection and measured on the others, over random splits. `alone` orders by the logit, `joined` by logit / 4 and
half of each first stage's z-score. All figures are changes of nDCG@10 over the fused first stages, the mean of the collections and the worst.
"""
import collections
import json
import math
import pathlib
import random
import sys

import numpy as np

SPLITS = 200
LINES = {
    "llm": ["base", "llm.C~0.5/1", "llm.C~0.3/1", "llm.C/1", "llm.C2/1"],
    "llm, high rate": ["base", "llm.lr8~0.5/1", "llm.lr8~0.3/1", "llm.lr8/1"],
    "built-in": ["base", "b.C~0.5/1", "b.C~0.3/1", "b.C/1"],
    "built-in, low rate": ["base", "b.lr2~0.5/1", "b.lr2~0.3/1", "b.lr2/1"],
}


def ndcg(order, grades):
    gains = [max(grades.get(str(passage), 0), 0) for passage in order[:10]]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:10]
    best = sum(gain / math.log2(at + 2) for at, gain in enumerate(ideal))
    return sum(gain / math.log2(at + 2) for at, gain in enumerate(gains)) / best if best else 0.0


def z_scores(scores):
    known = np.array([np.nan if score is None else score for score in scores], float)
    lowest = 0.0 if np.isnan(known).all() else np.nanmin(known)
    filled = np.where(np.isnan(known), lowest, known)
    spread = filled.std()
    return (filled - filled.mean()) / (spread if spread > 1e-9 else 1.0)


def measured(data, score):
    """nDCG@10 of every query, for a function from its number to the scores of its candidates."""
    orders = (np.argsort(-score(at), kind="stable") for at in range(len(data["queries"])))
    named = zip(orders, data["cand"], data["qrels"])
    return np.array([ndcg([passages[at] for at in order], grades) for order, passages, grades in named])


def ranks_fused(first):
    return np.array([1 / (60 + (found[2] or 1e9)) + 1 / (60 + (found[3] or 1e9)) for found in first])


def main():
    out = pathlib.Path(sys.argv[1])
    logits = collections.defaultdict(dict)
    for line in (out / "runs.jsonl").read_text().splitlines():
        run = json.loads(line)
        logits[run["tag"]][run["set"]] = [np.array(of_query, float) for of_query in run["z"]]
    sets = [json.loads((out / f"{name}.json").read_text()) for name in sorted(logits["base"])]
    firsts = [measured(data, lambda at, data=data: ranks_fused(data["first"][at])) for data in sets]
    for line, tags in LINES.items():
        for way in ("alone", "joined"):
            table = [measure_all(data, [logits[tag][data["name"]] for tag in tags], way) for data in sets]
            fixed = [[of_set[at].mean() / first.mean() - 1 for of_set, first in zip(table, firsts)] for at in range(len(tags))]
            print(f"\n{line}, {way}: " + ", ".join(f"{tag} {shown(changes)}" for tag, changes in zip(tags, fixed)))
            for count in (10, 25, 50, 75):
                for name, margin in (("best", 0.0), ("last unless worse by a standard error", 1.0)):
                    changes = [chosen(of_set, first, count, margin) for of_set, first in zip(table, firsts)]
                    print(f"  {count} questions, {name}: {shown(changes)}")


def measure_all(data, models, way):
    first = [sum(z_scores([found[at] for found in of_query]) for at in (0, 1)) / 2 for of_query in data["first"]]
    join = (lambda logit, at: logit) if way == "alone" else (lambda logit, at: logit / 4 + first[at])
    return np.array([measured(data, lambda at, model=model: join(model[at], at)) for model in models])


def chosen(of_models, first, count, margin):
    """The mean change where `count` questions choose. The tuned model is the fourth."""
    draw, changes = random.Random(1), []
    for _ in range(SPLITS):
        order = draw.sample(range(len(first)), len(first))
        dev, test = order[:count], order[count:]
        best = int(np.argmax(of_models[:, dev].mean(axis=1)))
        gain = of_models[best, dev] - of_models[3, dev]
        if margin and gain.mean() <= margin * gain.std(ddof=1) / math.sqrt(count):
            best = 3
        changes.append(of_models[best, test].mean() / first[test].mean() - 1)
    return float(np.mean(changes))


def shown(changes):
    return f"{100 * np.mean(changes):+.1f} ({100 * min(changes):+.1f})"


if __name__ == "__main__":
    main()
