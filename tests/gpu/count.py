"""What a training step asks of NVIDIA's driver, counted without a GPU.

needs: a C compiler, CUDA's libdevice under $CUDA_PATH/nvvm/libdevice (PyPI's nvidia-nvvm has it), a build with `--features cuda`
usage: count.py WHETSTONE MODEL_DIR PAIRS.jsonl [--batch 16] [--steps 24] [--group 8] [--set 'precision = "bf16"']…

Trains with a stand-in for libcuda (counting_libcuda.c) for some steps and for twice as many, all of one shape, and prints the difference
a step: launches, blocking reads, bytes up, and the host's milliseconds. Nothing is computed, so the time is what the
host alone takes; the losses mean nothing.
"""
import argparse, json, os, pathlib, subprocess, sys, tempfile

parser = argparse.ArgumentParser()
for name in ("whetstone", "model", "pairs"):
    parser.add_argument(name, type=pathlib.Path)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--len", type=int, default=256)
parser.add_argument("--steps", type=int, default=24, help="of the shorter run")
parser.add_argument("--group", type=int, help="pairs of a query, of which one is positive; else a query for each pair, positive or not")
parser.add_argument("--set", action="append", default=[], help="a line for the config")
options = parser.parse_args()

here = pathlib.Path(__file__).parent
work = pathlib.Path(tempfile.mkdtemp())
subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", work / "libcuda.so.1", here / "counting_libcuda.c"], check=True)
longest = max(map(json.loads, open(options.pairs)), key=lambda row: len(row["passage"]))


def train(steps):
    """Trains on copies of the longest pair; returns the counts and the seconds of all steps."""
    folder = work / str(steps)
    (folder / "data").mkdir(parents=True)
    with open(folder / "data/train.jsonl", "w") as file:
        for index in range(steps * options.batch):
            query, label = (index // options.group, index % options.group == 0) if options.group else (index, index % 2)
            row = {"query_id": f"q{query}", "passage_id": f"p{index}", "label": int(label)}
            print(json.dumps(longest | row), file=file)
    config = [f'model = "{options.model.resolve()}"', "epochs = 1", f"batch-pairs = {options.batch}", f"max-seq-tokens = {options.len}",
              "warm-start-steps = 0", "eval-every-steps = 1000000", *options.set]
    (folder / "train.toml").write_text("\n".join(config) + "\n")
    counts = folder / "counts.json"
    command = [options.whetstone, "train", "--config", folder / "train.toml", "--data", folder / "data", "--out", folder / "run",
               "--device", "cuda", "--json"]
    env = os.environ | {"LD_LIBRARY_PATH": str(work), "COUNTS": str(counts)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    rate = json.loads(done.stdout)["rates"]["pairs-per-s"]
    return json.loads(counts.read_text()) | {"seconds": steps * options.batch / rate}


short, long = train(options.steps), train(2 * options.steps)
a_step = {name: (long[name] - short[name]) / options.steps for name in short}
print(f"a step of {options.batch} pairs of {options.len} tokens, from {options.steps} and {2 * options.steps} steps:")
for name, what in (("launches", "launches"), ("uploads", "uploads"), ("upload_bytes", "bytes up"),
                   ("reads", "reads"), ("waits", "waits of the host"), ("stream_waits", "waits of a stream"), ("modules", "kernels compiled")):
    print(f"{a_step[name]:12.1f}  {what}")
print(f"{a_step['seconds'] * 1000:12.1f}  ms of the host")
# The most counts buffers that cubecl measures the device with.
print(f"memory held: {long['last_held_bytes'] / 2**20:.0f} MiB at the last launch, {long['most_held_bytes'] / 2**20:.0f} MiB at most")
