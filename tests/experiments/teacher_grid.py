#!/usr/bin/env python3
"""Which scores should a base with a head learn from, and do an LLM's grades pay? Trains on what `just evidence` has laid out.

needs  nothing but Python 3.11
run    python teacher_grid.py WHETSTONE BASE EVIDENCE OUT [--device cuda] [--sets a,b] [--grades FOLDER] [--late LATE] [--seeds 1]

EVIDENCE is the OUT of a finished evidence.py from the same BASE, with `built-in` and `given` queries. FOLDER/SET.jsonl holds an LLM's
grades of training pairs of `given`, a line {"query_id", "passage_id", "grade": 0 to 3} each; all its queries are graded whole. LATE is
a folder of late interaction without masks (late_of_encoder.py), which then teaches too.
Trains one model a set and recipe for an epoch, reranks the test questions, and prints nDCG@10 over the base's, alone and with joined
scores. OUT/SET/values.json has it query by query.
"""
import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("whetstone", "base", "evidence", "out"):
    parser.add_argument(name, type=pathlib.Path)
for name, default in (("device", "cpu"), ("sets", ""), ("seeds", "1")):
    parser.add_argument(f"--{name}", default=default)
parser.add_argument("--grades", type=pathlib.Path)
parser.add_argument("--late", type=pathlib.Path)
options = parser.parse_args()
RATE = {"given": 8e-5, "built-in": 2e-5}
# The teacher's score of a pair. `bi` is the bi-encoder's, as `pair` scales it; `both` half of each first stage's z-score; `base` the logit
# of the base. `late` is 10 times the mean over the query's tokens of the greatest cosine. Each is raised by 4 for a label of 1.
TEACHERS = {
    "bi-encoder": lambda pair: pair["bi"] + 4 * pair["label"],
    "base": lambda pair: pair["base"] + 4 * pair["label"],
    "bi-encoder and base": lambda pair: 0.5 * pair["bi"] + 0.5 * pair["base"] + 4 * pair["label"],
    "first stages and base": lambda pair: pair["base"] + 2 * pair["both"] + 4 * pair["label"],
    "first stages twice and base": lambda pair: pair["base"] + 4 * pair["both"] + 4 * pair["label"],
    "the same without labels": lambda pair: pair["base"] + 4 * pair["both"],
}
if options.late:
    TEACHERS["late interaction"] = lambda pair: pair["late"] + 4 * pair["label"]


def whetstone(command, *words):
    device = ["--device", options.device] if command in ("train", "rerank", "pair") else []
    done = subprocess.run([options.whetstone, command, *map(str, words), *device], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)


