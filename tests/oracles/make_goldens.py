#!/usr/bin/env python3
"""Golden values of Hugging Face transformers: token ids, logits, embeddings, loss, gradients, four AdamW steps.

needs  pip install torch transformers tokenizers safetensors   (CPU is enough)
run    python make_goldens.py                      writes goldens-tiny.json from tiny-model/ and tiny-encoder/,
           and goldens-FAMILY.json from tiny-FAMILY/ of every other family
       python make_goldens.py --model ENCODER_DIR --save-model OUT_DIR --out FILE.json --max-length 256
           the same values, without gradients, for a published encoder such as all-MiniLM-L6-v2. The encoder gets
           a seeded random head; OUT_DIR is the complete model folder that the logits belong to.

Reference values are computed in float64 and written with nine digits, so they show the error of whoever compares.
The fields ending in _f32 are what transformers gives in its usual float32, to know what error is normal.
Eager attention, evaluation mode, so dropout does nothing, also in the loss, the gradients and the steps.
Pairs are tokenized as lists, tokenizer([query], [passage]): for single strings transformers drops an empty passage.
"""
import argparse
import json
import pathlib
import shutil

import torch
import transformers
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, BertForSequenceClassification
from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

HERE = pathlib.Path(__file__).resolve().parent
SEED = 7
POS_WEIGHT = 3.0
LEARNING_RATE = {"tiny": 1e-3, "published": 5e-5}  # 1e-3 would throw a trained encoder about
ADAMW = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.01, "clip_norm": 1.0}
STEPS = 4
FAMILIES = ["xlm-roberta", "roberta", "electra", "distilbert", "deberta-v2", "deberta-v2-unshared"]  # besides BERT
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"]

MANUAL = (
    "Before you replace the bearing, drain the housing, loosen the four bolts of the cover and check the seal for cracks. "
    "The pressure at the outlet should stay between two and three bar; above four bar the relief valve opens and the water "
    "returns to the tank. A dry pump wears out its bearing within a week. The filter must be cleaned once a month. "
)
REPORT = (
    "Patients with high blood pressure were treated with a low dose for twelve weeks, and the results were compared with "
    "those of a control group. No difference in risk was found between the two groups (p = 0.41, 95% CI 0.8-1.3). "
)
# (query, passage, label); labels are soft on purpose
PAIRS = [
    ("pump", "water", 0.0),
    ("How often must the filter be cleaned?", "The manual says once a month in normal use, and once a week when the water is hard.", 1.0),
    ("relief valve pressure", MANUAL, 0.75),
    ("does a low dose reduce the risk", REPORT, 0.5),
    ("replace bearing", MANUAL * 6, 0.9),
    ("difference in risk between the two groups in the study of the low dose over twelve weeks", REPORT * 7, 0.25),
    ("Crème brûlée à l'œuf: où est le café?", "Le CAFÉ naïve d'Ångström — “Zoë” coûte 12€ à São Paulo… ½ ﬁne", 0.1),
    ("泵 过热", "水泵過热时，请重启。圧力が高い門のバルブ。", 0.6),
    ("what does `std::fs::read_to_string()` return?!", "fn main() { let x: Vec<u8> = [1,2,3]; /* C:\\temp\\a_b-c.txt */ } // <html>&amp;</html> #tag @user 50% $9.99 ~^|", 0.0),
    ("empty passage", "", 0.0),
    ("   spaces\tand\nnew lines  ", "zero\u200bwidth, no\u00a0break, soft\u00adhyphen, null\u0000char, emoji 🙂👩‍🔧, combining e\u0301 a\u030a", 0.3),
    ("UPPER lower MiXeD", "pneumonoultramicroscopicsilicovolcanoconiosis " + "x" * 120 + " short", 0.05),
    ("[SEP] in the query", "a passage that says [MASK] and [CLS] and [PAD] as text", 0.2),
    (None, "The query leaves room for one token of this passage.", 0.4),  # None: see near_limit
]
TEXTS = [
    "pump",
    "The filter must be cleaned once a month.",
    "水泵过热, café naïve — 12€!",
    "Patients were treated with a low dose for twelve weeks, and the results were compared with those of a control group of the same age.",
    MANUAL,
    MANUAL * 6,
]


def near_limit(tokenizer, max_length):
    """A query of short words that leaves room for the special tokens and one token of the passage."""
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True) - 1
    words, query = ["pump", "valve", "water", "filter"], ""
    length = lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
    for at in range(room):
        longer = f"{query} {words[at % len(words)]}".strip()
        query = longer if length(longer) <= room else query + " a"
        if length(query) == room:
            return query
    raise AssertionError("no query has that length")


def own_tokens(tokenizer, text):
    """The text with its special tokens, which are BERT's, spelled as the tokenizer has them."""
    own = [tokenizer.sep_token, tokenizer.mask_token, tokenizer.cls_token, tokenizer.pad_token]
    for bert, token in zip(["[SEP]", "[MASK]", "[CLS]", "[PAD]"], own):
        text = text.replace(bert, token)
    return text


