#!/usr/bin/env python3
"""Kills every stage with SIGKILL at random moments, runs it again, and looks whether anything is not as it is without a kill.

needs  a build of the program; nothing else: the corpus is made here, the LLM is a stand-in on loopback
run    python3 tests/e2e/killed.py WHETSTONE [--kills 100] [--seed 1] [--only STAGE] [--out out/killed]

First the whole job runs without a kill, twice: what differs between these two says nothing about kills, and is an error too. Then
it runs in rounds, each stage killed some times, with its whole process group, before it may end. A moment is either a time or
a number of changes in the stage's folder, as the first run had them, drawn by the seed. A stage that ends before its moment,
and now and then one that was let run first, is killed over its own output, with --force. After the last kill the stage runs to its end, and then

- every file but the journals has the bytes that it has without a kill (manifests but for TIMES and THIS_RUN, see there),
- no other file or folder is there,
- the journal holds the same answers, each once,
- no answer that the journal held at a kill is asked for again, and at most `concurrency` requests a kill are repeated.

Prints JSON; exit code 1 where anything differs, with its name, the stage and the moments of the kills. What differs is kept
beside what it should be in OUT/differences.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

from stand_in import StandIn

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONCURRENCY = 4
# A stage that takes longer than this hangs.
LONGEST_S = 120
# Kills of one stage in one round.
KILLS_A_ROUND = 2

# Keys of a manifest that hold times and rates.
TIMES = ("wall_s", "rates", "cost.seconds")
# Counts of a manifest that say what this run did: after a kill, the journal answers what was asked before.
THIS_RUN = ("calls", "calls-retried", "answers-from-journal", "answers-without-usage", "tokens-in", "tokens-out")
# The note that holds the estimate for what was open against what this run spent.
NOTE_OF_THIS_RUN = "estimated → real: "

SYNTH = f"""
seed = 12
model = "{ROOT}/tests/oracles/tiny-model"
[chunk]
passage-tokens = 64
overlap-tokens = 8
max-seq-tokens = 96
[ask]
generator = "openai"
min-queries = 1
max-queries = 2
max-passages = 40
[split]
dev-fraction = 0.25
test-fraction = 0.25
[mine]
negatives = 3
rank-max = 20
[pair]
depth = 10
"""
# The keys of the judge and the endpoint.
LLM = """
[filter]
judge = true
[llm]
base-url = "{url}"
name = "stand-in"
concurrency = {concurrency}
max-retries = 0
"""
TRAIN = f"""
model = "{ROOT}/tests/oracles/tiny-model"
epochs = 6
batch-pairs = 8
max-seq-tokens = 96
learning-rate = 1e-3
eval-every-steps = 5
keep-checkpoints = 2
interpolate = 0.3
"""


class Stage:
    """A command, the folder that it writes into, and how it went without a kill."""

    def __init__(self, name, arguments, folder, journal=None):
        self.name, self.arguments, self.folder, self.journal = name, arguments.split(), folder, journal
        self.seconds = self.changes = self.files = self.requests = None


STAGES = [
    Stage("chunk", "chunk --config synth.toml --corpus corpus --out data", "data"),
    Stage("ask", "ask --config synth.toml --out data", "data", "data/ask.journal.jsonl"),
    Stage("mine", "mine --config synth.toml --out data", "data"),
    Stage("grade", "grade --config synth.toml --out data", "data", "data/ask.journal.jsonl"),
    Stage("pair", "pair --config synth.toml --out data", "data"),
    Stage("train", "train --config train.toml --data data --out run", "run"),
    Stage("export", "export --checkpoint run --out model", "."),
    Stage("calibrate", "calibrate --model model --data data", "model"),
    Stage(
        "rerank",
        "rerank --model model --corpus data/corpus.jsonl --queries data/queries.jsonl"
        " --candidates data/candidates.run --out runs/tuned.run",
        ".",
    ),
    Stage("fuse", "fuse data/runs/bm25.run data/runs/dense.run runs/tuned.run --out runs/fused.run", "runs"),
    Stage("eval", "eval --data data --run tuned=runs/tuned.run --system tuned --model model --out eval", "."),
    Stage(
        "answers",
        "answers --config synth.toml --data data --before data/candidates.run --after runs/tuned.run"
        " --top 2 --out answers",
        ".",
        "answers/answers.journal.jsonl",
    ),
]


def write_corpus(folder):
    """The corpus of the end-to-end tests, and as much again of the same kind."""
    shutil.copytree(ROOT / "tests/e2e/corpus", folder)
    draw = random.Random(7)
    parts = "saddle pedal bottle mirror basket fender kickstand trailer handlebar derailleur cassette crank".split()
    deeds = "cleaned greased tightened inspected replaced adjusted measured stored painted lifted".split()
    tools = "a soft brush|cold water|a torque key|warm soap|a dry cloth|thin paper|a wooden block|linseed oil".split("|")
    places = "workshop garage cellar courtyard shed hallway".split()
    for part in parts:
        sections = [f"# {part.title()}\n"]
        for heading in draw.sample("Winter Summer Travel Repair Storage Safety".split(), 3):
            sections.append(f"\n## {heading}\n")
            for _ in range(3):
                deed, tool, place = draw.choice(deeds), draw.choice(tools), draw.choice(places)
                days = draw.randrange(3, 90)
                sections.append(f"Every {days} days the {part} is {deed} in the {place} with {tool}. ")
        (folder / f"{part}.md").write_text("".join(sections) + "\n")


def prepare(work, url):
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_corpus(work / "corpus")
    (work / "synth.toml").write_text(SYNTH + LLM.format(url=url, concurrency=CONCURRENCY))
    (work / "train.toml").write_text(TRAIN)


def freeze(work):
    """Sets what a manifest says of times and of this run to fixed values, in place: the report of an evaluation is made of
    manifests, and can then be compared byte by byte."""
    for path in work.rglob("manifests/*.json"):
        if not path.stat().st_size:
            continue  # emptied by --force
        manifest = json.loads(path.read_text())
        for key in TIMES:
            of, _, key = key.rpartition(".")
            holder = (manifest.get(of) or {}) if of else manifest
            if key in holder:
                value = holder[key]
                holder[key] = dict.fromkeys(value, 1.0) if isinstance(value, dict) else 1.0
        manifest["counts"].update({key: 1 for key in THIS_RUN if key in manifest["counts"]})
        manifest["notes"] = [note for note in manifest["notes"] if not note.startswith(NOTE_OF_THIS_RUN)]
        path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False))


def files(work):
    """Everything below a folder by name: bytes, or None for a folder. Journals hold times, and have a check of their own."""
    found = {}
    for path in sorted(work.rglob("*")):
        name = path.relative_to(work).as_posix()
        if not name.endswith(".journal.jsonl"):
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


def answered(path):
    """The answers of a journal without times, in the order of their keys; a torn last line is none yet."""
    raw = path.read_bytes() if path.exists() else b""
    entries = [json.loads(line) for line in raw.split(b"\n")[:-1]]
    return sorted(({**entry, "wall_ms": 0} for entry in entries), key=lambda entry: entry["key"])


def state(folder):
    """Names and sizes below a folder, to see that something changed."""
    found = []
    for below, folders, names in os.walk(folder):
        for name in folders + names:
            try:
                found.append((below, name, os.stat(os.path.join(below, name)).st_size))
            except FileNotFoundError:
                pass
    return found


class Trial:
    """The program in its work folder."""

    def __init__(self, whetstone, work, server):
        self.whetstone, self.work, self.server = whetstone, work, server

    def start(self, stage, *more):
        return subprocess.Popen(
            [self.whetstone, *stage.arguments, *more, "--quiet"],
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def follow(self, stage, process, until):
        """Counts changes in the stage's folder until the process ends or `until(seconds, changes)`; returns both."""
        begun, seen, changes = time.monotonic(), state(self.work / stage.folder), 0
        while process.poll() is None and time.monotonic() - begun < LONGEST_S:
            now = state(self.work / stage.folder)
            changes, seen = changes + (now != seen), now
            if until(time.monotonic() - begun, changes):
                break
            time.sleep(0.0005)
        return time.monotonic() - begun, changes

    def to_the_end(self, stage):
        """Runs a stage without a kill; returns its seconds and changes."""
        process = self.start(stage)
        went = self.follow(stage, process, lambda *_: False)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        said = process.communicate()[1].decode(errors="replace").strip()
        if process.returncode != 0:
            raise Failed(f"exit code {process.returncode}: {said or 'no word'}")
        freeze(self.work)
        return went

    def kill(self, stage, moment, *more):
        """Starts a stage and kills it at a moment; returns whether it was still alive."""
        process = self.start(stage, *more)
        seconds, changes = moment
        self.follow(stage, process, lambda s, c: s >= seconds or c >= changes)
        was_alive = process.poll() is None
        if was_alive:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return was_alive


