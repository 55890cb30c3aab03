#!/usr/bin/env python3
"""Writes what every fuzz target begins with into corpus/TARGET/, and a model that is small enough to be fuzzed.

run    python3 fuzz/seeds.py
"""
import json
import pathlib
import random
import struct

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
HIDDEN, FFN, POSITIONS, WORDS = 8, 16, 64, 96


def seed(target, name, raw):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(raw if isinstance(raw, bytes) else raw.encode())


def vectors(name, rows, columns=None):
    """A weight matrix with its bias, by their names in a BERT."""
    return {f"{name}.weight": [rows, columns] if columns else [rows], f"{name}.bias": [rows]}


def tensors():
    below = "bert.encoder.layer.0."
    shapes = {
        "bert.embeddings.word_embeddings.weight": [WORDS, HIDDEN],
        "bert.embeddings.position_embeddings.weight": [POSITIONS, HIDDEN],
        "bert.embeddings.token_type_embeddings.weight": [2, HIDDEN],
        **vectors("bert.embeddings.LayerNorm", HIDDEN),
        **vectors(below + "attention.output.dense", HIDDEN, HIDDEN),
        **vectors(below + "attention.output.LayerNorm", HIDDEN),
        **vectors(below + "intermediate.dense", FFN, HIDDEN),
        **vectors(below + "output.dense", HIDDEN, FFN),
        **vectors(below + "output.LayerNorm", HIDDEN),
        **vectors("bert.pooler.dense", HIDDEN, HIDDEN),
        **vectors("classifier", 1, HIDDEN),
    }
    for part in ("query", "key", "value"):
        shapes |= vectors(f"{below}attention.self.{part}", HIDDEN, HIDDEN)
    return shapes


