"""May dev queries of people choose which first stages are joined with the model?
choosing_first_stages.py OUT TAG [TAG ...]

OUT is what recipe_grid.py wrote, a TAG a recipe of it with its seed (`llm.C/1`). Thirty times, it
draws dev queries from each set, lets each rule choose on them, and measures the choice on the other
queries. Prints the mean, the worst set and every set, relative to the reciprocal rank fusion of the
first stages there.
"""

import collections, math, sys
import numpy as np

OUT, TAGS = sys.argv[1], sys.argv[2:]
sys.argv = [sys.argv[0], OUT]
from fusion_ways import F, R, S, ev, rr, z

# Weights of BM25 and of the bi-encoder; the first is the default.
JOINS = [(0.5, 0.5), (0.0, 0.0), (0.25, 0.0), (0.0, 0.25), (0.0, 0.5)]


def low(gains, rng):
    resampled = gains[rng.integers(0, len(gains), (2000, len(gains)))].mean(1)
    return np.quantile(resampled, 0.025)


RULES = {
    "the default": lambda gains, rng: False,
    "best on dev": lambda gains, rng: True,
    "gain over one standard error": lambda gains, rng: gains.mean()
    > gains.std(ddof=1) / math.sqrt(len(gains)),
    "interval above 0": lambda gains, rng: low(gains, rng) > 0,
}


def chosen(values, dev, rule, rng):
    best, most = 0, 0.0
    for place in range(1, len(JOINS)):
        gains = values[place][dev] - values[0][dev]
        if gains.mean() > most and rule(gains, rng):
            best, most = place, gains.mean()
    return best


def joined(s, logits, weights):
    return ev(
        s,
        lambda i: np.array(logits[i]) / 4
        + sum(weight * z(F[s][i][stage]) for stage, weight in enumerate(weights)),
    )


for tag in TAGS:
    values = {s: [joined(s, R[tag][s], weights) for weights in JOINS] for s in S}
    for count in (40, 75, 100):
        rng = np.random.default_rng(0)
        found = {rule: collections.defaultdict(list) for rule in RULES}
        for _ in range(30):
            for s in S:
                order = rng.permutation(len(rr[s]))
                dev, test = order[:count], order[count:]
                for name, rule in RULES.items():
                    place = chosen(values[s], dev, rule, rng)
                    gain = values[s][place][test].mean() / rr[s][test].mean() - 1
                    found[name][s].append(gain)
        print(f"== {tag}, {count} dev queries")
        for name, of_set in found.items():
            means = [np.mean(of_set[s]) for s in S]
            sets = " ".join(f"{gain:+.1%}" for gain in means)
            print(f"  {name:28s} {np.mean(means):+.2%} worst {min(means):+.2%}  {sets}")
