#!/usr/bin/env python3
"""Checks the ONNX export of every family against transformers, in ONNX Runtime.

needs  pip install onnxruntime onnx torch transformers   (CPU is enough)
       for --node  a folder in which `npm install onnxruntime-node @huggingface/transformers` ran
run    python check_onnx_families.py WHETSTONE_BINARY [--node FOLDER] [--families NAME …]

Exports the tiny model of each family, and a random one of four layers of 192 with up to 512 tokens, in f32, f16 and
int8. transformers scores the same pairs alone, in f32. ONNX Runtime gets them alone, in batches of 5 and in one padded
batch. Some pairs have a padding token in their midst. Prints the largest difference of a logit for each family, format
and program; exit code 1 if one is beyond the tolerance.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, logging

from check_onnx import FILES, TOLERANCES, transformers_js, versions
from make_goldens import PAIRS

HERE = pathlib.Path(__file__).resolve().parent
# name: folder, and what its config says otherwise
FAMILIES = {
    "bert": ("tiny-model", {}),
    "roberta": ("tiny-roberta", {}),
    "xlm-roberta": ("tiny-xlm-roberta", {}),
    "camembert": ("tiny-xlm-roberta", {"model_type": "camembert", "architectures": ["CamembertForSequenceClassification"]}),
    "electra": ("tiny-electra", {}),
    "distilbert": ("tiny-distilbert", {}),
    "modernbert": ("tiny-modernbert", {}),
    "modernbert, cls": ("tiny-modernbert", {"classifier_pooling": "cls"}),
    "deberta-v2": ("tiny-deberta-v2-unshared", {}),
    "deberta-v3": ("tiny-deberta-v2", {}),
    "deberta-v3, c2p": ("tiny-deberta-v2", {"pos_att_type": "c2p"}),
    "deberta-v3, p2c": ("tiny-deberta-v2", {"pos_att_type": "p2c"}),
}
# In the spelling of every family; transformers ignores the others.
LARGER = {
    "hidden_size": 192, "dim": 192, "num_attention_heads": 6, "n_heads": 6, "num_hidden_layers": 4, "n_layers": 4,
    "intermediate_size": 384, "hidden_dim": 384, "embedding_size": 96, "pooler_hidden_size": 192, "initializer_range": 0.1,
    "max_position_embeddings": 516, "position_buckets": 256, "local_attention": 128, "global_attn_every_n_layers": 3,
}
LONG = "Before you replace the bearing, drain the housing and check the seal for cracks. "
EXTRA = [("a {pad} in the query", "the {pad}{pad} filter {pad} must be cleaned"), ("seal", LONG * 3), ("worn bearing", LONG * 40)]


def run_folder(base, name, changes, larger):
    """A training run whose best step is the model."""
    step = base / "run" / "step-000001"
    shutil.copytree(HERE / name, step)
    config = json.loads((step / "config.json").read_text()) | changes
    limit = 120
    if larger:
        limit = 512
        sizes = {key: value for key, value in LARGER.items() if key in config or key == "initializer_range"}
        if config["model_type"] == "deberta-v2" and config.get("share_att_key"):
            sizes["position_buckets"] = LARGER["position_buckets"]
        config |= sizes
        (step / "config.json").write_text(json.dumps(config))
        torch.manual_seed(11)
        model = AutoModelForSequenceClassification.from_config(AutoConfig.from_pretrained(step, num_labels=1))
        weights = {key: value.contiguous() for key, value in model.state_dict().items()}
        save_file(weights, step / "model.safetensors")
    (step / "config.json").write_text(json.dumps(config))
    (base / "run/config.toml").write_text(f"max-seq-tokens = {limit}\nmodel = \"tiny\"\n")
    (base / "run/best.json").write_text('{"step": 1, "ndcg@10": 0.5}')
    return base / "run", limit


def tokenized(tokenizer, pairs, limit):
    queries, passages = zip(*pairs)
    return tokenizer(list(queries), list(passages), padding=True, truncation="only_second", max_length=limit, return_tensors="np")


def reference(folder, tokenizer, pairs, limit):
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    with torch.no_grad():
        alone = [tokenized(tokenizer, [pair], limit) for pair in pairs]
        return np.array([model(**{key: torch.tensor(value) for key, value in batch.items()}).logits[0, 0].item() for batch in alone])


def onnx_runtime(path, tokenizer, pairs, limit, expected):
    """Returns the largest difference and the names of the inputs."""
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    worst = 0.0
    for size in (1, 5, len(pairs)):
        logits = []
        for at in range(0, len(pairs), size):
            batch = tokenized(tokenizer, pairs[at:at + size], limit)
            logits += session.run(["logits"], {name: batch[name].astype("int64") for name in names})[0][:, 0].tolist()
        difference = np.abs(np.array(logits) - expected).max()
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return worst, names


def node(model, tokenizer, folder):
    """Returns the program's name, and the largest difference of each format to golden.json."""
    golden = json.loads((model / "golden.json").read_text())
    rows = transformers_js(model, folder, tokenizer, golden)
    logits = [pair["logit"] for pair in golden["pairs"]]
    compared = {row["numbers"]: [abs(a - b) for a, b in zip(row["logits"], logits) if a is not None] for row in rows}
    program = f"{rows[0]['program']}, {len(compared['f32'])} of {len(logits)} pairs"
    return program, {numbers: max(differences) for numbers, differences in compared.items()}


def check(family, larger, args):
    name, changes = FAMILIES[family]
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        run, limit = run_folder(base, name, changes, larger)
        model = base / "model"
        subprocess.run([args.whetstone, "export", "--checkpoint", run, "--out", model, "--format", "onnx,onnx-f16,onnx-int8"],
                       check=True, capture_output=not args.verbose)
        tokenizer = AutoTokenizer.from_pretrained(model)
        pairs = [(query, passage) for query, passage, _ in PAIRS if query]
        pairs += [tuple(text.format(pad=tokenizer.pad_token) for text in pair) for pair in EXTRA]
        expected = reference(model, tokenizer, pairs, limit)
        found = {}
        for numbers, file in FILES.items():
            found[numbers], names = onnx_runtime(model / file, tokenizer, pairs, limit, expected)
        assert set(names) <= set(tokenizer.model_input_names), (names, tokenizer.model_input_names)
        rows = {versions("onnxruntime"): found}
        if args.node:
            program, found = node(model, tokenizer, args.node)
            rows[program] = found
        size = "4 × 192, 512 tokens" if larger else "tiny"
        bad = False
        for program, found in rows.items():
            wrong = {numbers for numbers, worst in found.items() if not worst <= TOLERANCES[numbers]}
            cells = [f"{found[numbers]:.1e}{' FAILED' if numbers in wrong else ''}" for numbers in FILES]
            print(f"| {family} | {size} | {program} | {' | '.join(cells)} | {np.ptp(expected):.2f} |", flush=True)
            bad |= bool(wrong)
        return bad


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("whetstone", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--node")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=list(FAMILIES))
    args = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    print("| family | size | program | f32 | f16 | int8 | logits spread over |\n|---|---|---|---|---|---|---|")
    checks = [check(family, larger, args) for larger in (False, True) for family in args.families]
    sys.exit(1 if any(checks) else 0)


if __name__ == "__main__":
    main()
