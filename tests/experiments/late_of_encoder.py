#!/usr/bin/env python3
"""Makes a folder of late interaction from a bi-encoder's: its own token vectors, an identity as projection, no markers, no masks.

needs  torch, safetensors          usage: late_of_encoder.py BI_ENCODER OUT
"""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file

encoder, out = map(pathlib.Path, sys.argv[1:])
width = json.loads((encoder / "config.json").read_text())["hidden_size"]
(out / "1_Dense").mkdir(parents=True)
for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
    if (encoder / file).exists():
        shutil.copy(encoder / file, out / file)
files = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ],
    "config_sentence_transformers.json": {"query_prefix": "", "document_prefix": "", "query_length": 64, "document_length": 256, "do_query_expansion": False},
    "1_Dense/config.json": {"in_features": width, "out_features": width, "bias": False, "activation_function": "torch.nn.modules.linear.Identity",
                            "use_residual": False},
}
for name, content in files.items():
    (out / name).write_text(json.dumps(content))
save_file({"linear.weight": torch.eye(width)}, out / "1_Dense/model.safetensors", {"format": "pt"})