def digits(value):
    value = value.item() if isinstance(value, torch.Tensor) else value
    return float(f"{value:.9g}")


def numbers(tensor):
    return [digits(value) for value in tensor.flatten().tolist()]


def logits(model, batch):
    with torch.no_grad():
        return model(**batch).logits[:, 0]


def pair_values(model, tokenizer, pairs, max_length):
    options = {"truncation": "only_second", "max_length": max_length, "return_tensors": "pt"}
    whole = tokenizer([q for q, _, _ in pairs], [p for _, p, _ in pairs], padding=True, **options)
    single = [tokenizer([q], [p], **options) for q, p, _ in pairs]
    untruncated = [len(ids) for ids in tokenizer([q for q, _, _ in pairs], [p for _, p, _ in pairs])["input_ids"]]
    found = {}
    for name, dtype in (("", torch.float64), ("_f32", torch.float32)):
        model.to(dtype)
        found["logit" + name] = torch.stack([logits(model, batch)[0] for batch in single])
        found["logit_batched" + name] = logits(model, whole)
    rows = []
    for at, (query, passage, label) in enumerate(pairs):
        ids = single[at]["input_ids"][0]
        types = single[at].get("token_type_ids", torch.zeros_like(single[at]["input_ids"]))[0]
        # padding must change nothing but the length
        assert whole["input_ids"][at, : len(ids)].tolist() == ids.tolist() and int(whole["attention_mask"][at].sum()) == len(ids)
        rows.append({
            "query": query, "passage": passage, "label": label, "truncated": untruncated[at] > max_length,
            "input_ids": ids.tolist(), "token_type_ids": types.tolist(), **{key: digits(values[at]) for key, values in found.items()},
        })
    return rows, whole


def embedding_values(encoder, tokenizer, max_length):
    encoder.double()
    rows = []
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
    with torch.no_grad():
        hidden = encoder(**batch).last_hidden_state
    mask = batch["attention_mask"][:, :, None].to(hidden.dtype)
    means = (hidden * mask).sum(1) / mask.sum(1)
    for text, ids, kept, mean in zip(TEXTS, batch["input_ids"], batch["attention_mask"], means):
        norm = mean.norm()
        rows.append({"text": text, "input_ids": ids[kept.bool()].tolist(), "norm_before": digits(norm), "head": numbers(mean[:8] / norm)})
    return rows


def loss_of(model, batch, labels):
    weight = torch.tensor(POS_WEIGHT, dtype=model.dtype)
    return torch.nn.BCEWithLogitsLoss(pos_weight=weight)(model(**batch).logits[:, 0], labels.to(model.dtype))


def gradient_values(model, batch, labels):
    model.double().zero_grad()
    loss_of(model, batch, labels).backward()
    found = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        found[name] = {"shape": list(gradient.shape)}
        if gradient.numel() <= 64:
            found[name]["full"] = numbers(gradient)
        else:
            flat = gradient.flatten()
            peak = int(flat.abs().argmax())  # unlike sum and norm, it moves when the tensor is transposed
            found[name] |= {"sum": digits(flat.sum()), "l2": digits(flat.norm()), "peak": [peak, digits(flat[peak])], "head": numbers(flat[:16])}
    return found


def adamw_steps(model, batch, labels, learning_rate):
    """Losses before each step, gradient norms before clipping, and the loss and classifier after the last step.

    The row of the padding token learns as the others do, which matters to the text with a literal "[PAD]".
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None
    plain = [p for p in model.parameters() if p.dim() == 1]
    decayed = [p for p in model.parameters() if p.dim() > 1]
    groups = [{"params": decayed, "weight_decay": ADAMW["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(ADAMW["beta_1"], ADAMW["beta_2"]), eps=ADAMW["epsilon"])
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(model, batch, labels)
        loss.backward()
        losses.append(digits(loss))
        norms.append(digits(torch.nn.utils.clip_grad_norm_(model.parameters(), ADAMW["clip_norm"])))
        optimizer.step()
    with torch.no_grad():
        after = digits(loss_of(model, batch, labels))
    return {"losses": losses, "gradient_norms": norms, "loss_after": after, "classifier_bias_after": numbers(output_of(model).bias),
            "classifier_weight_after": numbers(output_of(model).weight.flatten()[:16])}


def output_of(model):
    """The layer that gives the logit."""
    return getattr(model.classifier, "out_proj", model.classifier)


def deberta_values(folder, batch):
    """Logits with one kind of positions alone, and the rows that distances have in DeBERTa-v3's table."""
    found = {}
    for kind in ("c2p", "p2c"):
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32, pos_att_type=kind).eval()
        found["logits_" + kind] = numbers(logits(model.double(), batch))
    rows = make_log_bucket_position(torch.arange(-511, 512), 256, 512).long() + 256
    found["rows"] = {"buckets": 256, "positions": 512, "rows": rows.clamp(0, 511).tolist()}
    return found


