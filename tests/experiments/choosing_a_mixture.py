"""Should questions of people choose the checkpoint and its mixture with the base?
choosing_a_mixture.py OUT

OUT is what recipe_grid.py wrote. A model is one of: the base, the tuned model mixed with 0.5 or 0.3
of the base, the tuned model, and that of two epochs. It is chosen by nDCG@10 on some questions of a
collection and measured on the others, over random splits. `alone` orders by the logit, `joined` by
logit / 4 and half of each first stage's z-score. All figures are changes of nDCG@10 over the fused
first stages: the mean of the collections, and the worst.
"""

import math, random, sys
import numpy as np

sys.argv = sys.argv[:2]
from fusion_ways import R, S, ev, rr, weighed

SPLITS = 200
LINES = {
    "llm": ["base", "llm.C~0.5/1", "llm.C~0.3/1", "llm.C/1", "llm.C2/1"],
    "llm, high rate": ["base", "llm.lr8~0.5/1", "llm.lr8~0.3/1", "llm.lr8/1"],
    "built-in": ["base", "b.C~0.5/1", "b.C~0.3/1", "b.C/1"],
    "built-in, low rate": ["base", "b.lr2~0.5/1", "b.lr2~0.3/1", "b.lr2/1"],
}
# The place of the tuned model in each line.
TUNED = 3
# How many standard errors a model must be better than the tuned one.
RULES = {"best": None, "tuned unless worse by a standard error": 1.0}


def measured(s, logits, way):
    return ev(s, weighed(s, logits, 0.5, 0.5) if way == "joined" else lambda i: np.array(logits[i]))


def chosen(models, first, count, errors):
    """The mean change where `count` questions choose."""
    draw, changes = random.Random(1), []
    for _ in range(SPLITS):
        order = draw.sample(range(len(first)), len(first))
        dev, test = order[:count], order[count:]
        best = int(np.argmax(models[:, dev].mean(axis=1)))
        gain = models[best, dev] - models[TUNED, dev]
        if errors and gain.mean() <= errors * gain.std(ddof=1) / math.sqrt(count):
            best = TUNED
        changes.append(models[best, test].mean() / first[test].mean() - 1)
    return float(np.mean(changes))


def shown(changes):
    return f"{np.mean(changes):+.1%} ({min(changes):+.1%})"


for line, tags in LINES.items():
    for way in ("alone", "joined"):
        values = {s: np.array([measured(s, R[tag][s], way) for tag in tags]) for s in S}
        print(f"== {line}, {way}")
        for place, tag in enumerate(tags):
            print(f"  {tag}, always: {shown([values[s][place].mean() / rr[s].mean() - 1 for s in S])}")
        for count in (10, 25, 50):
            for name, errors in RULES.items():
                print(f"  {count} questions, {name}: {shown([chosen(values[s], rr[s], count, errors) for s in S])}")
