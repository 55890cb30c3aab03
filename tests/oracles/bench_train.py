"""Training side by side: pairs per second and peak memory of Whetstone and of sentence-transformers' CrossEncoderTrainer.

needs: torch, transformers, sentence-transformers, datasets, accelerate
usage: bench_train.py WHETSTONE MODEL_DIR PAIRS.jsonl [--turns 5] [--pairs 320] [--batch 32] [--len 256] [--bf16]

Both sides train on the first --pairs pairs with BCE, AdamW, the model's own dropout and a fresh head, in turns, each in a process of
its own. Start-up is left out on both sides: sentence-transformers is timed from its first step on, Whetstone by its manifest. Prints a
line a turn, then the medians and their ratio.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile

parser = argparse.ArgumentParser()
for name in ("whetstone", "model", "pairs"):
    parser.add_argument(name)
parser.add_argument("--turns", type=int, default=5)
parser.add_argument("--pairs-used", "--pairs", dest="used", type=int, default=320)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--len", type=int, default=256)
parser.add_argument("--bf16", action="store_true", help="on both sides")
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
    model = CrossEncoder(options.model, num_labels=1, max_length=options.len, device="cpu")
    arguments = CrossEncoderTrainingArguments(
        output_dir=f"{folder}/peer", num_train_epochs=1, per_device_train_batch_size=options.batch, learning_rate=5e-5,
        bf16=options.bf16, use_cpu=True, save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no")
    started = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_, **__):
            started.append(time.perf_counter())

    trainer = CrossEncoderTrainer(
        model=model, args=arguments, train_dataset=data, loss=BinaryCrossEntropyLoss(model), callbacks=[Clock()])
    trainer.train()
    print(json.dumps({"pairs_per_s": len(rows) / (time.perf_counter() - started[0])}))


def child(command):
    """Runs a process; returns its stdout and its peak memory in MiB."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed; run it by hand: {' '.join(map(str, command))}")
    return out, usage.ru_maxrss / 1024


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
            ours = [options.whetstone, "train", "--config", f"{folder}/train.toml", "--data", folder, "--out", run, "--json"]
            text, peak = child(ours)
            rates["whetstone"].append(json.loads(text)["rates"]["pairs-per-s"])
            memory["whetstone"].append(peak)
            theirs = [sys.executable, __file__, options.whetstone, options.model, options.pairs, "--peer", folder,
                      "--batch", str(options.batch), "--len", str(options.len)] + (["--bf16"] if options.bf16 else [])
            text, peak = child(theirs)
            rates["peer"].append(json.loads(text.splitlines()[-1])["pairs_per_s"])
            memory["peer"].append(peak)
            print(f"turn {turn + 1}: whetstone {rates['whetstone'][-1]:.2f} pairs/s, {memory['whetstone'][-1]:.0f} MiB; "
                  f"sentence-transformers {rates['peer'][-1]:.2f} pairs/s, {peak:.0f} MiB", flush=True)
    for what, unit, values in (("speed", "pairs/s", rates), ("peak memory", "MiB", memory)):
        ours, theirs = (statistics.median(values[side]) for side in ("whetstone", "peer"))
        print(f"{what}, medians of {options.turns}: whetstone {ours:.2f} {unit}, sentence-transformers {theirs:.2f} {unit}, "
              f"ratio {ours / theirs:.2f}")


peer(options.peer) if options.peer else main()
