#!/usr/bin/env python3
"""Makes tiny-modernbert/, a small random ModernBERT, and goldens-modernbert.json with what transformers says of it.

needs  pip install torch transformers tokenizers safetensors   (CPU is enough)
run    python make_modernbert.py        in this folder; the seed is fixed, the files come out the same

The config is spelt as on the hub (`global_attn_every_n_layers`, `local_rope_theta`). Layers 0 and 2 are global, the
window of layer 1 reaches 4 tokens far, so most pairs are longer than a window. The tokenizer is a byte-level BPE with
the settings of ModernBERT's. Values are computed as in make_goldens.py, but with PyTorch's own attention: the eager one
takes its softmax in float32, where padding that sees no token becomes NaN. `logits_cls` are those of the same weights
with `"classifier_pooling": "cls"`.
"""
import collections

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoTokenizer, ModernBertConfig, ModernBertForSequenceClassification

import make_goldens as goldens
from make_tiny_model import CORPUS, HERE, fresh, write_json

SEED = 20241
VOCAB_SIZE = 700
MAX_LENGTH = 64
MAX_POSITIONS = 128
SPECIAL = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}


def byte_pairs():
    """Vocabulary and merges of a byte-level BPE, learnt with ties broken by spelling."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    counts = collections.Counter(word for word, _ in split.pre_tokenize_str(CORPUS))
    words = {word: list(word) for word in counts}
    vocab, merges = sorted(pre_tokenizers.ByteLevel.alphabet()), []
    while len(vocab) + len(SPECIAL) < VOCAB_SIZE:
        pairs = collections.Counter()
        for word, pieces in words.items():
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += counts[word]
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        vocab.append("".join(best))
        for pieces in words.values():
            at = 0
            while at < len(pieces) - 1:
                if tuple(pieces[at : at + 2]) == best:
                    pieces[at : at + 2] = ["".join(best)]
                at += 1
    return vocab + list(SPECIAL.values()), merges


def tokenizer(vocab, merges):
    ids = {token: index for index, token in enumerate(vocab)}
    out = Tokenizer(models.BPE(ids, merges, fuse_unk=False, byte_fallback=False))
    out.normalizer = normalizers.NFC()
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)
    out.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    out.decoder = decoders.ByteLevel()
    out.add_special_tokens([AddedToken(token, lstrip=token == "[MASK]", normalized=False) for token in SPECIAL.values()])
    return out


def make_model():
    vocab, merges = byte_pairs()
    ids = {token: index for index, token in enumerate(vocab)}
    shape = dict(
        attention_bias=False, attention_dropout=0.0, bos_token_id=ids["[CLS]"], classifier_activation="gelu", classifier_bias=False,
        classifier_dropout=0.0, classifier_pooling="mean", cls_token_id=ids["[CLS]"], embedding_dropout=0.0, eos_token_id=ids["[SEP]"],
        global_attn_every_n_layers=2, global_rope_theta=160000.0, hidden_activation="gelu", hidden_size=32, initializer_range=0.2,
        intermediate_size=24, layer_norm_eps=1e-5, local_attention=8, local_rope_theta=10000.0, max_position_embeddings=MAX_POSITIONS,
        mlp_bias=False, mlp_dropout=0.0, norm_bias=False, norm_eps=1e-5, num_attention_heads=4, num_hidden_layers=3,
        pad_token_id=ids["[PAD]"], position_embedding_type="absolute", sep_token_id=ids["[SEP]"], vocab_size=len(vocab),
    )
    model = ModernBertForSequenceClassification(ModernBertConfig(num_labels=1, **shape)).eval()
    random = torch.Generator().manual_seed(SEED)
    state = {}
    for name, tensor in model.state_dict().items():
        noise = torch.randn(tensor.shape, generator=random) * 0.2
        state[name] = (noise + 1.0 if name.endswith("norm.weight") else noise).contiguous()
    folder = fresh("tiny-modernbert")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    write_json(folder / "config.json", {
        "architectures": ["ModernBertForSequenceClassification"], "model_type": "modernbert", **shape, "dtype": "float32",
        "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0},
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
    })
    tokenizer(vocab, merges).save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "special_tokens_map.json", SPECIAL)
    write_json(folder / "tokenizer_config.json", {
        "clean_up_tokenization_spaces": True, **SPECIAL, "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": MAX_POSITIONS, "tokenizer_class": "PreTrainedTokenizerFast",
    })
    return folder


def load(folder, **change):
    return ModernBertForSequenceClassification.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32, **change).eval()


def near_limit(tokenizer):
    """A query that leaves room for one token of the passage."""
    query = "pump"
    while len(tokenizer(query)["input_ids"]) < MAX_LENGTH - 2:
        query += " pump"
    assert len(tokenizer(query)["input_ids"]) == MAX_LENGTH - 2
    return query


def pair_values(model, tokenizer, pairs):
    options = {"truncation": "only_second", "max_length": MAX_LENGTH, "return_tensors": "pt"}
    whole = tokenizer([q for q, _, _ in pairs], [p for _, p, _ in pairs], padding=True, **options)
    single = [tokenizer([q], [p], **options) for q, p, _ in pairs]
    model.double()
    alone, batched = [goldens.logits(model, batch)[0] for batch in single], goldens.logits(model, whole)
    rows = []
    for at, (query, passage, label) in enumerate(pairs):
        ids = single[at]["input_ids"][0].tolist()
        rows.append({
            "query": query, "passage": passage, "label": label, "input_ids": ids, "token_type_ids": [0] * len(ids),
            "logit": goldens.digits(alone[at]), "logit_batched": goldens.digits(batched[at]),
        })
    return rows, whole


def adamw_losses(model, batch, labels):
    settings = goldens.ADAMW
    groups = [{"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": settings["weight_decay"]},
              {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(settings["beta_1"], settings["beta_2"]), eps=settings["epsilon"])
    losses = []
    for _ in range(goldens.STEPS):
        optimizer.zero_grad()
        loss = goldens.loss_of(model, batch, labels)
        loss.backward()
        losses.append(goldens.digits(loss))
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clip_norm"])
        optimizer.step()
    return losses


def embedding_values(model, tokenizer):
    batch = tokenizer(goldens.TEXTS, padding=True, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
    with torch.no_grad():
        hidden = model.model(**batch).last_hidden_state
    mask = batch["attention_mask"][:, :, None].to(hidden.dtype)
    means = (hidden * mask).sum(1) / mask.sum(1)
    return [{"text": text, "head": goldens.numbers(mean[:8] / mean.norm())} for text, mean in zip(goldens.TEXTS, means)]


def main():
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    folder = make_model()
    tokenizer, model = AutoTokenizer.from_pretrained(folder), load(folder)
    # One text less than for BERT: a literal "[PAD]" has a gradient here that PyTorch leaves out.
    pairs = [(near_limit(tokenizer) if query is None else query, passage.replace("[PAD]", "PAD"), label)
             for query, passage, label in goldens.PAIRS]
    rows, batch = pair_values(model, tokenizer, pairs)
    labels = torch.tensor([label for _, _, label in pairs], dtype=torch.float64)
    values = {
        "about": {
            "made_by": "make_modernbert.py", "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0],
            "model": "tiny-modernbert", "truncation": "only_second", "precision": "float64", "attention": "sdpa", "dropout": 0.0,
        },
        "max_length": MAX_LENGTH,
        "pairs": rows,
        "logits_cls": goldens.numbers(goldens.logits(load(folder, classifier_pooling="cls").double(), batch)),
        "embeddings": embedding_values(model, tokenizer),
    }
    with torch.no_grad():
        loss = goldens.digits(goldens.loss_of(model, batch, labels))
    values["loss"] = {"name": "BCEWithLogitsLoss", "pos_weight": goldens.POS_WEIGHT, "batch": "all pairs, padded", "value": loss}
    values["gradients"] = goldens.gradient_values(model, batch, labels)
    values["adamw"] = {"learning_rate": 1e-3, "losses": adamw_losses(model, batch, labels)}
    goldens.write(HERE / "goldens-modernbert.json", values)
    print(f"{len(rows)} pairs of {min(len(r['input_ids']) for r in rows)} to {max(len(r['input_ids']) for r in rows)} tokens, "
          f"logits {min(r['logit'] for r in rows):.3f} to {max(r['logit'] for r in rows):.3f}, "
          f"alone against batched {max(abs(r['logit'] - r['logit_batched']) for r in rows):.1e}")


if __name__ == "__main__":
    main()
