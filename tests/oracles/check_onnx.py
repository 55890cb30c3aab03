#!/usr/bin/env python3
"""Checks the ONNX files of an exported model folder in the programs that load them.

needs  pip install onnxruntime onnx transformers fastembed flashrank
       for --optimum  a Python of its own: pip install optimum-onnx torch (which asks for transformers 4)
       for --node     a folder in which `npm install onnxruntime-node @huggingface/transformers` ran
run    python check_onnx.py MODEL_DIR [--optimum PYTHON] [--node FOLDER]

The logits of golden.json, which are those of Whetstone's engine, must come back from every program: within 1e-4 in
f32, 0.05 in f16, 1 in int8. transformers.js is held to the pairs that it tokenizes as transformers does: it cuts pairs
after they were joined, and keeps unknown characters apart. ONNX Runtime is asked with batches of 1, 3 and 20 pairs, tokenized by
transformers. check_onnx_families.py does so for every family, against transformers' logits.
Prints a table; exit code 1 if a program differs. A program that is not installed is named as not checked.
"""
import argparse
import importlib.metadata
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
FILES = {"f32": "onnx/model.onnx", "f16": "onnx/model_fp16.onnx", "int8": "onnx/model_quantized.onnx"}
TOLERANCES = {"f32": 1e-4, "f16": 5e-2, "int8": 1.0}  # the same as `whetstone verify` has
FLASHRANK = ("ms-marco-MiniLM-L-12-v2", "flashrank-MiniLM-L-12-v2_Q.onnx")  # a name it knows, and the file it then opens
OPTIMUM = """
import json, sys, torch, importlib.metadata as m
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer
folder, limit, pairs = sys.argv[1], int(sys.argv[2]), json.load(sys.stdin)
model = ORTModelForSequenceClassification.from_pretrained(folder)  # finds onnx/model.onnx by itself
tokenizer = AutoTokenizer.from_pretrained(folder)
batch = tokenizer([q for q, _ in pairs], [p for _, p in pairs], padding=True, truncation="only_second", max_length=limit, return_tensors="pt")
print(json.dumps({"version": m.version("optimum-onnx"), "logits": model(**batch).logits[:, 0].tolist()}))
"""


def versions(*names):
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


class Check:
    def __init__(self, folder):
        self.folder = folder
        golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
        self.limit = golden["max_seq_tokens"]
        self.pairs = [(pair["query"], pair["passage"]) for pair in golden["pairs"]]
        self.golden = [pair["logit"] for pair in golden["pairs"]]
        self.failed = False
        print("| program | file | largest difference | allowed |\n|---|---|---|---|")

    def row(self, program, numbers, logits):
        assert len(logits) == len(self.golden), (program, len(logits))
        compared = [(a, b) for a, b in zip(logits, self.golden) if a is not None]
        if len(compared) < len(logits):
            program += f", {len(compared)} of {len(logits)} pairs"
        worst = max(abs(a - b) if math.isfinite(a) else math.inf for a, b in compared)
        bad = worst > TOLERANCES[numbers]
        self.failed |= bad
        print(f"| {program} | {numbers} | {worst:.1e}{' FAILED' if bad else ''} | {TOLERANCES[numbers]:.0e} |", flush=True)

    def files(self):
        return [(numbers, self.folder / name) for numbers, name in FILES.items() if (self.folder / name).is_file()]

    def by_query(self, score):
        """Calls `score` with each query and its passages."""
        logits, at = [], 0
        while at < len(self.pairs):
            query = self.pairs[at][0]
            passages = []
            while at < len(self.pairs) and self.pairs[at][0] == query:
                passages.append(self.pairs[at][1])
                at += 1
            logits += score(query, passages)
        return logits


