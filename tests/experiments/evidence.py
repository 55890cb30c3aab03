#!/usr/bin/env python3
"""Does a tuned reranker win on collections that it has never seen? Trains BASE on each BEIR folder below DIR and compares.

needs  nothing but Python 3.11
run    python evidence.py WHETSTONE BASE DIR OUT [--queries FOLDER] [--kinds built-in,given] [--sets a,b] [--seeds 1,2]
                          [--cap 150] [--pairs 8000] [--negatives 7] [--train FILE.toml] [--bi-encoder minilm-l6] [--device cuda]

Each folder below DIR has corpus.jsonl, queries.jsonl and qrels/test.tsv: questions of people, for the test alone. Training queries
are made by the built-in generator (`built-in`), or taken from FOLDER/SET.jsonl (`given`), a line {"_id": passage, "questions": [...]}
each. --train lays keys over those of evidence.toml, which stands beside this file; [given] and [built-in] hold for one kind. All orders are of the 30 best of the fused first
stages; `recommended` is what `eval` recommends from the other half of the questions. A base without a head needs keys of its own
in --train (late.toml, fresh-head.toml). What is complete is not done again. OUT/evidence.md has the table; OUT/SET/eval the report of each set.
"""
import argparse
import json
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
FIRST, BASE = "first stages", "base"
# What comes after a model's name for its orders: alone, ranks fused, scores joined, and what `eval` recommends.
WAYS = ALONE, RANKS, JOINED = "", " ranks", " joined"
ORDERS = {"model-alone": ALONE, "ranks": RANKS, "joined-scores": JOINED}
RECOMMENDED = " recommended"
MEASURE = "ndcg@10"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("whetstone", type=pathlib.Path)
    parser.add_argument("base")
    for name in ("dir", "out"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--queries", type=pathlib.Path)
    parser.add_argument("--train", type=pathlib.Path)
    parser.add_argument("--bi-encoder", default="minilm-l6")
    parser.add_argument("--device", default="cpu")
    for name, default in (("sets", ""), ("kinds", ""), ("seeds", "1")):
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("cap", 150), ("pairs", 8000), ("negatives", 7), ("passages", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


options = arguments()
program = str(options.whetstone.resolve())
base = str(pathlib.Path(options.base).resolve()) if pathlib.Path(options.base).exists() else options.base


def whetstone(*words):
    device = ["--device", options.device] if words[0] in ("mine", "pair", "synth", "train", "rerank") else []
    answer = subprocess.run([program, *map(str, words), *device], stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        sys.exit(f"whetstone {' '.join(map(str, words))} ended with {answer.returncode}")
    return json.loads(answer.stdout) if "--json" in words else answer.stdout


def lines(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def write(path, text):
    """Leaves a file alone that has these bytes, so that stages stay up to date."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


def toml(table):
    plain = [f"{key} = {json.dumps(item)}" for key, item in table.items() if not isinstance(item, dict)]
    return "\n".join(plain + [f"\n[{key}]\n{toml(item)}" for key, item in table.items() if isinstance(item, dict)]) + "\n"


def beir(folder, corpus, queries, judgements):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "corpus.jsonl").exists():
        shutil.copy(corpus, folder / "corpus.half")
        (folder / "corpus.half").rename(folder / "corpus.jsonl")
    write(folder / "queries.jsonl", "".join(json.dumps(query, ensure_ascii=False) + "\n" for query in queries))
    rows = "".join(f"{query}\t{passage}\t{grade}\n" for query, passage, grade in judgements)
    write(folder / "qrels/all.tsv", "query-id\tcorpus-id\tscore\n" + rows)


def test_set(source, folder):
    """Draws `cap` questions of people and has both first stages search for them."""
    graded = [row.split("\t") for row in (source / "qrels/test.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    relevant = {query for query, _, grade in graded if float(grade) > 0}
    queries = [{"_id": str(q["_id"]), "text": q["text"]} for q in lines(source / "queries.jsonl") if str(q["_id"]) in relevant]
    random.Random(7).shuffle(queries)
    queries = queries[: options.cap]
    drawn = {query["_id"] for query in queries}
    beir(folder, source / "corpus.jsonl", queries, [row for row in graded if row[0] in drawn])
    config = write(folder / "test.toml", toml({"model": options.bi_encoder, "pair": {"depth": 30}}))
    for stage in ("mine", "pair"):
        whetstone(stage, "--config", config, "--out", folder)


def training_set(source, folder, kind, test):
    config = {"model": options.bi_encoder, "mine": {"negatives": options.negatives},
              "pair": {"max-pairs": options.pairs, "max-dev-queries": 50, "teacher": "bi-encoder"}}
    config["split"] = {"dev-fraction": 0.1, "test-fraction": 0.0}
    vectors = folder / "mined/embeddings"
    if not vectors.exists():
        shutil.copytree(test / "mined/embeddings", folder / "vectors.half", dirs_exist_ok=True)
        vectors.parent.mkdir(parents=True, exist_ok=True)
        (folder / "vectors.half").rename(vectors)
    if kind == "built-in":
        config["ask"] = {"generator": "built-in", **({"max-passages": options.passages} if options.passages else {})}
        path = write(folder / "synth.toml", toml(config))
        whetstone("synth", "--config", path, "--corpus", source / "corpus.jsonl", "--out", folder)
    else:
        human = {plain(query["text"]) for query in lines(source / "queries.jsonl")}
        queries, judged, seen = [], [], set()
        for line in lines(options.queries / f"{source.name}.jsonl"):
            for text in line["questions"]:
                if plain(text) not in human | seen:
                    seen.add(plain(text))
                    queries.append({"_id": f"g{len(queries)}", "text": text, "metadata": {"generator": "llm"}})
                    judged.append((queries[-1]["_id"], line["_id"], 1))
        beir(folder, source / "corpus.jsonl", queries, judged)
        path = write(folder / "synth.toml", toml(config))
        for stage in ("mine", "pair"):
            whetstone(stage, "--config", path, "--out", folder)


def plain(text):
    return " ".join(re.findall(r"\w+", text.lower()))


def train(folder, seed):
    """Returns the model's folder, and what its training took."""
    kind, files = folder.name, [HERE / "evidence.toml", *filter(None, [options.train])]
    keys = {}
    for file in [tomllib.load(path.open("rb")) for path in files]:
        keys |= {key: item for key, item in file.items() if not isinstance(item, dict)} | file.get(kind, {})
    config = write(folder / f"train-{seed}.toml", toml(keys | {"model": base, "seed": int(seed)}))
    run, model, cost = folder / f"run-{seed}", folder / f"model-{seed}", folder / f"cost-{seed}.json"
    begun = time.time()
    whetstone("train", "--quiet", "--config", config, "--data", folder / "data", "--out", run)
    if not cost.exists():
        pairs = sum(1 for _ in (folder / "data/train.jsonl").open(encoding="utf-8"))
        write(cost, json.dumps({"pairs": pairs, "seconds": round(time.time() - begun)}))
    whetstone("export", "--checkpoint", run, "--out", model)
    return model, json.loads(cost.read_text())


def orders(name, model, test, runs):
    """The three orders with a model: alone, its ranks fused with both first stages', its scores joined with theirs."""
    alone, ranks, joined = (runs / f"{name}{way}.run" for way in WAYS)
    stages = [test / f"runs/{stage}.run" for stage in ("bm25", "dense")]
    whetstone("rerank", "--model", model, "--corpus", test / "corpus.jsonl", "--queries", test / "queries.jsonl",
              "--candidates", test / "candidates.run", "--out", alone)
    whetstone("fuse", *stages, alone, "--out", ranks)
    whetstone("fuse", "--way", "scores", *stages, "--logits", alone, "--out", joined)
    return [(f"{name}{way}", run) for way, run in zip(WAYS, (alone, ranks, joined))]


def measured(test, named, folder):
    whetstone("eval", "--qrels", test / "qrels/test.tsv", *(part for name, run in named for part in ("--run", f"{name}={run}")),
              "--baseline", FIRST, "--out", folder)
    return {line["query_id"]: {name: values[MEASURE] for name, values in line["runs"].items()} for line in lines(folder / "per_query.jsonl")}


def recommended(test, name, alone, folder, values):
    """Adds, query by query, the order that `eval` recommends from the other half of the queries."""
    rows = (test / "qrels/test.tsv").read_text(encoding="utf-8").splitlines()
    halves = [[query for place, query in enumerate(sorted(values)) if place % 2 == half] for half in (0, 1)]
    chosen = []
    for half, others in enumerate(reversed(halves)):
        seen = set(others)
        qrels = write(folder / f"half-{half}.tsv", "\n".join(rows[:1] + [row for row in rows[1:] if row.split("\t")[0] in seen]) + "\n")
        out = folder / f"{name}-{half}"
        whetstone("eval", "--data", test, "--qrels", qrels, "--run", f"{name}={alone}", "--out", out)
        order = json.loads((out / "measures.json").read_text(encoding="utf-8"))["recommendation"]["order"]
        chosen.append(order)
        for query in halves[half]:
            values[query][f"{name}{RECOMMENDED}"] = values[query][FIRST if order == "first-stages" else name + ORDERS[order]]
    return chosen


def one_set(source):
    """Returns each query's values by system, what each training took, and the verdict on each model and what was recommended."""
    folder = options.out / source.name
    test, runs = folder / "test", folder / "runs"
    test_set(source, test)
    models, costs = [BASE] if has_head() else [], {}
    named = [(FIRST, test / "candidates.run"), *(run for model in models for run in orders(model, base, test, runs))]
    for kind in kinds():
        if kind == "given" and not (options.queries / f"{source.name}.jsonl").exists():
            continue
        training_set(source, folder / kind / "data", kind, test)
        for seed in options.seeds.split(","):
            models.append(f"{kind}-{seed}")
            model, costs[models[-1]] = train(folder / kind, seed)
            named += orders(models[-1], model, test, runs)
    values = measured(test, named, folder / "eval")
    advice = {name: recommended(test, name, runs / f"{name}.run", folder / "advice", values) for name in models}
    compared = json.loads((folder / "eval/measures.json").read_text(encoding="utf-8"))["comparisons"]
    verdicts = {one["system"]: one["verdict"]["decision"] for one in compared}
    notes = {name: (verdicts[name + JOINED], ", ".join(advice[name])) for name in models}
    return values, costs, notes


def has_head():
    """Whether the base scores pairs; one without a head has no rows of its own."""
    folder = pathlib.Path(base)
    return not folder.is_dir() or bool(whetstone("models", folder, "--json")[0]["labels"])


def kinds():
    return options.kinds.split(",") if options.kinds else ["built-in"] + (["given"] if options.queries else [])


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def interval(differences, turns=2000):
    """The 95 % bootstrap interval of a mean over queries."""
    draw = random.Random(1)
    means = sorted(mean(draw.choices(differences, k=len(differences))) for _ in range(turns))
    return means[int(0.025 * turns)], means[int(0.975 * turns) - 1]


def averaged(results):
    """Joins the seeds of a kind: {set: {query: {system: value}}} with systems without their seed."""
    joined = {}
    for name, queries in results.items():
        for query, systems in queries.items():
            groups = {}
            for system, value in systems.items():
                groups.setdefault(re.sub(r"-\d+(?= |$)", "", system), []).append(value)
            joined.setdefault(name, {})[query] = {system: mean(values) for system, values in groups.items()}
    return joined


def row(system, over, results):
    sets = [name for name, queries in results.items() if all(system in systems for systems in queries.values())]
    changes = {name: mean(q[system] for q in results[name].values()) / mean(q[over] for q in results[name].values()) - 1 for name in sets}
    low, high = interval([q[system] - q[over] for name in sets for q in results[name].values()])
    worst = min(changes, key=changes.get)
    per_set = [f"{mean(q[system] for q in results[name].values()):.3f}" if name in sets else "–" for name in results]
    return (f"| {system} | {' | '.join(per_set)} | {mean(changes.values()):+.1%} | {worst} {changes[worst]:+.1%} "
            f"| {low:+.4f} to {high:+.4f} |")


def table(results, costs, notes):
    results = averaged(results)
    systems = list(dict.fromkeys(name for queries in results.values() for q in queries.values() for name in q))
    head = f"| {MEASURE} | {' | '.join(results)} | mean change | worst set | per query, 95 % interval |\n|{'---|' * (len(results) + 4)}\n"
    text = f"{options.cap} questions of people a set at most, seeds {options.seeds}, base {options.base}.\n\n"
    text += f"Over the fused first stages:\n\n{head}" + "\n".join(row(system, FIRST, results) for system in systems)
    tuned = [system for system in systems if not system.startswith((FIRST, BASE)) and not system.endswith(RECOMMENDED)]
    text += f"\n\nOver the base, in the same order of candidates:\n\n{head}" if has_head() else ""
    text += "\n".join(row(s, BASE + next(way for way in (RANKS, JOINED, ALONE) if s.endswith(way)), results) for s in tuned if has_head())
    text += "\n\n| training | pairs | seconds | verdict on joined scores | recommended by either half |\n|---|---|---|---|---|\n"
    for name, runs in costs.items():
        text += "".join(f"| {name} {run} | {cost['pairs']} | {cost['seconds']} | {' | '.join(notes[name][run])} |\n" for run, cost in runs.items())
    return text


wanted = options.sets.split(",") if options.sets else None
sources = [f for f in sorted(options.dir.iterdir()) if (f / "qrels/test.tsv").exists() and (not wanted or f.name in wanted)]
results, costs, notes = {}, {}, {}
for source in sources:
    results[source.name], costs[source.name], notes[source.name] = one_set(source)
    print(write(options.out / "evidence.md", table(results, costs, notes)).read_text(encoding="utf-8"), flush=True)
