#!/usr/bin/env python3
"""Makes small random models in Hugging Face layout: tiny-model/ and tiny-encoder/ (BERT), and one of each other family.

needs  pip install torch transformers tokenizers safetensors   (CPU is enough)
run    python make_tiny_model.py        in this folder; the seed is fixed, the files come out the same

tiny-model/    BertForSequenceClassification with one label, as an exported reranker looks
tiny-encoder/  the same encoder and pooler as all-MiniLM-L6-v2 is published: tensor names without `bert.`, an I64
               `embeddings.position_ids`, no classifier. Like MiniLM's, its tokenizer.json carries a fixed padding and
               a short truncation that a reader must override.
tiny-xlm-roberta/  XLMRobertaForSequenceClassification: Unigram after a small Precompiled normalizer, positions from 2
tiny-roberta/      RobertaForSequenceClassification: byte-level BPE, also as vocab.json and merges.txt
tiny-electra/      ElectraForSequenceClassification: embeddings half as wide as the layers
tiny-distilbert/   DistilBertForSequenceClassification: no token types
tiny-deberta-v2/   DebertaV2ForSequenceClassification, as DeBERTa-v3 and mxbai-rerank-v1 are: projections shared between
                   contents and positions, 16 buckets for distances, their vectors normalised
tiny-deberta-v2-unshared/  the same class with all that the published ones lack: projections for positions, a vector
                   for each distance up to 24, token types, a table of absolute positions, a tanh pooler
"""
import base64
import collections
import json
import math
import pathlib
import shutil
import string
import zlib

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, decoders
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20240
VOCAB_SIZE = 1200
MAX_POSITIONS = 128
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

CORPUS = """
A valve that sticks open lets the pump run dry, and a dry pump wears out its bearing within a week. Before you replace
the bearing, drain the housing, loosen the four bolts of the cover and check the seal for cracks. The pressure at the
outlet should stay between two and three bar; above four bar the relief valve opens and water returns to the tank.
How often must the filter be cleaned? The manual says once a month in normal use, and once a week when the water is
hard or the supply comes from a well. What is the warning light for? It shows that the temperature of the motor has
passed its limit, that a sensor has failed, or that the battery is low. Press the reset button for five seconds.
The license of the standard edition allows three users; the team edition allows twenty, and the enterprise edition has
no limit. Backups are kept for thirty days in the standard edition and for one year in the others. To restore a backup,
stop the server, copy the archive into the data directory and start the server with the option restore. A version
before four cannot read archives written by version five. The default port is 8080 and it can be changed in the
configuration file. Requests without a valid token are refused with status 401, and more than sixty requests in a
minute with status 429. Errors are written to the log, with the time, the request and the name of the service.
The heart pumps blood through the lungs, where it takes up oxygen, and then through the body. Patients with high blood
pressure were treated with a low dose for twelve weeks, and the results were compared with those of a control group.
Cells that lack the gene do not divide, which suggests that the protein is needed for growth. The study found no
difference in risk between the two groups, but the sample was small and the effect may have been missed. Mice fed
with a high fat diet gained weight and showed a lower response to insulin. The infection spreads through water and food,
and a vaccine protects most children for about ten years.
The river rises in the mountains in the north, flows past the old town and reaches the sea near the harbour. In winter
the road over the pass is closed by snow, and travellers take the train through the tunnel. The museum is open from
nine to five, except on Monday; children and students pay half. The castle was built in the thirteenth century, burned
down in a war, and was rebuilt by the king as a summer house. Farmers in the valley grow wheat, potatoes and apples,
and keep cows and sheep on the higher land. The market is held every Saturday morning on the square behind the church.
The wing of an aircraft produces lift because the flow over its upper surface is faster than the flow below. At high
speed a shock wave forms and the drag increases. A thin plate in a supersonic stream is heated by friction, and the
heat transfer depends on the Mach number and on the state of the boundary layer, which is laminar near the leading edge
and turbulent behind it. The method of solution is given, together with tables of the functions and a comparison of the
theory with experiments. Buckling of a cylindrical shell under axial compression depends on small errors of its shape.
A function takes arguments and returns a value; a list holds values in order, a map finds a value by its key. Read the
file line by line, split each line at the comma and convert the second column to a number. Sort the rows by date, drop
the duplicates and write the result as a table. If the connection is lost, wait a moment and try again, at most three
times, and double the waiting time after each failure. Tests should be short, run fast and say what they expect.
Choose a model, a learning rate and a batch size; train for one epoch, measure on the development set, and keep the best
checkpoint. The query is compared with every passage, and passages are ranked by score. A question that can be answered
by many passages is a poor question. Negative examples that are too easy teach nothing, those that are too hard may be
false negatives. Which documents are relevant, and who has judged them? Precision counts the relevant among those
returned, recall counts the returned among those relevant.
The contract ends on the last day of the third month after notice was given in writing. The tenant pays the rent before
the fifth of each month and keeps the flat clean; the owner repairs the roof, the heating and the lift. Members who
leave before March get back half of the annual fee. The committee meets in April and October and elects a chair, a
treasurer and a secretary. Travel costs are paid on receipt, up to two hundred euros a night for a hotel. Applications
that arrive after the closing date are not considered; complaints must be sent to the office within fourteen days.
Mix the flour with the butter and a pinch of salt, add cold water, and let the dough rest in the fridge for an hour.
Meanwhile chop the onions, fry them in oil until they are soft, and stir in the cream, the eggs and the cheese. Bake at
180 degrees for forty minutes. The bread rises faster in a warm kitchen; the crust turns dark when the oven is too hot.
Her brother plays the violin, his sister sings, and their mother writes songs about the city and the people she knew.
Why did nobody come to the concert? Because it rained, because the date was wrong on the poster, or perhaps because the
hall is hard to find. I think we would like to hear them again next year. Could you please tell me where the station is?
Turn left after the bridge, walk straight on for about ten minutes, and you will see it on your right hand side.
Unbelievable, unknown, unhappy, replay, rework, preheat, workable, readable, careful, careless, quickly, slowly,
darkness, kindness, movement, payment, operation, installation, description, activity, security, larger, largest.
0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 20 24 25 30 32 40 50 60 64 80 90 100 128 200 256 365 404 500 1000 1999 2024
"""
# every printable ASCII character stands alone in the vocabulary, and so do these
ALPHABET = [chr(c) for c in range(33, 127) if not chr(c).isupper()] + list("éßøæœ°§µ€£–—’“”…") + list("中文水泵过热重启压力阀門日本語の")