class Failed(Exception):
    """A stage that did not end well."""


def draw_moment(draw, stage, share):
    """A time within a share of a stage's own, or the moment of one of its changes: (seconds, changes), whichever comes first."""
    if stage.changes and draw.random() < 0.5:
        return (LONGEST_S, draw.randint(1, max(1, int(stage.changes * share))))
    return (draw.uniform(0.0, stage.seconds * share), LONGEST_S * 10_000)


def told(moment):
    seconds, changes = moment
    return f"after {seconds:.3f} s" if seconds < LONGEST_S else f"at change {changes}"


def differences(wanted, found, keep):
    """What differs in words; keeps both versions of it."""
    said = [f"`{name}` is missing" for name in wanted.keys() - found.keys()]
    said += [f"`{name}` should not be there" for name in found.keys() - wanted.keys()]
    for name in sorted(wanted.keys() & found.keys()):
        if wanted[name] != found[name]:
            said.append(f"`{name}` has other bytes")
            for kind, data in (("wanted", wanted[name]), ("found", found[name])):
                path = keep / kind / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data or b"")
    return sorted(said)


def requests_wrong(stage, arrived, taken, kills):
    """What was asked for more often than kills explain; `arrived` are the answers at each kill with the requests by then."""
    said = []
    for before, held in arrived:
        again = [which for which in held if taken[which] > before[which]]
        if again:
            said.append(f"{len(again)} answers that the journal held at a kill were asked for again")
    repeated = sum(taken.values()) - len(taken)
    if repeated > kills * CONCURRENCY:
        said.append(f"{repeated} requests were repeated after {kills} kills with {CONCURRENCY} calls in flight")
    if set(taken) - set(stage.requests):
        said.append(f"{len(set(taken) - set(stage.requests))} requests that are not made without a kill")
    return said, repeated


