#!/usr/bin/env python3
"""Runs every stage on a disk that is full, gives it room, runs it again, and looks whether anything is not as it is with room.

needs  root, as it mounts small file systems in memory (tmpfs); a build of the program; nothing else
run    sudo python3 tests/e2e/full_disk.py WHETSTONE [--steps 4] [--only STAGE] [--out out/full-disk]

First the whole job runs with room, on such a disk too. Then each stage runs with less and less room: a share of what it wrote
is left free, from nothing up to just too little. Each time

- it ends with exit code 2 and says in one line which file could not be written, with a hint to free some disk space,
- what stood before under a real name is unchanged or whole,
- the journal of an LLM still holds all that it held, and nothing in it is asked for again.

Then the disk gets room, the same command runs to its end, and every file has the bytes that it has with room.
Prints JSON; exit code 1 where anything differs.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import killed
from killed import STAGES, answered, differences, files, freeze, prepare
from stand_in import StandIn

ROOM = "512m"
# What a page takes up; a file of one byte does too.
PAGE = 4096


@contextlib.contextmanager
def disk(folder):
    """A file system in memory, which ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "whetstone-full-disk", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def resize(folder, room):
    subprocess.run(["mount", "-o", f"remount,size={room}", folder], check=True)


def used(folder):
    at = os.statvfs(folder)
    return (at.f_blocks - at.f_bfree) * at.f_frsize


def start(whetstone, work, stage):
    """Runs a stage to its end; returns its exit code and what it said."""
    done = subprocess.run(
        [whetstone, *stage.arguments, "--quiet"],
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=killed.LONGEST_S,
    )
    return done.returncode, done.stderr.decode(errors="replace").strip()


def journal_of(work, stage):
    return answered(work / stage.journal) if stage.journal else []


def said_wrong(code, said):
    """What is wrong with how the program refused."""
    lines = said.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    if code != 2 or len(errors) != 1:
        return [f"exit code {code}: {said or 'no word'}"]
    wrong = []
    if "No space left on device" not in errors[0] or "`" not in errors[0]:
        wrong.append(f"the error does not name the file and the reason: {said}")
    if not any(line.strip().startswith("hint: free some disk space") for line in lines):
        wrong.append(f"there is no hint to free some disk space: {said}")
    if "panicked" in said:
        wrong.append(f"it panicked: {said}")
    return wrong


class Trial:
    """One stage on a disk that gets fuller."""

    def __init__(self, whetstone, work, server, stage):
        self.whetstone, self.work, self.server, self.stage = whetstone, work, server, stage
        self.refusals = 0

    def refuse(self, room, before, wanted):
        """Leaves so many bytes free and runs the stage; returns what is wrong."""
        resize(self.work, max(PAGE, used(self.work) // PAGE * PAGE + room))
        self.server.take()
        held = journal_of(self.work, self.stage)
        code, said = start(self.whetstone, self.work, self.stage)
        asked = self.server.take()
        resize(self.work, ROOM)
        if code == 0:
            return []  # what it wrote fits into what it replaced or into pages that were free
        self.refusals += 1
        wrong = said_wrong(code, said)
        now = files(self.work)
        lost = [name for name in before if name not in now]
        wrong += [f"`{name}` is gone" for name in lost]
        whole = [name for name in now if now[name] is not None and now[name] not in (before.get(name), wanted.get(name))]
        wrong += [f"`{name}` is neither old nor whole" for name in whole if not self.may_grow(name)]
        after = {entry["key"] for entry in journal_of(self.work, self.stage)}
        wrong += [f"the journal lost {entry['key']}" for entry in held if entry["key"] not in after]
        again = sum(asked[entry["prompt_tokens"]] for entry in held)
        wrong += [f"{again} answers of the journal were asked for again"] if again else []
        return [f"{room} bytes free: {fault}" for fault in wrong]

    def may_grow(self, name):
        """Whether a file holds as much as the run got done: the log of a training, its steps, the embeddings of a miner."""
        return self.stage.name == "train" and name.startswith("run/") or name.startswith("data/mined/")


def tried(trial, stage, work, wanted, steps, wrote):
    """What is wrong with a stage whose disk fills up."""
    before = files(work)
    said = []
    for step in range(steps):
        room = wrote * step // steps // PAGE * PAGE
        said += trial.refuse(room, before, wanted["files"])
    code, words = start(trial.whetstone, work, stage)
    if code != 0:
        return said + [f"with room again, exit code {code}: {words}"]
    freeze(work)
    said += differences(wanted["files"], files(work), work.parent / "differences" / stage.name)
    if stage.journal and answered(work / stage.journal) != wanted["answers"]:
        said.append("the journal holds other answers")
    return said


def reference(whetstone, work, server):
    """Runs the job with room; returns what stands after each stage, and how many bytes each one took at most."""
    wanted = {}
    prepare_inside(work, server.url)
    for stage in STAGES:
        code, said = start(whetstone, work, stage)
        if code != 0:
            sys.exit(f"{stage.name} with room: {said}")
        freeze(work)
        wanted[stage.name] = {"files": files(work), "answers": journal_of(work, stage), "used": used(work)}
    return wanted


def prepare_inside(work, url):
    """The inputs of the job, in a folder that is a mount and stays one."""
    made = work.parent / "made"
    prepare(made, url)
    for path in made.iterdir():
        shutil.move(path, work / path.name)
    made.rmdir()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("whetstone", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=4, help="how many sizes of a disk each stage is tried on")
    parser.add_argument("--only", choices=[stage.name for stage in STAGES], help="fill the disk of no other stage")
    parser.add_argument("--out", type=pathlib.Path, default=killed.ROOT / "out/full-disk")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("this mounts file systems, which only root may do: run it with sudo")
    whetstone, out = options.whetstone.resolve(), options.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    server = StandIn()
    faults, refusals = [], {}
    with disk(out / "work") as work:
        wanted = reference(whetstone, work, server)
    with disk(out / "work") as work:
        prepare_inside(work, server.url)
        for stage in STAGES:
            wrote = max(PAGE * options.steps, wanted[stage.name]["used"] - used(work))
            trial = Trial(whetstone, work, server, stage)
            steps = options.steps if options.only in (None, stage.name) else 0
            found = tried(trial, stage, work, wanted[stage.name], steps, wrote)
            refusals[stage.name] = trial.refusals
            faults += [f"{stage.name}: {fault}" for fault in found]
            print(f"{stage.name}: refused {trial.refusals} of {steps}, {len(found)} faults", file=sys.stderr)
            if steps and not trial.refusals:
                faults.append(f"{stage.name}: no disk was too small")
            if any("with room again" in fault for fault in found):
                break
    faults += [f"the stand-in: {fault}" for fault in server.faults]
    print(json.dumps({"refusals": refusals, "faults": faults}, indent=2, ensure_ascii=False))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