# sentencepiece's normalization of ten characters, as its trainer compiles it from a normalization_rule_tsv: no-break
# space, tab, newline and zero-width space are spaces; U+2026, U+FB01 and U+00BD are three dots, fi and 1/2; micro is mu;
# e with a combining acute is one character. XLM-R's own map has a quarter of a million bytes.
CHARSMAP = zlib.decompress(base64.b64decode(
    "eNol03mQiHUYB/Bnd9JgphkasRmFlHGuM+U+OpArQm6lrGjcRyJZ6cCqXOUIrZso1zqqpWMpjKSbcpRjVFOUkDufN++8n/f7znyfP34z7/PGDR"
    "FRKqJAgYiC+SK5MndHaoy7KcKdmV3Yo1RqFBI3klU6tJG5Kr8Z8wW9G0n62NA/4mZ5C0UoRlFuJY0tjSOKy9soQUlup/T1I0QZ7uAu7mTpioiy"
    "sjzlqEgFKlOJKqRTjarUoDp3U5N7qEVt7qUudahPPRrSAMeKRtxHEx7gfpryIM1pRgseohUtaUNr2vIwj9CODrTnUTrSmU50pQvd6UZPevA4j/"
    "EEvejNk/Qhg748xdP0o38yMyM1BsoBDGYQQxnCcIbxDCN4lpGMZhRjeI6xPM+45KMznhd4iRd5hZeZyASymMSrTOZ1XmMqU5jONN5gBjN5k9nM"
    "4i3mMI+5vM18FpDNIhayhMUsS3YAaxDLWck7vMsqVvMea1nDetYle0gOm9jI+2zmQz5I9pBcPmIrn/AxeXzKdrbxOZ+xkx1Jl5MSu+QX7OZL9v"
    "AVe/mGr/mOb/mB79nPPn7iRw5ygMMc4hd+5ihHOM4xTnAqLSV+k78m3YSU+F3+yR9Jx0n+5i/+4TRnOcO/nOMC57nERa5wmf+4+v+/l56eHtWq"
    "VI+MvpG3IvbkxjWmGZEM"
))


