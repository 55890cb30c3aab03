#!/usr/bin/env python3
"""One change at a time: for every variant of a plan a data set, a training, and human queries reranked with the result.

needs  nothing but Python 3.11
run    python ablate.py WHETSTONE PLAN.toml OUT --queries FILE --candidates RUN --qrels FILE --corpus FILE [--base DATA_SET]
                        [--set KEY=VALUE …]

A plan has the sections [synth] and [train], which are configs as `whetstone synth` and `train` read them, and [[variant]]s with a
name and their own `synth` and `train`, which are laid over those. `seeds = [1, 2]` in a variant, or at the plan's head for all, trains it once for each. A
variant without `synth` uses the data set of the first. `--base` is a data set whose answers of an LLM and embeddings all
start from. With `stages = ["mine", "pair"]` at the plan's head only these are done for each data set, on the queries and judgements
in --base. `--set train.model=FOLDER` changes the plan's base. What is complete is not done again. Prints what `whetstone eval` says of all, the first variant being the baseline; OUT has the runs, and the report in OUT/eval.
"""
import argparse
import json
import pathlib
import shutil
import subprocess
import tomllib

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("whetstone", "plan", "out"):
    parser.add_argument(name, type=pathlib.Path)
for name in ("queries", "candidates", "qrels", "corpus"):
    parser.add_argument(f"--{name}", required=True)
parser.add_argument("--base", type=pathlib.Path)
parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
options = parser.parse_args()


def over(base, changes):
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = over(merged.get(key, {}), value) if isinstance(value, dict) else value
    return merged


def value(item):
    if isinstance(item, dict):
        return "{ " + ", ".join(f"{key} = {value(entry)}" for key, entry in item.items()) + " }"
    if isinstance(item, list):
        return "[" + ", ".join(map(value, item)) + "]"
    return json.dumps(item)


def toml(table, path=()):
    values = {key: item for key, item in table.items() if not isinstance(item, dict)}
    lines = [f"[{'.'.join(path)}]"] if path and values else []
    lines += [f"{key} = {value(item)}" for key, item in values.items()]
    for key, item in table.items():
        if isinstance(item, dict):
            lines.append(toml(item, (*path, json.dumps(key) if not key.replace("-", "").isalnum() else key)))
    return "\n".join(lines) + "\n"


def whetstone(*arguments):
    subprocess.run([str(options.whetstone.resolve()), *map(str, arguments)], check=True)


plan = tomllib.load(options.plan.open("rb"))
for change in options.set:
    path, change = change.split("=", 1)
    section, *keys = path.split(".")
    try:
        change = json.loads(change)
    except ValueError:
        pass
    for key in reversed(keys):
        change = {key: change}
    plan[section] = over(plan.get(section, {}), change) if keys else change

runs = []
first_data = None
for variant in plan["variant"]:
    folder = options.out / variant["name"]
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    if "synth" in variant or first_data is None:
        if options.base and not data.exists():
            half = folder / "data.half"
            shutil.copytree(options.base, half, dirs_exist_ok=True)
            half.rename(data)
        config = folder / "synth.toml"
        config.write_text(toml(over(plan.get("synth", {}), variant.get("synth", {}))))
        for stage in plan.get("stages", ["synth"]):
            whetstone(stage, "--config", config, "--out", data)
        first_data = first_data or data
    else:
        data = first_data
    seeds = variant.get("seeds", plan.get("seeds", [plan["train"].get("seed", 1)]))
    for seed in seeds:
        name = variant["name"] if len(seeds) == 1 else f"{variant['name']}-{seed}"
        config = folder / f"train-{seed}.toml"
        config.write_text(toml(over(over(plan["train"], variant.get("train", {})), {"seed": seed})))
        checkpoints, model, run = folder / f"checkpoints-{seed}", folder / f"model-{seed}", options.out / f"{name}.run"
        whetstone("train", "--config", config, "--data", data, "--out", checkpoints)
        whetstone("export", "--checkpoint", checkpoints, "--out", model)
        whetstone("rerank", "--model", model, "--corpus", options.corpus, "--queries", options.queries,
                  "--candidates", options.candidates, "--out", run)
        runs.append((name, run))
named = [part for name, run in [*runs, ("first-stage", options.candidates)] for part in ("--run", f"{name}={run}")]
whetstone("eval", "--qrels", options.qrels, *named, "--baseline", runs[0][0], "--out", options.out / "eval")
