"""How long a training takes to its first step, and how much memory it holds, as the pair file grows.

needs: nothing but Python 3.11 (Linux)      usage: bench_start.py WHETSTONE MODEL_DIR PAIRS.jsonl [COUNT …]

The pairs are repeated under new ids until there are COUNT (100,000 and 1,000,000), and trained on in batches of four, so that the
step itself is short. Prints the seconds from the start of the process to the line of the first step in log.jsonl, with and without
a warm start, and the resident memory after 20 steps; then ends the run.
"""
import itertools, json, os, pathlib, re, signal, subprocess, sys, tempfile, time

whetstone, model, source, *counts = sys.argv[1:]
STEPS = 20


def write_pairs(path, count):
    pairs = [json.loads(line) for line in open(source)]
    with open(path, "w") as file:
        for number, pair in zip(range(count), itertools.cycle(pairs)):
            file.write(json.dumps({**pair, "query_id": f"{pair['query_id']}-{number // len(pairs)}"}) + "\n")


def run(folder, warm_start_steps):
    """Seconds to the first step, resident MiB after some."""
    out = pathlib.Path(folder, f"run-{warm_start_steps}")
    config = pathlib.Path(folder, "train.toml")
    config.write_text(f'model = "{os.path.abspath(model)}"\nbatch-pairs = 4\nwarm-start-steps = {warm_start_steps}\n')
    start = time.perf_counter()
    command = [whetstone, "train", "--config", config, "--data", folder, "--out", out, "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    log, first = out / "log.jsonl", None
    while True:
        steps = log.read_text().count('"step"') if log.exists() else 0
        if steps >= 1 and first is None:
            first = time.perf_counter() - start
        if steps >= STEPS:
            break
        if process.poll() is not None:
            sys.exit(f"the training ended early: {' '.join(map(str, command))}")
        time.sleep(0.005)
    resident = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{process.pid}/status").read())[1]) / 1024
    process.send_signal(signal.SIGKILL)
    process.wait()
    return first, resident


for count in map(int, counts or ("1000", "100000", "1000000")):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "train.jsonl")
        write_pairs(path, count)
        for warm_start_steps in (0, 150):
            first, resident = run(folder, warm_start_steps)
            print(f"{count} pairs, {path.stat().st_size >> 20} MiB, {warm_start_steps} steps of warm start: first step after "
                  f"{first:.2f} s, {resident:.0f} MiB resident after {STEPS} steps", flush=True)