def vocabulary():
    """The WordPiece vocabulary, learnt by pair merges with ties broken by spelling.

    (The trainer of the tokenizers package breaks ties by hash order: its vocabulary differs from run to run.)
    """
    split = pre_tokenizers.BertPreTokenizer()
    clean = normalizers.BertNormalizer(lowercase=True)
    counts = collections.Counter(word for word, _ in split.pre_tokenize_str(clean.normalize_str(CORPUS)))
    words = {word: [word[0], *("##" + letter for letter in word[1:])] for word in counts}
    inner = ["##" + letter for letter in string.ascii_lowercase + string.digits]
    vocab = SPECIAL + sorted(ALPHABET) + inner
    longer = set()
    while len(vocab) + len(longer) < VOCAB_SIZE:
        pairs = collections.Counter()
        for word, pieces in words.items():
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += counts[word]
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merged = best[0] + best[1].removeprefix("##")
        longer.add(merged)
        for pieces in words.values():
            for at in range(len(pieces) - 2, -1, -1):
                if tuple(pieces[at : at + 2]) == best:
                    pieces[at : at + 2] = [merged]
    return vocab + sorted(longer)


def tokenizer(vocab):
    ids = {token: index for index, token in enumerate(vocab)}
    out = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    out.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    out.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    out.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    out.add_special_tokens(SPECIAL)
    return out


def write_tokenizer(folder, vocab, like_minilm, tokenizer_class="BertTokenizer"):
    out = tokenizer(vocab)
    if like_minilm:
        out.enable_truncation(max_length=32, strategy="longest_first")
        out.enable_padding(length=32, pad_id=0, pad_type_id=0, pad_token="[PAD]")
    out.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in vocab), encoding="utf-8")
    names = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
    write_json(folder / "special_tokens_map.json", names)
    write_json(folder / "tokenizer_config.json", {
        "do_lower_case": True, **names, "tokenize_chinese_chars": True, "strip_accents": None,
        "do_basic_tokenize": True, "never_split": None, "tokenizer_class": tokenizer_class, "model_max_length": MAX_POSITIONS,
    })


def pieces(size):
    """A Unigram vocabulary: every character, then the most frequent parts of words, with their log probabilities."""
    words = collections.Counter("▁" + word for word in CORPUS.split())
    parts = collections.Counter()
    for word, count in words.items():
        for first in range(len(word)):
            for last in range(first + 2, min(len(word), first + 10) + 1):
                parts[word[first:last]] += count
    letters = sorted(set(ALPHABET) | set(CORPUS) - set("\n ") | {"▁"})
    longer = sorted(parts, key=lambda part: (-parts[part] * (len(part) - 1), part))[: size - len(letters)]
    total = sum(parts[part] for part in longer)
    floor = math.log(1 / total)
    found = [(part, math.log(parts[part] / total)) for part in longer]
    return sorted(found, key=lambda piece: -piece[1]) + [(letter, floor - 2.0) for letter in letters]


def unigram(size):
    special = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocab = special + pieces(size - 5) + [("<mask>", 0.0)]
    out = Tokenizer(models.Unigram(vocab, unk_id=3, byte_fallback=False))
    out.normalizer = normalizers.Precompiled(CHARSMAP)
    out.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")])
    out.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    out.post_processor = processors.TemplateProcessing(
        single=["<s>", "$A", "</s>"], pair=["<s>", "$A", "</s>", "</s>", "$B", "</s>"], special_tokens=[("<s>", 0), ("</s>", 2)])
    return out


