#!/usr/bin/env python3
"""Makes tiny-colbert/ and tiny-pylate/, small random models of late interaction, and what PyLate says of them.

needs  pip install pylate   (1.6.0; CPU is enough)
run    python make_late_interaction.py        in this folder; the seed is fixed, the files come out the same

tiny-colbert/  tiny-model's encoder as colbertv2.0 is published: class HF_ColBERT, `linear.weight` beside the encoder,
               artifact.metadata with the lengths and the markers [unused0] and [unused1]
tiny-pylate/   tiny-modernbert's encoder as PyLate saves a model: modules.json, two Dense modules, the second with a
               residual and a bias, the markers "[Q] " and "[D] " as added tokens. Its local layers reach 16 tokens far.
goldens-late-interaction.json  for each model, and for some changes of its settings, the first values of every token's
               vector and the score of each query with each passage, in float64
"""
import json
import shutil
import string

import torch
from pylate import models, scores
from safetensors.torch import load_file, save_file
from sentence_transformers.models import Transformer

from make_tiny_model import HERE, write_json

SEED = 20250
WIDTH = 8
SHOWN = 3
QUERIES = [
    "How often must the filter be cleaned?",
    "  relief valve ",
    "",
    "which passages of the manual say what the warning light of the pump is for, when the motor has passed its limit, a "
    "sensor has failed or the battery is low, and how many seconds the reset button must be pressed",
]
PASSAGES = [
    "The manual says once a month in normal use, and once a week when the water is hard.",
    "Above four bar (at the outlet!) the relief valve opens; water returns to the tank - \U0001f600 5.5 bar.",
    "",
    "A valve that sticks open lets the pump run dry, and a dry pump wears out its bearing within a week. Before you "
    "replace the bearing, drain the housing, loosen the four bolts of the cover and check the seal for cracks. The "
    "pressure at the outlet should stay between two and three bar; above four bar the relief valve opens and water returns.",
]


def random(shape, generator, scale=0.4):
    return torch.randn(shape, generator=generator) * scale


def stanford(generator):
    folder = fresh_copy("tiny-model", "tiny-colbert")
    state = load_file(folder / "model.safetensors")
    state = {name: tensor for name, tensor in state.items() if not name.startswith("classifier.")}
    word = "bert.embeddings.word_embeddings.weight"
    hidden = state[word].shape[1]
    state[word] = torch.cat([state[word], random((2, hidden), generator)])
    state["linear.weight"] = random((WIDTH, hidden), generator)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors", {"format": "pt"})
    markers = ["[unused0]", "[unused1]"]
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    vocab.update({token: len(vocab) + place for place, token in enumerate(markers)})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))
    (folder / "vocab.txt").unlink()
    config = json.loads((folder / "config.json").read_text())
    for key in ["id2label", "label2id", "sentence_transformers"]:
        config.pop(key)
    write_json(folder / "config.json", {**config, "architectures": ["HF_ColBERT"], "vocab_size": len(vocab)})
    write_json(folder / "artifact.metadata", {
        "query_token_id": markers[0], "doc_token_id": markers[1], "query_token": "[Q]", "doc_token": "[D]", "dim": WIDTH,
        "similarity": "cosine", "query_maxlen": 32, "doc_maxlen": 48, "attend_to_mask_tokens": False, "mask_punctuation": True,
        "interaction": "colbert", "checkpoint": "tiny-colbert"})
    return folder


def pylate(generator):
    base = fresh_copy("tiny-modernbert", "tiny-pylate")
    config = json.loads((base / "config.json").read_text())
    write_json(base / "config.json", {**config, "local_attention": 32})
    transformer = Transformer(str(base))
    hidden = transformer.get_word_embedding_dimension()
    first = models.Dense(hidden, 2 * WIDTH, bias=False)
    second = models.Dense(2 * WIDTH, WIDTH, bias=True, use_residual=True)
    torch.manual_seed(SEED)
    model = models.ColBERT(modules=[transformer, first, second], device="cpu", query_length=16, document_length=48)
    with torch.no_grad():
        for dense in (first, second):
            for parameter in dense.parameters():
                parameter.copy_(random(parameter.shape, generator))
        added = transformer.auto_model.get_input_embeddings().weight[-2:]
        added.copy_(random(added.shape, generator))
    shutil.rmtree(base)
    model.save(str(base), create_model_card=False)
    return base


def fresh_copy(source, name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / source, folder)
    return folder


def said(folder, **changes):
    """What PyLate says of the texts, with some settings changed."""
    model = models.ColBERT(str(folder), device="cpu", **changes).double().eval()
    encode = lambda texts, is_query: [torch.from_numpy(model.encode(text, is_query=is_query)) for text in texts]
    queries, passages = encode(QUERIES, True), encode(PASSAGES, False)
    score = lambda query, passage: float(scores.colbert_scores(query[None], passage[None])[0, 0])
    heads = lambda texts: [[round(value, 7) for vector in text for value in vector[:SHOWN].tolist()] for text in texts]
    return {
        "model": folder.name, "changes": changes, "queries": heads(queries), "passages": heads(passages),
        "scores": [[round(score(query, passage), 7) for passage in passages] for query in queries]}


def main():
    generator = torch.Generator().manual_seed(SEED)
    colbert, own = stanford(generator), pylate(generator)
    cases = [
        said(colbert),
        said(own),
        said(own, attend_to_expansion_tokens=True),
        said(own, do_query_expansion=False, skiplist_words=list(string.ascii_lowercase)),
        said(own, query_prefix="", document_prefix=""),
        said(own, query_length=48),
    ]
    goldens = {"shown": SHOWN, "queries": QUERIES, "passages": PASSAGES, "cases": cases}
    (HERE / "goldens-late-interaction.json").write_text(json.dumps(goldens, ensure_ascii=False) + "\n", encoding="utf-8")
    for case in cases:
        print(case["model"], case["changes"], case["scores"])
    for file in [*colbert.rglob("*.safetensors"), *own.rglob("*.safetensors")]:
        file.chmod(0o644)


if __name__ == "__main__":
    main()