class Tally:
    def __init__(self):
        self.kills, self.by_stage, self.repeated, self.faults = 0, collections.Counter(), 0, []
        self.over_own_output = self.too_late = 0


def killed_stage(trial, stage, draw, wanted, tally, keep, at_most):
    """Kills one stage some times and runs it to its end; returns whether all is as it should be."""
    moments, arrived, share = [], [], 1.0
    taken = collections.Counter()
    force = []
    if at_most > 0 and draw.random() < 0.3:
        trial.to_the_end(stage)
        force = ["--force"]
    for _ in range(4 * KILLS_A_ROUND):
        if len(moments) >= min(KILLS_A_ROUND, at_most):
            break
        moment = draw_moment(draw, stage, share)
        if trial.kill(stage, moment, *force):
            moments.append(told(moment) + (" over its own output" if force else ""))
            tally.over_own_output += bool(force)
        else:
            tally.too_late += 1
            force, share = ["--force"], share / 2
        if stage.journal:
            taken += trial.server.take()
            held = {entry["prompt_tokens"] for entry in answered(trial.work / stage.journal)}
            arrived.append((taken.copy(), held))
    said = []
    try:
        trial.to_the_end(stage)
    except Failed as failed:
        said.append(str(failed))
    taken += trial.server.take()
    said += differences(wanted["files"], files(trial.work), keep)
    if stage.journal:
        if answered(trial.work / stage.journal) != wanted["answers"]:
            said.append("the journal holds other answers")
        wrong, repeated = requests_wrong(stage, arrived, taken, len(moments))
        said += wrong
        tally.repeated += repeated
    tally.kills += len(moments)
    tally.by_stage[stage.name] += len(moments)
    tally.faults += [f"{stage.name}, killed {' and '.join(moments) or 'never'}: {fault}" for fault in said]
    return not said


def reference(trial, url, keep):
    """Runs the job twice without a kill; returns what stands after each stage, and what differed between the two."""
    wanted, said = {}, []
    for again in (False, True):
        prepare(trial.work, url)
        for stage in STAGES:
            stage.seconds, stage.changes = trial.to_the_end(stage)
            requests = trial.server.take()
            now = {"files": files(trial.work)}
            if stage.journal:
                now["answers"] = answered(trial.work / stage.journal)
            if not again:
                wanted[stage.name], stage.requests = now, requests
                continue
            folder = keep / "without-a-kill"
            found = differences(wanted[stage.name]["files"], now["files"], folder)
            if now.get("answers") != wanted[stage.name].get("answers") or requests != stage.requests:
                found.append("other answers or requests")
            said += [f"{stage.name}, run twice without a kill: {fault}" for fault in found]
    return wanted, said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("whetstone", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=[stage.name for stage in STAGES], help="kill no other stage")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out/killed")
    options = parser.parse_args()
    begun = time.monotonic()
    server = StandIn()
    out = options.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    keep = out / "differences"
    trial = Trial(options.whetstone.resolve(), out / "work", server)
    tally, draw = Tally(), random.Random(options.seed)
    wanted, said = reference(trial, server.url, keep)
    tally.faults += said
    print(f"without a kill: {sum(stage.seconds for stage in STAGES):.1f} s", file=sys.stderr)
    rounds = 0
    while tally.kills < options.kills:
        rounds += 1
        prepare(trial.work, server.url)
        for stage in STAGES:
            left = options.kills - tally.kills if options.only in (None, stage.name) else 0
            if not killed_stage(trial, stage, draw, wanted[stage.name], tally, keep / f"round-{rounds}-{stage.name}", left):
                break
        spent = time.monotonic() - begun
        print(f"round {rounds}: {tally.kills} kills, {len(tally.faults)} faults, {spent:.0f} s", file=sys.stderr)
    tally.faults += [f"the stand-in: {fault}" for fault in server.faults]
    result = {
        "kills": tally.kills,
        "by_stage": tally.by_stage,
        "over_own_output": tally.over_own_output,
        "ended_before_the_kill": tally.too_late,
        "requests_without_a_kill": {stage.name: sum(stage.requests.values()) for stage in STAGES if stage.journal},
        "requests_repeated": tally.repeated,
        "seconds": round(time.monotonic() - begun),
        "faults": tally.faults,
    }
    print(json.dumps(result, indent=2, ensure_ascii=False))
    sys.exit(1 if tally.faults else 0)


if __name__ == "__main__":
    main()