def byte_pairs(size):
    """A byte-level BPE vocabulary and its merges, learnt with ties broken by spelling."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    counts = collections.Counter(word for line in CORPUS.split("\n") for word, _ in split.pre_tokenize_str(" " + line))
    words = {word: list(word) for word in counts}
    vocab = ["<s>", "<pad>", "</s>", "<unk>"] + sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = []
    while len(vocab) < size - 1:
        pairs = collections.Counter()
        for word, parts in words.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[word]
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        vocab.append("".join(best))
        for parts in words.values():
            for at in range(len(parts) - 2, -1, -1):
                if tuple(parts[at : at + 2]) == best:
                    parts[at : at + 2] = ["".join(best)]
    return {token: index for index, token in enumerate(vocab + ["<mask>"])}, merges


def byte_level(size):
    vocab, merges = byte_pairs(size)
    out = Tokenizer(models.BPE(vocab=vocab, merges=merges, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False))
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True)
    out.decoder = decoders.ByteLevel()
    out.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return out, vocab, merges


def with_angles(out, folder, tokenizer_class, **settings):
    """Adds the special tokens that RoBERTa and XLM-R share, and writes the tokenizer's files."""
    names = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    out.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    out.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False, special=True)])
    out.save(str(folder / "tokenizer.json"), pretty=False)
    write_json(folder / "tokenizer_config.json", {
        **names, "mask_token": "<mask>", "tokenizer_class": tokenizer_class, "model_max_length": MAX_POSITIONS, **settings})
    mask = {"content": "<mask>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}
    write_json(folder / "special_tokens_map.json", {**names, "mask_token": mask})


def random_classifier(config, folder, seed):
    """Saves a random classifier; noise so large that logits differ by more than rounding errors."""
    model = AutoModelForSequenceClassification.from_config(config).eval()
    random = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in model.state_dict().items():
        noise = torch.randn(tensor.shape, generator=random) * 0.4
        state[name] = (noise + 1.0 if name.lower().endswith(("layernorm.weight", "layer_norm.weight")) else noise).contiguous()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return type(model).__name__


def family(model_type, seed, **shape):
    """A random classifier of a family with one label; the configs are those of the published models, but for the sizes."""
    config = AutoConfig.for_model(
        model_type, attention_probs_dropout_prob=0.1, hidden_act="gelu", hidden_dropout_prob=0.1, hidden_size=16,
        initializer_range=0.02, intermediate_size=32, num_attention_heads=2, num_hidden_layers=2, num_labels=1, **shape)
    folder = fresh("tiny-" + model_type)
    architecture = random_classifier(config, folder, seed)
    told = {key: value for key, value in config.to_diff_dict().items() if key != "transformers_version"}
    told = {"architectures": [architecture], "model_type": model_type, **shape, "hidden_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "intermediate_size": 32, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1, **told, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    write_json(folder / "config.json", {**told, "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}})
    return folder


def families(vocab):
    angles = dict(max_position_embeddings=MAX_POSITIONS + 2, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0, eos_token_id=2)
    folder = family("xlm-roberta", SEED + 1, vocab_size=500, **angles)
    with_angles(unigram(500), folder, "XLMRobertaTokenizer")
    folder = family("roberta", SEED + 2, vocab_size=500, **angles)
    out, ids, merges = byte_level(500)
    with_angles(out, folder, "RobertaTokenizer", add_prefix_space=False, trim_offsets=True)
    (folder / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    folder = family("electra", SEED + 3, vocab_size=len(vocab), embedding_size=8, max_position_embeddings=MAX_POSITIONS,
                    type_vocab_size=2, layer_norm_eps=1e-12, pad_token_id=0)
    write_tokenizer(folder, vocab, like_minilm=False, tokenizer_class="ElectraTokenizer")


def told_by(folder, model_type, shape, seed):
    """A random classifier whose config.json says just what is given, as the hub's does."""
    architecture = random_classifier(AutoConfig.for_model(model_type, num_labels=1, **shape), folder, seed)
    write_json(folder / "config.json", {
        "architectures": [architecture], "model_type": model_type, **shape, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0},
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}})


def distilbert(vocab):
    folder = fresh("tiny-distilbert")
    told_by(folder, "distilbert", dict(
        activation="gelu", attention_dropout=0.1, dim=16, dropout=0.1, hidden_dim=32, initializer_range=0.02,
        max_position_embeddings=MAX_POSITIONS, n_heads=2, n_layers=2, pad_token_id=0, qa_dropout=0.1, seq_classif_dropout=0.2,
        sinusoidal_pos_embds=False, tie_weights_=True, vocab_size=len(vocab)), SEED + 4)
    write_tokenizer(folder, vocab, like_minilm=False, tokenizer_class="DistilBertTokenizer")


