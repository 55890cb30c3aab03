"""PyTorch's side of `just bench`: milliseconds of scoring and of a training step on the shapes of crates/train/benches/step.rs.

needs: torch, transformers        usage: bench_step.py MODEL_DIR [REPEATS]

No padding and no dropout, as there; AdamW; bf16 by autocast. Threads: all cores.
"""
import os, statistics, sys, time
import torch
from transformers import AutoModelForSequenceClassification

model_dir, repeats = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 7
torch.set_num_threads(os.cpu_count())


def network():
    options = {"num_labels": 1, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return AutoModelForSequenceClassification.from_pretrained(model_dir, **options)


def batch(sequences, seq):
    ids = torch.randint(1000, 30000, (sequences, seq), generator=torch.Generator().manual_seed(1))
    types = (torch.arange(seq) >= 12).long().expand(sequences, seq)
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": torch.ones_like(ids)}


def median_ms(run):
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


for name, bf16 in (("F32", False), ("Bf16", True)):
    print(f"PyTorch {name}")
    for sequences, seq in ((32, 128), (30, 256)):
        model, inputs = network().eval(), batch(sequences, seq)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            print(f"score {sequences}x{seq}: {median_ms(lambda: model(**inputs)):.0f} ms", flush=True)
    for sequences, seq in ((16, 128), (16, 256)):
        model, inputs = network().train(), batch(sequences, seq)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)

        def step():
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = model(**inputs).logits
            logits.float().pow(2).mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        print(f"train step {sequences}x{seq}: {median_ms(step):.0f} ms", flush=True)
