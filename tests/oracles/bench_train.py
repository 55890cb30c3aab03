"""Training side by side: pairs per second and peak memory of Whetstone and of sentence-transformers' CrossEncoderTrainer.

needs: torch, transformers, sentence-transformers, datasets, accelerate
usage: bench_train.py WHETSTONE MODEL_DIR PAIRS.jsonl [--turns 5] [--pairs 320] [--batch 32] [--len 256] [--bf16] [--device cuda]

Both sides train on the first --pairs pairs with BCE, AdamW, the model's own dropout and a fresh head, in turns, each in a process of
its own. Start-up is left out on both sides: sentence-transformers is timed from its first step on, Whetstone by its manifest. Prints a
line a turn, then the medians and their ratio. With --device cuda (or cuda:1, which both sides understand), whose two sides both round f32
products to TF32, it prints the most that nvidia-smi showed for each process, and torch's own max_memory_allocated.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile, threading

parser = argparse.ArgumentParser()
for name in ("whetstone", "model", "pairs"):
    parser.add_argument(name)
parser.add_argument("--turns", type=int, default=5)
parser.add_argument("--pairs-used", "--pairs", dest="used", type=int, default=320)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--len", type=int, default=256)
parser.add_argument("--bf16", action="store_true", help="on both sides")
parser.add_argument("--device", default="cpu", help="of both sides")
parser.add_argument("--peer", help=argparse.SUPPRESS)
options = parser.parse_args()


def peer(folder):
    """One run of sentence-transformers; prints pairs per second."""
    import time
    import torch
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from transformers import TrainerCallback

    torch.set_num_threads(os.cpu_count())
    rows = [json.loads(line) for line in open(f"{folder}/train.jsonl")]
    columns = {"query": "query", "passage": "passage", "label": "label"}
    data = Dataset.from_list([{to: row[of] for to, of in columns.items()} for row in rows])
    on_cpu = options.device == "cpu"
    torch.backends.cuda.matmul.allow_tf32 = True
    model = CrossEncoder(options.model, num_labels=1, max_length=options.len, device=options.device)
    arguments = CrossEncoderTrainingArguments(
        output_dir=f"{folder}/peer", num_train_epochs=1, per_device_train_batch_size=options.batch, learning_rate=5e-5,
        bf16=options.bf16, use_cpu=on_cpu, save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no")
    started = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            started.append(time.perf_counter())

    trainer = CrossEncoderTrainer(
        model=model, args=arguments, train_dataset=data, loss=BinaryCrossEntropyLoss(model), callbacks=[Clock()])
    trainer.train()
    allocated = None if on_cpu else torch.cuda.max_memory_allocated() / 2**20  # waits for the device
    print(json.dumps({"pairs_per_s": len(rows) / (time.perf_counter() - started[0]), "allocated_mib": allocated}))


def child(command):
    """Runs a process; returns its stdout and its peak memory in MiB, on the device if that is a GPU."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    on_device, ended = [0.0], threading.Event()
    watch = threading.Thread(target=device_memory, args=(process.pid, on_device, ended))
    if options.device != "cpu":
        watch.start()
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    ended.set()
    if status:
        sys.exit(f"{command[0]} failed; run it by hand: {' '.join(map(str, command))}")
    if options.device == "cpu":
        return out, usage.ru_maxrss / 1024
    watch.join()
    return out, on_device[0]


def device_memory(pid, peak, ended):
    """Keeps the most MiB that a process held on a GPU, until it has ended."""
    ask = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    while not ended.wait(0.2):
        rows = [row.split(",") for row in subprocess.run(ask, capture_output=True, text=True).stdout.splitlines()]
        used = {row[0].strip(): float(row[1]) for row in rows if len(row) == 2 and row[1].strip().isdigit()}
        # A container's numbers of processes are not the machine's.
        peak[0] = max(peak[0], used.get(str(pid), sum(used.values())))


def main():
    rates, memory = {"whetstone": [], "peer": []}, {"whetstone": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        lines = open(options.pairs).readlines()[: options.used]
        pathlib.Path(folder, "train.jsonl").write_text("".join(lines))
        precision = "bf16" if options.bf16 else "f32"
        pathlib.Path(folder, "train.toml").write_text(
            f'model = "{os.path.abspath(options.model)}"\nepochs = 1\nbatch-pairs = {options.batch}\n'
            f'max-seq-tokens = {options.len}\nwarm-start-steps = 0\nprecision = "{precision}"\neval-every-steps = 1000000\n')
        for turn in range(options.turns):
            run = f"{folder}/run-{turn}"
            ours = [options.whetstone, "train", "--config", f"{folder}/train.toml", "--data", folder, "--out", run, "--json", "--device", options.device]
            text, peak = child(ours)
            rates["whetstone"].append(json.loads(text)["rates"]["pairs-per-s"])
            memory["whetstone"].append(peak)
            theirs = [sys.executable, __file__, options.whetstone, options.model, options.pairs, "--peer", folder,
                      "--batch", str(options.batch), "--len", str(options.len), "--device", options.device] + (["--bf16"] if options.bf16 else [])
            text, peak = child(theirs)
            result = json.loads(text.splitlines()[-1])
            rates["peer"].append(result["pairs_per_s"])
            memory["peer"].append(peak)
            print(f"turn {turn + 1}: whetstone {rates['whetstone'][-1]:.2f} pairs/s, {memory['whetstone'][-1]:.0f} MiB; "
                  f"sentence-transformers {rates['peer'][-1]:.2f} pairs/s, {peak:.0f} MiB"
                  + (f" ({result['allocated_mib']:.0f} MiB allocated)" if result["allocated_mib"] else ""), flush=True)
    for what, unit, values in (("speed", "pairs/s", rates), ("peak memory", "MiB", memory)):
        ours, theirs = (statistics.median(values[side]) for side in ("whetstone", "peer"))
        print(f"{what}, medians of {options.turns}: whetstone {ours:.2f} {unit}, sentence-transformers {theirs:.2f} {unit}, "
              f"ratio {ours / theirs:.2f}")


peer(options.peer) if options.peer else main()
