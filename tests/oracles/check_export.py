#!/usr/bin/env python3
"""Checks an exported model folder against the two libraries that people will load it with.

needs  pip install torch transformers sentence-transformers   (CPU is enough)
run    python check_export.py MODEL_DIR WHETSTONE_BINARY

Fails (exit code 1) when a library warns about missing, unexpected or newly initialised weights, when the activation
that CrossEncoder finds in the folder is not the identity, or when one of 20 logits differs by more than 1e-5.
"""
import json
import logging
import math
import pathlib
import re
import subprocess
import sys
import warnings

import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

TOLERANCE = 1e-5  # float32 sums in another order: transformers differs from itself by up to 1e-6 between batched and alone
COMPLAINT = re.compile(r"missing|unexpected|mismatch|newly initiali[sz]ed|not trusted|not used|error", re.IGNORECASE)
LONG = (
    "Before you replace the bearing, drain the housing, loosen the four bolts of the cover and check the seal for cracks. "
    "The pressure at the outlet should stay between two and three bar; above four bar the relief valve opens. "
)
# four passages for each query; a passage is one line
PAIRS = {
    "How often must the filter be cleaned?": [
        "The manual says once a month in normal use, and once a week when the water is hard.",
        "The museum is open from nine to five, except on Monday.",
        "filter",
        "Clean the filter. " * 12 + "Then start the pump.",
    ],
    "relief valve pressure": [LONG.strip(), (LONG * 4).strip(), (LONG * 30).strip(), "4 bar"],
    "où est le café crème?": [
        "Le CAFÉ naïve d'Ångström — “Zoë” coûte 12€ à São Paulo…",
        "水泵過热时，请重启。圧力が高い門のバルブ。",
        "Die Größe der Öffnung beträgt 5 µm ± 0,5 °C.",
        "emoji 🙂👩‍🔧, zero\u200bwidth, no\u00a0break, combining e\u0301",
    ],
    "what does std::fs::read_to_string() return": [
        "fn main() { let x: Vec<u8> = vec![1, 2, 3]; }",
        "It returns a Result<String, std::io::Error> with the whole file as text.",
        "a\tb\tc   d    e",
        "[MASK] is a token, and so is [SEP]",
    ],
    "does a low dose reduce the risk of infection in patients with high blood pressure after twelve weeks of treatment": [
        "No difference in risk was found between the two groups (p = 0.41, 95% CI 0.8-1.3).",
        "!?.,;:-",
        "pneumonoultramicroscopicsilicovolcanoconiosis " + "x" * 120,
        "Yes.",
    ],
}


class Listener(logging.Handler):
    """Keeps every warning of the libraries."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.heard = []

    def emit(self, record):
        self.heard.append(f"{record.name}: {record.getMessage()}")


def load(folder):
    """Both libraries' models, and every complaint that loading raised."""
    listener = Listener()
    for name in ("", "transformers", "sentence_transformers"):
        logging.getLogger(name).addHandler(listener)
    logging.getLogger("transformers").setLevel(logging.WARNING)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cross_encoder = CrossEncoder(str(folder), device="cpu", local_files_only=True)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager", local_files_only=True, output_loading_info=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    heard = listener.heard + [str(warning.message) for warning in caught]
    failures = [message for message in dict.fromkeys(heard) if COMPLAINT.search(message)]
    failures += [f"{key}: {sorted(map(str, names))}" for key, names in info.items() if names]
    return cross_encoder, model.eval(), tokenizer, failures


def transformers_logits(model, tokenizer, pairs):
    """Every pair alone, only the passage truncated."""
    limit = min(tokenizer.model_max_length, model.config.max_position_embeddings)
    logits = []
    with torch.no_grad():
        for query, passage in pairs:
            batch = tokenizer([query], [passage], truncation="only_second", max_length=limit, return_tensors="pt")
            logits.append(model(**batch).logits[0, 0].item())
    return logits


def binary_logits(binary, folder):
    """`whetstone rerank --json`, once for each query, put back into the order of the passages given."""
    logits = []
    for query, passages in PAIRS.items():
        command = [binary, "rerank", "--model", str(folder), "--query", query, "--json"]
        done = subprocess.run(command, input="".join(passage + "\n" for passage in passages), capture_output=True, text=True, encoding="utf-8")
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr.strip()}")
        rows = json.loads(done.stdout)
        assert sorted(row["index"] for row in rows) == list(range(len(passages))), rows
        assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True), "not the highest score first"
        assert all(row["text"] == passages[row["index"]] for row in rows), "text and index do not belong together"
        logits += [row["score"] for row in sorted(rows, key=lambda row: row["index"])]
    return logits


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
    if (folder / "1_Dense").exists():
        sys.exit(f"{folder} is a late interaction, which PyLate loads: check_late.py")
    torch.set_num_threads(min(2, torch.get_num_threads()))
    cross_encoder, model, tokenizer, failures = load(folder)
    pairs = [(query, passage) for query, passages in PAIRS.items() for passage in passages]

    raw = cross_encoder.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False).tolist()
    default = cross_encoder.predict(pairs, show_progress_bar=False).tolist()
    plain = transformers_logits(model, tokenizer, pairs)
    ours = binary_logits(binary, folder)
    if default != raw:
        failures.append(f"CrossEncoder's default activation is {cross_encoder.activation_fn}, not the identity")

    assert all(map(math.isfinite, raw + plain + ours)), "a logit is not a finite number"
    worst = lambda a, b: max(abs(x - y) for x, y in zip(a, b))
    rows = [("whetstone - sentence-transformers", worst(ours, raw)), ("whetstone - transformers", worst(ours, plain)),
            ("sentence-transformers - transformers", worst(raw, plain))]
    print(f"{len(pairs)} pairs, logits {min(plain):.4f} to {max(plain):.4f}, longest input {tokenizer.model_max_length} tokens")
    print("| compared | largest difference | allowed |\n|---|---|---|")
    for name, difference in rows:
        print(f"| {name} | {difference:.1e} | {TOLERANCE:.0e} |")
        if difference > TOLERANCE:
            at = max(range(len(pairs)), key=lambda i: abs(ours[i] - plain[i]))
            failures.append(f"{name}: {difference:.1e}; worst for whetstone: query {pairs[at][0]!r}, passage {pairs[at][1][:60]!r}: {ours[at]} against {plain[at]}")
    for failure in failures:
        print("FAILED:", failure)
    print("default activation: identity" if default == raw else "default activation: NOT the identity")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
