#!/usr/bin/env python3
"""`whetstone ask` against a real llama.cpp server, killed with SIGKILL on the way: is anything paid for twice, and does the
server ever wait?

needs  a llama.cpp server with one slot (--parallel 1) that writes its log to a file, the base URL of the config being its own
run    python check_ask.py WHETSTONE CONFIG OUT SERVER_LOG [--kills 3]

OUT is a data set whose chunks may be there already. The run is killed at equal shares of its answers, at a chance moment, and
ended by a last run. What the server itself needed is the sum of its own times for every call, as its log tells; with one slot
these do not overlap. Prints JSON; exit code 1 where a call was paid twice, an answer was lost, or the walls of all runs
together are more than 1.05 times the server's own time.
"""
import argparse
import collections
import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import tomllib

LIMIT = 1.05
TIMING = re.compile(r"total time =\s+([\d.]+) ms")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("whetstone")
parser.add_argument("config")
parser.add_argument("out", type=pathlib.Path)
parser.add_argument("log", type=pathlib.Path)
parser.add_argument("--kills", type=int, default=3)
options = parser.parse_args()

journal = options.out / "ask.journal.jsonl"
ask = [options.whetstone, "ask", "--config", options.config, "--out", str(options.out)]
concurrency = tomllib.load(open(options.config, "rb")).get("llm", {}).get("concurrency", 4)


def lines():
    return journal.read_bytes().splitlines(keepends=True) if journal.exists() else []


def complete(rows):
    return [row for row in rows if row.endswith(b"\n")]


subprocess.run([options.whetstone, "chunk", "--config", options.config, "--out", str(options.out)], check=True)
planned = json.loads(subprocess.run([*ask, "--dry-run", "--json"], check=True, capture_output=True).stdout)["requests"]
if not planned:
    sys.exit(f"{journal} holds all answers already: take another OUT")
already, log_start = len(lines()), options.log.stat().st_size
walls, lost, before = [], [], []
for kill in range(1, options.kills + 1):
    begun = time.monotonic()
    run = subprocess.Popen(ask)
    while len(lines()) - already < planned * kill / (options.kills + 1) and run.poll() is None:
        time.sleep(0.5)
    time.sleep(random.uniform(0, 3))
    run.send_signal(signal.SIGKILL)
    run.wait()
    walls.append(time.monotonic() - begun)
    kept = complete(lines())
    if kept[: len(before)] != before:
        lost.append(kill)
    before = kept
begun = time.monotonic()
done = subprocess.run([*ask, "--json"], check=True, capture_output=True)
walls.append(time.monotonic() - begun)
manifest = json.loads(done.stdout)
kept = lines()
if kept[: len(before)] != before:
    lost.append("end")
keys = collections.Counter(json.loads(row)["key"] for row in kept)
with options.log.open("rb") as log:
    log.seek(log_start)
    times = [float(found) / 1000 for found in TIMING.findall(log.read().decode(errors="replace"))]
answers = len(kept) - already
result = {
    "passages": manifest["counts"]["passages-asked"],
    "answers": answers,
    "calls_the_server_ended": len(times),
    "in_flight_at_kills": len(times) - answers,
    "may_be_in_flight": options.kills * concurrency,
    "keys_paid_twice": sum(count - 1 for count in keys.values()),
    "answers_lost": lost,
    "walls_s": [round(wall, 1) for wall in walls],
    "wall_s": round(sum(walls), 1),
    "server_s": round(sum(times), 1),
    "ratio": round(sum(walls) / sum(times), 4),
    "counts": manifest["counts"],
}
print(json.dumps(result, indent=2))
bad = result["keys_paid_twice"] or lost or result["in_flight_at_kills"] > result["may_be_in_flight"]
sys.exit(1 if bad or result["ratio"] > LIMIT else 0)