def safetensors(dtype="F32"):
    draw, header, data = random.Random(1), {"__metadata__": {"format": "pt"}}, b""
    for name, shape in sorted(tensors().items()):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = [draw.uniform(-1, 1) for _ in range(count)]
        raw = struct.pack(f"<{count}f", *values)
        if dtype == "BF16":
            raw = b"".join(raw[at + 2 : at + 4] for at in range(0, len(raw), 4))
        if dtype == "F16":
            raw = struct.pack(f"<{count}e", *values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def model():
    tiny = ROOT / "tests/oracles/tiny-model"
    config = json.loads((tiny / "config.json").read_text())
    config |= {
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "max_position_embeddings": POSITIONS,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "vocab_size": WORDS,
    }
    tokenizer = json.loads((tiny / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {word: at for word, at in tokenizer["model"]["vocab"].items() if at < WORDS}
    files = {
        "config.json": json.dumps(config, indent=1).encode(),
        "tokenizer.json": json.dumps(tokenizer).encode(),
        "model.safetensors": safetensors(),
    }
    for name, raw in files.items():
        seed("model", name, raw)
    seed("model_config", "bert", files["config.json"])
    seed("tokenizer", "wordpiece", files["tokenizer.json"])
    for dtype in ("F32", "BF16", "F16"):
        seed("weights", dtype.lower(), safetensors(dtype))


def documents():
    kinds = {".md": b"`", ".html": b"a", ".txt": b"b"}  # their remainders by 3 are 0, 1 and 2
    all_of_them = []
    for path in sorted((ROOT / "tests/e2e/corpus").iterdir()):
        raw = kinds[path.suffix] + path.read_bytes()
        seed("documents", path.name, raw)
        all_of_them.append(raw)
    seed("documents", "all", b"\x1c".join(all_of_them[:4]))
    for path in (ROOT / "README.md", ROOT / "docs/queries.md"):
        seed("documents", path.name, kinds[".md"] + path.read_bytes()[:6000])
    extras = {
        "front-matter": b"`---\ntitle: A\ntags: [a, b]\n---\n# B\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn a() {}\n```\n",
        "toml-matter": b"`+++\ntitle = \"A\"\n+++\n<!-- x -->\n# B\ntext ![i](data:image/png;base64,AAAA)\n",
        "site": b"a<html><head><title>A - S</title><style>b{}</style></head><body><nav><a href=x>y</a></nav><main>"
        b"<h1>A</h1><p>one <x-term>two</x-term> <math><mi>x</mi></math></p><table><tr><td>1<td>2</table>"
        b"<p hidden>no</p><script>1</script></main><footer>c</footer></body></html>",
        "scripts": "b日本語の文章です。これは二つ目の文です。\n\nمرحبا بالعالم. هذه جملة.\n\nनमस्ते दुनिया। e\u0301 \u200d".encode(),
    }
    for name, raw in extras.items():
        seed("documents", name, raw)


def vocabularies():
    tiny = ROOT / "tests/oracles/tiny-roberta"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "valve", "opens", "a", "##s", "when", "the"]
    cased = json.dumps({"do_lower_case": False, "cls_token": "[CLS]", "model_max_length": 64})
    seed("vocabulary", "words", "\x1c".join(["0" + "\n".join(words), cased, "", ""]))
    seed("vocabulary", "bare", "0" + "\r\n".join(words))
    vocabulary = json.loads((tiny / "vocab.json").read_text())
    vocabulary = {token: at for token, at in vocabulary.items() if at < WORDS}
    merges = "\n".join((tiny / "merges.txt").read_text().splitlines()[:20])
    settings = (tiny / "tokenizer_config.json").read_text()
    for name, added in (("pairs", ""), ("added", json.dumps({"<x>": WORDS - 1}))):
        seed("vocabulary", name, "\x1c".join(["1" + json.dumps(vocabulary), settings, added, merges]))


def folders():
    passages = [{"_id": f"p{at}", "title": "a", "text": f"the valve {at} opens"} for at in range(3)]
    queries = [{"_id": f"q{at}", "text": "when does it open", "metadata": {}} for at in range(3)]
    lines = ["\n".join(map(json.dumps, records)) for records in (passages, queries)]
    head = "query-id\tcorpus-id\tscore\n"
    train, test = head + "q0\tp0\t1\nq1\tp9\t1\n", head + "q1\tp1\t2\nq2\tp2\t0\n"
    seed("gather", "both", "\x1c".join([*lines, train, test]))
    seed("gather", "train", "\x1c".join([*lines, train]))


def requests():
    bodies = {
        "tei": {"query": "a", "texts": ["b", "c"], "truncate": True, "truncation_direction": "left", "raw_scores": False},
        "cohere": {"model": "m", "query": "a", "documents": ["b", {"text": "c"}], "top_n": 1, "rank_fields": ["text"]},
        "first": {"query": "a", "documents": ["b", "c"], "first_stage_scores": {"bm25": [1.5, None]}, "max_tokens_per_doc": 9},
        "both": {"query": "a", "texts": ["b"], "documents": ["b"], "return_documents": False, "return_text": True},
        "wrong": {"query": 1, "texts": "b", "documents": [None], "top_n": -1},
    }
    for name, body in bodies.items():
        seed("request", name, json.dumps(body))


def answers():
    texts = {
        "object": '{"questions": ["What is a?", "How \\"b\\"?"]}',
        "items": '[{"question": "What is a?", "answer": "b"}]',
        "lines": "Sure:\n1. What is a?\n2. How is b?\n",
        "fenced": '```json\n{"question": 3, "answer": "2"}\n```',
        "thought": '<think>["no"]</think>{"questions": ["What is a?"]}',
        "channel": "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>{\"grade\": 2.0}",
        "cut": '{"questions": ["What is a?", "Why is th',
        "none": '{"questions": []}',
        "spoken": "Q1: What is a?\nQ2: How is b?\nGrade: 3",
    }
    key = "0123456789abcdef" * 4
    for name, text in texts.items():
        for cut in "01":
            seed("llm_answer", name + cut, cut + text)
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
        line = {"custom_id": key, "response": {"status_code": 200, "body": body}, "error": None}
        seed("llm_batch", name, json.dumps(line) + "\n")
        entry = {"key": key, "subject": "p", "llm": "m", "content": text, "finish_reason": "stop"}
        seed("journal", name, json.dumps(entry | usage | {"wall_ms": 7}) + "\n" + json.dumps(entry)[:40])
    parts = {"choices": [{"message": {"content": [{"type": "text", "text": "a"}], "refusal": "no"}}], "usage": {"prompt_tokens": -1.5}}
    stream = 'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n'
    for name, body in (("parts", parts), ("stream", stream), ("error", {"choices": None, "error": {"message": "no"}})):
        line = {"custom_id": key, "response": {"status_code": 200, "body": body}}
        seed("llm_batch", name, json.dumps(line) + "\n")


def tables():
    seed("run", "measures", (ROOT / "tests/oracles/measures.run").read_bytes()[:2000])
    seed("run", "tabs", "\ufeffq1\tQ0\tp 1\t1\t1e-3\tx\nq1\tQ0\tp2\t2\t-0\tx\n")
    seed("qrels", "trec", (ROOT / "tests/oracles/measures.qrels").read_bytes()[:2000])
    seed("qrels", "beir", "query-id\tcorpus-id\tscore\nq1\tp1\t1\nq1\tp2\t1.0\n")
    query = {"_id": "q1", "text": "what is a", "metadata": {"style": "natural"}}
    passage = {"_id": "a.md#0001", "title": None, "text": "a is b", "metadata": {}}
    negative = {"query_id": "q1", "passage_id": "p1", "miner": "bm25", "rank": 1, "score": 0.5}
    pair = {"query_id": "q1", "passage_id": "p1", "query": "a", "passage": "b", "label": 1.0, "teacher": 2.5}
    for name, record in (("query", query), ("passage", passage), ("negative", negative), ("pair", pair)):
        seed("jsonl", name, (json.dumps(record) + "\n") * 2)


def configs():
    for path in sorted((ROOT / "configs").glob("*.toml")):
        target = "train_config" if "train" in path.name or path.name in ("reference.toml", "judged.toml") else "synth_config"
        seed(target, path.name, path.read_bytes())
        # Without comments mutations hit the keys.
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        seed(target, "bare-" + path.name, "\n".join(lines) + "\n")


if __name__ == "__main__":
    for write in (model, documents, vocabularies, folders, requests, answers, tables, configs):
        write()
