#!/usr/bin/env python3
"""Makes folders of random models of published sizes, in f16: what they cost is measured, not what they know.

needs  torch, transformers          usage: random_models.py OUT [NAME…]        about 4 GB for all

The tokenizers are those of the tiny models in tests/oracles, which know some hundred pieces: a text has more tokens than with
the published one, the network does not notice. The seed is fixed.
"""
import json
import pathlib
import shutil
import sys

import torch
from transformers import (
    AutoModelForSequenceClassification, BertConfig, DebertaV2Config, DistilBertConfig, ElectraConfig, ModernBertConfig, RobertaConfig,
    XLMRobertaConfig)

ORACLES = pathlib.Path(__file__).resolve().parent.parent / "oracles"
XLM_R = {"vocab_size": 250002, "max_position_embeddings": 8194, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "num_labels": 1}
MODELS = {
    # As BAAI/bge-reranker-base, but with the 8,192 positions of its larger sister.
    "xlm-r-base": ("tiny-xlm-roberta", XLMRobertaConfig(**XLM_R)),
    # As BAAI/bge-reranker-v2-m3.
    "xlm-r-large": (
        "tiny-xlm-roberta",
        XLMRobertaConfig(**XLM_R, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
    ),
    # As Alibaba-NLP/gte-reranker-modernbert-base. The tiny tokenizer has other ids for special tokens.
    "modernbert-base": (
        "tiny-modernbert",
        ModernBertConfig(num_labels=1, classifier_pooling="mean", pad_token_id=0, cls_token_id=2, sep_token_id=3,
                         bos_token_id=2, eos_token_id=3),
    ),
    # As cross-encoder/ms-marco-TinyBERT-L2-v2, ms-marco-MiniLM-L12-v2 and ms-marco-electra-base.
    "tinybert-l2": ("tiny-model", BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, num_labels=1)),
    "minilm-l12": ("tiny-model", BertConfig(hidden_size=384, num_attention_heads=12, intermediate_size=1536, num_labels=1)),
    "electra-base": (
        "tiny-electra",
        ElectraConfig(embedding_size=768, hidden_size=768, num_attention_heads=12, intermediate_size=3072, num_labels=1),
    ),
    "roberta-base": (
        "tiny-roberta",
        RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, num_labels=1),
    ),
    "distilbert-base": ("tiny-distilbert", DistilBertConfig(num_labels=1)),
    # As mixedbread-ai/mxbai-rerank-base-v1.
    "deberta-v3-base": (
        "tiny-deberta-v2",
        DebertaV2Config(vocab_size=128100, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
                        relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
                        pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0, pooler_hidden_size=768,
                        pooler_hidden_act="gelu", num_labels=1),
    ),
}
LONG = ("xlm-r", "modernbert")


def make(out, name):
    tiny, config = MODELS[name]
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_config(config)
    model.half().save_pretrained(out / name)
    for path in (ORACLES / tiny).glob("*token*.json"):
        shutil.copy(path, out / name)
    settings = out / name / "tokenizer_config.json"
    if settings.exists():
        text = json.loads(settings.read_text()) | {"model_max_length": 8192 if name.startswith(LONG) else 512}
        settings.write_text(json.dumps(text, indent=1))
    print(f"{name}: {sum(one.numel() for one in model.parameters()) / 1e6:.1f} M parameters")


def main():
    out, *names = sys.argv[1:]
    for name in names or MODELS:
        make(pathlib.Path(out), name)


main()