def with_head(folder):
    """The encoder in folder with a seeded random classification head."""
    model = BertForSequenceClassification.from_pretrained(folder, num_labels=1, attn_implementation="eager", dtype=torch.float32)
    random = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.randn(model.classifier.weight.shape, generator=random) * 0.2)
        model.classifier.bias.copy_(torch.randn(model.classifier.bias.shape, generator=random) * 0.2)
    return model


def save(model, source, out):
    out.mkdir(parents=True, exist_ok=True)
    model.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    model.save_pretrained(out)
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, out / name)
    (out / "model.safetensors").chmod(0o644)
    # tokenizer_config.json names the longest input; it must not be longer than the position table
    config = json.loads((out / "tokenizer_config.json").read_text())
    config["model_max_length"] = min(config.get("model_max_length", 512), model.config.max_position_embeddings)
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def write(path, values):
    """JSON with one pair, text or tensor on a line."""
    def lines(value):
        if isinstance(value, list):
            return "[\n" + ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in value) + "\n ]"
        return "{\n" + ",\n".join("  " + json.dumps(key) + ": " + json.dumps(item, ensure_ascii=False) for key, item in value.items()) + "\n }"
    body = ",\n".join(f" {json.dumps(key)}: {lines(value) if isinstance(value, (list, dict)) else json.dumps(value)}" for key, value in values.items())
    path.write_text("{\n" + body + "\n}\n", encoding="utf-8")


def goldens(model_dir, encoder_dir, out, max_length, tiny):
    model = AutoModelForSequenceClassification.from_pretrained(model_dir, attn_implementation="eager", dtype=torch.float32).eval()
    encoder = AutoModel.from_pretrained(encoder_dir, attn_implementation="eager", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    pairs = [(near_limit(tokenizer, max_length) if query is None else query, passage, label) for query, passage, label in PAIRS]
    pairs = [(own_tokens(tokenizer, query), own_tokens(tokenizer, passage), label) for query, passage, label in pairs]

    rows, batch = pair_values(model, tokenizer, pairs, max_length)
    assert len(rows[-1]["input_ids"]) == max_length and rows[-1]["truncated"]
    values = {
        "about": {
            "made_by": "make_goldens.py", "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0],
            "model": model_dir.name if tiny else "a published encoder with a seeded random head", "truncation": "only_second",
            "precision": "float64; *_f32 in float32", "attention": "eager", "dropout": 0.0,
        },
        "max_length": max_length,
        "batch_shape": list(batch["input_ids"].shape),
        "pairs": rows,
        "embeddings": embedding_values(encoder, AutoTokenizer.from_pretrained(encoder_dir), max_length),
    }
    labels = torch.tensor([label for _, _, label in pairs], dtype=torch.float64)
    model.double()
    with torch.no_grad():
        values["loss"] = {"name": "BCEWithLogitsLoss", "pos_weight": POS_WEIGHT, "batch": "all pairs, padded", "value": digits(loss_of(model, batch, labels))}
    if model_dir.name == "tiny-deberta-v2":
        values |= deberta_values(model_dir, batch)
    if tiny:
        values["gradients"] = gradient_values(model, batch, labels)
    rate = LEARNING_RATE["tiny" if tiny else "published"]
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    values["adamw"] = {
        "learning_rate": rate, **ADAMW, "no_decay": "bias and LayerNorm", "clipping": "by global norm, factor min(1, clip_norm / (norm + 1e-6))",
        **adamw_steps(model, batch, labels, rate),
    }
    model.load_state_dict(start)
    values["adamw"]["losses_f32"] = adamw_steps(model.float(), batch, labels, rate)["losses"]
    write(out, values)

    worst = lambda a, b: max(abs(row[a] - row[b]) for row in rows)
    print(f"{out.name}: {len(rows)} pairs, logits {min(r['logit'] for r in rows):.3f} to {max(r['logit'] for r in rows):.3f}; "
          f"alone against batched: float64 {worst('logit', 'logit_batched'):.1e}, float32 {worst('logit_f32', 'logit_batched_f32'):.1e}; "
          f"float32 against float64: {worst('logit', 'logit_f32'):.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, help="folder of a published encoder (default: the tiny models here)")
    parser.add_argument("--save-model", type=pathlib.Path, help="where the encoder with its head is saved")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--family", help="only this one of the tiny models: `bert`, or what follows `tiny-`")
    args = parser.parse_args()

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1 if args.model is None else 2)  # the float32 fields depend on it
    if args.model is not None:
        if args.save_model is None or args.out is None:
            parser.error("--model needs --save-model and --out")
        save(with_head(args.model), args.model, args.save_model)
        return goldens(args.save_model, args.model, args.out, args.max_length, tiny=False)
    for model, encoder, family in [("tiny-model", "tiny-encoder", "bert")] + [(f"tiny-{name}",) * 2 + (name,) for name in FAMILIES]:
        if args.family in (None, family):
            name = "tiny" if family == "bert" else family
            goldens(HERE / model, HERE / encoder, HERE / f"goldens-{name}.json", args.max_length, tiny=True)


if __name__ == "__main__":
    main()
