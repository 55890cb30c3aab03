#!/usr/bin/env python3
"""Does a tuned reranker win on collections that it has never seen? Trains BASE on each BEIR folder below DIR and compares.

needs  nothing but Python 3.11
run    python evidence.py WHETSTONE BASE DIR OUT [--queries FOLDER] [--kinds built-in,given] [--sets a,b] [--seeds 1,2]
                          [--cap 150] [--pairs 8000] [--negatives 7] [--train FILE.toml] [--bi-encoder minilm-l6]

Each folder below DIR has corpus.jsonl, queries.jsonl and qrels/test.tsv: questions of people, for the test alone. Training queries
are made by the built-in generator (`built-in`), or taken from FOLDER/SET.jsonl (`given`), a line {"_id": passage, "questions": [...]}
each. --train lays keys over configs/evidence.toml's. All orders are of the 30 best of the fused first stages. What is complete is
not done again. OUT/evidence.md has the table; OUT/SET/eval the report of each set.
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
    for name, default in (("sets", ""), ("kinds", ""), ("seeds", "1")):
        parser.add_argument(f"--{name}", default=default)
    for name, default in (("cap", 150), ("pairs", 8000), ("negatives", 7), ("passages", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


options = arguments()
program = str(options.whetstone.resolve())
base = str(pathlib.Path(options.base).resolve()) if pathlib.Path(options.base).exists() else options.base


def whetstone(*words):
    answer = subprocess.run([program, *map(str, words)], stdout=subprocess.PIPE, text=True)
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
    keys = tomllib.load((HERE / "evidence.toml").open("rb"))
    keys |= tomllib.load(options.train.open("rb")) if options.train else {}
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
    """The model's order alone, and joined with the scores of both first stages."""
    alone, joined = runs / f"{name}.run", runs / f"{name}+.run"
    whetstone("rerank", "--model", model, "--corpus", test / "corpus.jsonl", "--queries", test / "queries.jsonl",
              "--candidates", test / "candidates.run", "--out", alone)
    whetstone("fuse", "--way", "scores", *(test / f"runs/{stage}.run" for stage in ("bm25", "dense")), alone, "--out", joined)
    return [(name, alone), (f"{name}+", joined)]


def measured(test, named, folder):
    whetstone("eval", "--qrels", test / "qrels/test.tsv", *(part for name, run in named for part in ("--run", f"{name}={run}")),
              "--baseline", FIRST, "--out", folder)
    return {line["query_id"]: {name: values[MEASURE] for name, values in line["runs"].items()} for line in lines(folder / "per_query.jsonl")}


def one_set(source):
    folder = options.out / source.name
    test = folder / "test"
    test_set(source, test)
    named = [(FIRST, test / "candidates.run"), *orders(BASE, base, test, folder / "runs")]
    costs = {}
    for kind in kinds():
        if kind == "given" and not (options.queries / f"{source.name}.jsonl").exists():
            continue
        training_set(source, folder / kind / "data", kind, test)
        for seed in options.seeds.split(","):
            model, costs[f"{kind}-{seed}"] = train(folder / kind, seed)
            named += orders(f"{kind}-{seed}", model, test, folder / "runs")
    return measured(test, named, folder / "eval"), costs


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
                groups.setdefault(re.sub(r"-\d+(?=\+?$)", "", system), []).append(value)
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


def table(results, costs):
    results = averaged(results)
    systems = list(dict.fromkeys(name for queries in results.values() for q in queries.values() for name in q))
    head = f"| {MEASURE} | {' | '.join(results)} | mean change | worst set | per query, 95 % interval |\n|{'---|' * (len(results) + 4)}\n"
    plus, alone = [s for s in systems if s.endswith("+")], [s for s in systems if not s.endswith("+")]
    text = f"{options.cap} questions of people a set at most, seeds {options.seeds}, base {options.base}.\n\n"
    text += f"Over {FIRST} (`+`: joined with their scores):\n\n{head}" + "\n".join(row(s, FIRST, results) for s in alone + plus)
    tuned = [s for s in systems if s not in (FIRST, BASE, f"{BASE}+")]
    text += f"\n\nOver the base, in the same way:\n\n{head}"
    text += "\n".join(row(s, f"{BASE}+" if s.endswith("+") else BASE, results) for s in tuned)
    text += "\n\n| training | pairs | seconds |\n|---|---|---|\n"
    text += "\n".join(f"| {name} {run} | {cost['pairs']} | {cost['seconds']} |" for name, runs in costs.items() for run, cost in runs.items())
    return text + "\n"


wanted = options.sets.split(",") if options.sets else None
sources = [f for f in sorted(options.dir.iterdir()) if (f / "qrels/test.tsv").exists() and (not wanted or f.name in wanted)]
results, costs = {}, {}
for source in sources:
    results[source.name], costs[source.name] = one_set(source)
    print(write(options.out / "evidence.md", table(results, costs)).read_text(), flush=True)
