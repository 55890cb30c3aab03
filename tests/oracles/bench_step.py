"""Scoring and a training step on fixed shapes, in turns with PyTorch: milliseconds, and how many times as long PyTorch takes.

needs: torch, transformers        usage: [SHAPES="8x128 8x512"] [TURNS=5] [REPEATS=3] bench_step.py MODEL_DIR COMMAND…

COMMAND is the bench of crates/train/benches/step.rs, which is given MODEL_DIR and the repeats of a turn, of which it prints the
median. No padding and no dropout, as there; AdamW; bf16 by autocast, where the CPU has it. Threads: all cores.
"""
import os, re, statistics, subprocess, sys, time
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, logging

model_dir, *command = sys.argv[1:]
logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(os.cpu_count())
TURNS, REPEATS = (int(os.environ.get(key, usual)) for key, usual in [("TURNS", 5), ("REPEATS", 3)])
SHAPES = os.environ.get("SHAPES", "").split()


def network():
    config = AutoConfig.from_pretrained(model_dir, num_labels=1)
    for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        if hasattr(config, key):
            setattr(config, key, 0.0)
    return AutoModelForSequenceClassification.from_pretrained(model_dir, config=config)


def batch(sequences, seq):
    ids = torch.randint(1000, 30000, (sequences, seq), generator=torch.Generator().manual_seed(1))
    types = (torch.arange(seq) >= 12).long().expand(sequences, seq)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return inputs if AutoConfig.from_pretrained(model_dir).model_type == "modernbert" else inputs | {"token_type_ids": types}


def median_ms(run):
    run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def score(shape, bf16):
    model, inputs = network().eval(), batch(*shape)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return median_ms(lambda: model(**inputs))


def train(shape, bf16):
    model, inputs = network().train(), batch(*shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(**inputs).logits
        logits.float().pow(2).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return median_ms(step)


def ours():
    """Milliseconds by (precision, what, shape)."""
    text = subprocess.run([*command, model_dir, str(REPEATS), *SHAPES], capture_output=True, text=True, check=True).stdout
    times, precision = {}, None
    for line in text.splitlines():
        if line in ("F32", "Bf16"):
            precision = line
        if found := re.match(r"(score|train step) (\d+)x(\d+): (\d+) ms", line):
            what, sequences, seq, ms = found.groups()
            times[precision, what, (int(sequences), int(seq))] = float(ms)
    return times


def main():
    mine, theirs = {}, {}
    for turn in range(TURNS):
        for key, ms in ours().items():
            precision, what, shape = key
            mine.setdefault(key, []).append(ms)
            run = score if what == "score" else train
            theirs.setdefault(key, []).append(run(shape, precision == "Bf16"))
        print(f"turn {turn + 1} of {TURNS}", flush=True)
    for key in mine:
        precision, what, (sequences, seq) = key
        a, b = statistics.median(mine[key]), statistics.median(theirs[key])
        ratio = statistics.median(b / a for a, b in zip(mine[key], theirs[key]))
        print(f"{precision} {what} {sequences}x{seq}: {a:.0f} ms, PyTorch {b:.0f} ms; median of the turns' ratios {ratio:.2f}")


main()
