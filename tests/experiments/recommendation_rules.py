"""When is a search to be recommended without the model? recommendation_rules.py OUT

OUT is what evidence.py wrote. Two hundred times, one half of each collection's questions chooses an order by
each rule, and the other half measures the choice, over the fused first stages.
"""

import json, math, pathlib, random, statistics, sys

FIRST, JOINED = "first stages", " joined"
OUT = pathlib.Path(sys.argv[1])
SETS = {
    folder.name: [
        {name: values["ndcg@10"] for name, values in json.loads(line)["runs"].items()}
        for line in (folder / "eval/per_query.jsonl").open(encoding="utf-8")
    ]
    for folder in sorted(OUT.iterdir())
    if (folder / "eval/per_query.jsonl").exists()
}
# How many standard errors the order must lose to the first stages before these are recommended.
RULES = {"no gain": 0.0, "a standard error": 1.0, "1.96 standard errors": 1.96, "never": math.inf}


def mean(values):
    return sum(values) / len(values)


def gain(rows, one, other):
    """The mean difference of two systems, and its standard error."""
    differences = [row[one] - row[other] for row in rows]
    return mean(differences), statistics.stdev(differences) / math.sqrt(len(rows))


def chosen(rows, model, errors):
    best = model + JOINED
    for other in (model, model + " ranks"):
        more, error = gain(rows, other, model + JOINED)
        if more > 1.96 * error:
            best = other
    more, error = gain(rows, best, FIRST)
    is_loss = more <= 0 if errors == 0 else more < -errors * error
    return FIRST if is_loss else best


models = [name[: -len(JOINED)] for name in next(iter(SETS.values()))[0] if name.endswith(JOINED)]
for model in models:
    for rule, errors in RULES.items():
        draw, gains = random.Random(1), {}
        for name, rows in SETS.items():
            halves = []
            for _ in range(200):
                rows = rows[:]
                draw.shuffle(rows)
                middle = len(rows) // 2
                order = chosen(rows[:middle], model, errors)
                halves.append(mean([row[order] for row in rows[middle:]]) / mean([row[FIRST] for row in rows[middle:]]) - 1)
            gains[name] = mean(halves)
        each = " ".join(f"{value:+.1%}" for value in gains.values())
        print(f"{model:12s} {rule:22s} {mean(list(gains.values())):+.2%} worst {min(gains.values()):+.2%}  {each}")