def read(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def pairs_of(source, kind, out):
    """The training pairs with the scores of every teacher."""
    pairs = read(source / kind / "data/train.jsonl")
    copy = out / f"{kind}-both"
    if not copy.exists():
        shutil.copytree(source / kind / "data", copy)
    config = (copy / "synth.toml").read_text(encoding="utf-8")
    both = 'teacher = "both"\nteacher-scale = 1.0\nteacher-label-weight = 0.0'
    (copy / "synth.toml").write_text(config.replace('teacher = "bi-encoder"', both), encoding="utf-8")
    whetstone("pair", "--config", copy / "synth.toml", "--out", copy)
    logits = scores_by(options.base, pairs, out / f"{kind}-logits")
    for pair, other, logit in zip(pairs, read(copy / "train.jsonl"), logits):
        assert (pair["query_id"], pair["passage_id"]) == (other["query_id"], other["passage_id"])
        pair |= {"bi": pair["teacher"] - 4 * pair["label"], "both": other["teacher"], "base": logit}
    if options.late:
        # A query finds each of its own tokens, so its score with itself is their number.
        own = [pair | {"title": "", "passage": pair["query"]} for pair in pairs]
        sums, tokens = (scores_by(options.late, of, out / f"{kind}-{name}") for of, name in ((pairs, "late"), (own, "tokens")))
        for pair, total, count in zip(pairs, sums, tokens):
            pair["late"] = 10 * total / count
    return pairs


def scores_by(model, pairs, out):
    """Every pair is a passage of its own, whatever its text is after masking."""
    write(out / "corpus.jsonl", ({"_id": f"p{at}", "title": pair.get("title", ""), "text": pair["passage"]} for at, pair in enumerate(pairs)))
    write(out / "queries.jsonl", ({"_id": f"q{at}", "text": pair["query"]} for at, pair in enumerate(pairs)))
    (out / "pairs.run").write_text("".join(f"q{at} Q0 p{at} 1 1 pair\n" for at in range(len(pairs))))
    whetstone("rerank", "--model", model, "--corpus", out / "corpus.jsonl", "--queries", out / "queries.jsonl",
              "--candidates", out / "pairs.run", "--out", out / "logits.run")
    found = {fields[0]: float(fields[4]) for fields in map(str.split, open(out / "logits.run"))}
    return [found[f"q{at}"] for at in range(len(pairs))]


def orders(name, model, test, out):
    """The order of a model alone and with joined scores."""
    alone, joined = out / f"{name}.run", out / f"{name} joined.run"
    whetstone("rerank", "--model", model, "--corpus", test / "corpus.jsonl", "--queries", test / "queries.jsonl",
              "--candidates", test / "candidates.run", "--out", alone)
    stages = [test / f"runs/{stage}.run" for stage in ("bm25", "dense")]
    whetstone("fuse", "--way", "scores", *stages, "--logits", alone, "--out", joined)
    return {name: alone, f"{name} joined": joined}


def train(name, pairs, rate, loss, seed, out, dev=None):
    """Returns the run's folder. With the folder of a dev set it is measured four times on the way."""
    folder = out / "trainings" / f"{name}-{seed}"
    keep = ("query", "title", "passage", "label", "query_id", "passage_id", "teacher")
    write(folder / "data/train.jsonl", ({key: pair[key] for key in keep if key in pair} for pair in pairs))
    every = 1000
    if dev:
        (folder / "data/qrels").mkdir(exist_ok=True)
        for file in ("dev.jsonl", "qrels/dev.tsv"):
            shutil.copy(dev / file, folder / "data" / file)
        every = max(1, len(pairs) // 32 // 4)
    keys = {"model": str(options.base.resolve()), "loss": loss, "warm-start-steps": 0, "epochs": 1, "batch-pairs": 32, "precision": "bf16",
            "patience": 0, "learning-rate": rate, "seed": seed, "eval-every-steps": every, "keep-checkpoints": 10}
    (folder / "train.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items()))
    whetstone("train", "--quiet", "--config", folder / "train.toml", "--data", folder / "data", "--out", folder / "run")
    return folder / "run"


def exported(checkpoint, model):
    whetstone("export", "--checkpoint", checkpoint, "--out", model)
    return model


def graded(pairs, grades):
    """The graded queries' pairs as they are, and with grades for labels, as `pair` takes them up."""
    pairs = [pair | {"grade": grades[at]} for pair in pairs if (at := (pair["query_id"], pair["passage_id"])) in grades]
    fits = [pair for pair in pairs if (pair["grade"] > 0 if pair["label"] > 0 else pair["grade"] < 2)]
    return pairs, [pair | {"label": pair["grade"] / 3} for pair in fits]


def one_set(source):
    out, test = options.out / source.name, source / "test"
    runs = orders("base", options.base, test, out)
    pairs = {kind: pairs_of(source, kind, out) for kind in ("given", "built-in")}
    recipes = [(f"{kind}: {name}", [pair | {"teacher": score(pair)} for pair in pairs[kind]], RATE[kind], "margin-mse", None)
               for kind in pairs for name, score in TEACHERS.items()]
    recipes += [(f"{kind}: measured on the way", recipes[at][1], RATE[kind], "margin-mse", source / kind / "data")
                for kind, at in (("given", 0), ("built-in", len(TEACHERS)))]
    if options.grades and (options.grades / f"{source.name}.jsonl").exists():
        rows = read(options.grades / f"{source.name}.jsonl")
        binary, soft = graded(pairs["given"], {(row["query_id"], row["passage_id"]): row["grade"] for row in rows})
        bi = TEACHERS["bi-encoder"]
        recipes += [
            ("graded queries: labels on top", [pair | {"teacher": bi(pair)} for pair in binary], 8e-5, "margin-mse", None),
            ("graded queries: grades on top", [pair | {"teacher": bi(pair)} for pair in soft], 8e-5, "margin-mse", None),
            ("graded queries: grades alone", [pair | {"teacher": pair["grade"]} for pair in soft], 8e-5, "margin-mse", None),
            ("graded queries: labels, BCE", binary, 5e-5, "bce", None),
            ("graded queries: grades, BCE", soft, 5e-5, "bce", None)]
    for seed in map(int, options.seeds.split(",")):
        for name, rows, rate, loss, dev in recipes:
            run = train(name, rows, rate, loss, seed, out, dev)
            checkpoints = {name: run}
            if dev:
                # All are kept, so that the one with the highest dev nDCG@10 can be compared with the last.
                values = {line["step"]: line["dev_ndcg@10"] for line in read(run / "log.jsonl") if "dev_ndcg@10" in line}
                highest = max(values, key=lambda step: (values[step], step))
                checkpoints = {of: run / f"step-{step:06}" for of, step in ((name, max(values)), (f"{name}, highest", highest))}
            for of, checkpoint in checkpoints.items():
                runs |= orders(f"{of} {seed}", exported(checkpoint, out / "models" / f"{of}-{seed}"), test, out)
            shutil.rmtree(run)
    named = [word for name, run in runs.items() for word in ("--run", f"{name}={run}")]
    whetstone("eval", "--qrels", test / "qrels/test.tsv", *named, "--baseline", "base", "--out", out / "eval")
    values = {line["query_id"]: {name: of["ndcg@10"] for name, of in line["runs"].items()} for line in read(out / "eval/per_query.jsonl")}
    (out / "values.json").write_text(json.dumps(values))
    return values


chosen = options.sets.split(",") if options.sets else None
sources = [folder for folder in sorted(options.evidence.iterdir()) if (folder / "test").exists() and (not chosen or folder.name in chosen)]
results = {source.name: one_set(source) for source in sources}
mean = {name: {run: statistics.mean(of[run] for of in values.values()) for run in next(iter(values.values()))} for name, values in results.items()}
for run in dict.fromkeys(run for of in mean.values() for run in of):
    over = "base joined" if run.endswith(" joined") else "base"
    changes = {name: of[run] / of[over] - 1 for name, of in mean.items() if run in of}
    worst = min(changes, key=changes.get)
    print(f"{run:45} {statistics.mean(changes.values()):+6.1%} over {over}, worst {worst} {changes[worst]:+.1%} ({len(changes)} sets)")