def deberta(name, seed, **shape):
    folder = fresh(name)
    told_by(folder, "deberta-v2", dict(
        attention_probs_dropout_prob=0.1, hidden_act="gelu", hidden_dropout_prob=0.1, hidden_size=16, initializer_range=0.02,
        intermediate_size=32, max_position_embeddings=MAX_POSITIONS, relative_attention=True, pad_token_id=0, layer_norm_eps=1e-7,
        num_attention_heads=2, num_hidden_layers=2, vocab_size=500, pooler_dropout=0, pooler_hidden_size=16, **shape), seed)
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    vocab = [(token, 0.0) for token in special] + pieces(500 - 5) + [("[MASK]", 0.0)]
    out = Tokenizer(models.Unigram(vocab, unk_id=3, byte_fallback=False))
    out.normalizer = normalizers.Sequence([
        normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "), normalizers.NFC(), normalizers.Strip(left=False, right=True)])
    out.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")])
    out.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    out.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    out.add_special_tokens(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])
    out.save(str(folder / "tokenizer.json"), pretty=False)
    names = {"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
             "cls_token": "[CLS]", "mask_token": "[MASK]"}
    write_json(folder / "special_tokens_map.json", names)
    write_json(folder / "tokenizer_config.json", {
        **names, "do_lower_case": False, "split_by_punct": False, "tokenizer_class": "DebertaV2Tokenizer", "vocab_type": "spm",
        "model_max_length": MAX_POSITIONS})


def debertas():
    deberta("tiny-deberta-v2", SEED + 5, type_vocab_size=0, max_relative_positions=-1, position_buckets=16, norm_rel_ebd="layer_norm",
            share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False, pooler_hidden_act="gelu")
    deberta("tiny-deberta-v2-unshared", SEED + 6, type_vocab_size=2, max_relative_positions=24, share_att_key=False,
            pos_att_type=["c2p", "p2c"], position_biased_input=True, pooler_hidden_act="tanh")


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def main():
    vocab = vocabulary()
    shape = dict(
        attention_probs_dropout_prob=0.1, classifier_dropout=None, hidden_act="gelu", hidden_dropout_prob=0.1, hidden_size=32,
        initializer_range=0.2, intermediate_size=64, layer_norm_eps=1e-12, max_position_embeddings=MAX_POSITIONS,
        num_attention_heads=4, num_hidden_layers=2, pad_token_id=0, type_vocab_size=2, vocab_size=len(vocab),
    )
    model = BertForSequenceClassification(BertConfig(num_labels=1, **shape)).eval()
    random = torch.Generator().manual_seed(SEED)
    state = {}
    for name, tensor in model.state_dict().items():
        noise = torch.randn(tensor.shape, generator=random) * 0.2
        state[name] = (noise + 1.0 if name.endswith("LayerNorm.weight") else noise).contiguous()
    model.load_state_dict(state, strict=True)

    folder = fresh("tiny-model")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    common = {"model_type": "bert", "position_embedding_type": "absolute", "use_cache": True, **shape}
    write_json(folder / "config.json", {
        "architectures": ["BertForSequenceClassification"], **common, "dtype": "float32",
        "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0},
        "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
    })
    write_tokenizer(folder, vocab, like_minilm=False)

    folder = fresh("tiny-encoder")
    encoder = {name.removeprefix("bert."): tensor for name, tensor in state.items() if name.startswith("bert.")}
    encoder["embeddings.position_ids"] = torch.arange(MAX_POSITIONS, dtype=torch.int64)[None, :]
    save_file(encoder, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", {"architectures": ["BertModel"], **common})
    write_tokenizer(folder, vocab, like_minilm=True)
    families(vocab)
    distilbert(vocab)
    debertas()
    for weights in HERE.glob("tiny-*/model.safetensors"):
        weights.chmod(0o644)
    print(f"{len(vocab)} tokens, {sum(tensor.numel() for tensor in state.values())} parameters")


if __name__ == "__main__":
    main()
