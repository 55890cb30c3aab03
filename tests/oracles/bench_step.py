"""Scoring and a training step on batches of a shape, in turns with PyTorch: milliseconds, and how many times as long PyTorch takes.

needs: torch, transformers        usage: [SHAPES="8x128 16x64-512"] [TURNS=5] [REPEATS=3] [PRECISION=f32] [ONLY=train] bench_step.py MODEL_DIR COMMAND…

COMMAND is the bench of crates/train/benches/step.rs, which is given MODEL_DIR and the repeats of a turn, of which it prints the
median, and which explains shapes and the other variables. No dropout, as there; PyTorch pads lengths that differ; AdamW; bf16 by autocast, where the CPU has it. Threads: all cores.
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
    for key in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout", "embedding_dropout", "mlp_dropout"):
        if hasattr(config, key):
            setattr(config, key, 0.0)
    return AutoModelForSequenceClassification.from_pretrained(model_dir, config=config, dtype=torch.float32)


def batch(shape):
    sequences, lengths = shape.split("x")
    sequences, (shortest, longest) = int(sequences), [int(lengths.split("-")[i]) for i in (0, -1)]
    steps = max(sequences - 1, 1)
    lengths = torch.tensor([shortest + (longest - shortest) * i // steps for i in range(sequences)])
    ids = torch.randint(1000, 30000, (sequences, longest), generator=torch.Generator().manual_seed(1))
    is_real = torch.arange(longest) < lengths[:, None]
    config = AutoConfig.from_pretrained(model_dir)
    inputs = {"input_ids": ids.where(is_real, torch.tensor(config.pad_token_id or 0)), "attention_mask": is_real.long()}
    if getattr(config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = (torch.arange(longest) >= 12).long().expand(sequences, longest)
    return inputs


def median_ms(run):
    run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def score(shape, bf16):
    model, inputs = network().eval(), batch(shape)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return median_ms(lambda: model(**inputs))


def train(shape, bf16):
    model, inputs = network().train(), batch(shape)
    if "GRADIENT_CHECKPOINTING" in os.environ:
        model.gradient_checkpointing_enable()
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
        if found := re.match(r"(score|train step) (\S+): (\d+) ms", line):
            what, shape, ms = found.groups()
            times[precision, what, shape] = float(ms)
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
        precision, what, shape = key
        a, b = statistics.median(mine[key]), statistics.median(theirs[key])
        ratio = statistics.median(b / a for a, b in zip(mine[key], theirs[key]))
        print(f"{precision} {what} {shape}: {a:.0f} ms, PyTorch {b:.0f} ms; median of the turns' ratios {ratio:.2f}")


main()