def onnx_runtime(check):
    import onnx
    import onnxruntime
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(check.folder, local_files_only=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    for numbers, path in check.files():
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        assert [value.name for value in session.get_outputs()] == ["logits"]
        for size in (1, 3, 20):
            logits = []
            for at in range(0, len(check.pairs), size):
                queries, passages = zip(*check.pairs[at:at + size])
                batch = tokenizer(list(queries), list(passages), padding=True, truncation="only_second",
                                  max_length=check.limit, return_tensors="np")
                logits += session.run(["logits"], {name: batch[name].astype("int64") for name in names})[0][:, 0].tolist()
            check.row(f"{versions('onnxruntime', 'transformers')}, batches of {size}", numbers, logits)


def fastembed(check):
    from fastembed.common.model_description import ModelSource
    from fastembed.rerank.cross_encoder import TextCrossEncoder

    for numbers, _ in check.files():
        name = f"own/{numbers}"
        TextCrossEncoder.add_custom_model(model=name, sources=ModelSource(hf=name), model_file=FILES[numbers])
        encoder = TextCrossEncoder(name, specific_model_path=str(check.folder))
        check.row(versions("fastembed"), numbers, check.by_query(lambda query, passages: list(encoder.rerank(query, passages))))


def flashrank(check):
    import onnxruntime
    from flashrank import Ranker, RerankRequest
    from tokenizers import Tokenizer

    name, file = FLASHRANK
    inputs = [value.name for value in onnxruntime.InferenceSession(str(check.files()[0][1])).get_inputs()]
    has_types = any(Tokenizer.from_file(str(check.folder / "tokenizer.json")).encode("a", "b").type_ids)
    if has_types and "token_type_ids" not in inputs:
        print(f"| {versions('flashrank')} | NOT CHECKED: passes token types, which this network does not read | | |")
        return
    for numbers, path in check.files():
        with tempfile.TemporaryDirectory() as cache:
            place = pathlib.Path(cache) / name
            place.mkdir()
            for other in check.folder.iterdir():
                if other.is_file():
                    (place / other.name).symlink_to(other.resolve())
            (place / file).symlink_to(path.resolve())
            ranker = Ranker(name, cache_dir=cache, max_length=check.limit, log_level="ERROR")

            def score(query, passages):
                rows = ranker.rerank(RerankRequest(query, [{"id": i, "text": text} for i, text in enumerate(passages)]))
                # It applies a sigmoid, in f32, where a score near 0 or 1 has lost its logit.
                return [math.log(s / (1 - s)) if 0 < (s := float(row["score"])) < 1 else math.copysign(math.inf, s - 0.5)
                        for row in sorted(rows, key=lambda row: row["id"])]

            logits = check.by_query(score)
            # The sigmoid's rounding, 6e-8, is e^|logit| times as large in the logit.
            logits = [golden if abs(golden) > 6 and abs(found - golden) <= 6e-8 * math.exp(abs(golden)) * 2 else found
                      for found, golden in zip(logits, check.golden)]
            check.row(f"{versions('flashrank')} as `{name}`", numbers, logits)


def optimum(check, python):
    done = subprocess.run([python, "-c", OPTIMUM, str(check.folder), str(check.limit)], input=json.dumps(check.pairs),
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"optimum: {done.stderr[-1500:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    check.row(f"optimum-onnx {found['version']}", "f32", found["logits"])


def transformers_js(model, folder, tokenizer, golden):
    """Returns a row for each ONNX file. A pair that transformers tokenizes in another way has no logit."""
    script = pathlib.Path(__file__).with_suffix(".mjs").read_text()
    place = pathlib.Path(folder) / "check_onnx.mjs"  # node looks for packages beside the script
    place.write_text(script)
    done = subprocess.run(["node", str(place), str(model.resolve())], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"node: {done.stderr[-1500:]}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    own = [tokenizer([pair["query"]], [pair["passage"]], truncation="only_second", max_length=golden["max_seq_tokens"])["input_ids"][0]
           for pair in golden["pairs"]]
    for row in rows:
        row["logits"] = [logit if ids == theirs else None for logit, ids, theirs in zip(row["logits"], own, row["ids"])]
    return rows


def node(check, folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(check.folder, local_files_only=True)
    golden = json.loads((check.folder / "golden.json").read_text(encoding="utf-8"))
    for row in transformers_js(check.folder, folder, tokenizer, golden):
        check.row(row["program"], row["numbers"], row["logits"])


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--optimum")
    parser.add_argument("--node")
    args = parser.parse_args()
    check = Check(args.model)
    if not check.files():
        sys.exit(f"{args.model} has no ONNX file: export it with --format onnx,onnx-f16,onnx-int8")
    for program in (onnx_runtime, fastembed, flashrank):
        try:
            program(check)
        except ModuleNotFoundError as error:
            print(f"| {program.__name__} | NOT CHECKED: {error} | | |")
    if args.optimum:
        optimum(check, args.optimum)
    if args.node:
        node(check, args.node)
    sys.exit(1 if check.failed else 0)


if __name__ == "__main__":
    main()
