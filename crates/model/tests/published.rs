//! Folders as people publish them: weights in parts, classifiers with several labels, tokenizers
//! without tokenizer.json.

mod common;

use common::{FAMILIES, File, change_json, change_weights, copy_of, engine, oracles};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;
use std::path::Path;
use whetstone_model::{
    BiEncoder, CrossEncoder, Error, HeadStart, PairNetwork, PairTokenizer, Reranker,
    RerankerOptions, head_start, read_tokenizer,
};
use whetstone_records::{Hint, Silent};

const PAIRS: [(&str, &str); 2] =
    [("what is the limit", "the limit is 60 degrees at the meter"), ("what is the limit", "snow")];

fn logits(model: &Path) -> Result<Vec<f32>, Error> {
    CrossEncoder::load(model, None, &engine())?.score(&PAIRS, &Silent)
}

fn logits_of_label(model: &Path, label: &str) -> Result<Vec<f32>, Error> {
    let network = PairNetwork::load_label(model, Some(label), &engine())?;
    let tokenizer = PairTokenizer::open(model, 64)?;
    let texts: Vec<&str> =
        PAIRS.into_iter().flat_map(|(query, passage)| [query, passage]).collect();
    let tokens = tokenizer.tokenize(&texts)?;
    let batch = tokenizer.batch(tokens.chunks_exact(2).map(|pair| (&pair[0], &pair[1])));
    Ok(network.logits(&batch, &engine()))
}

fn refusal<T>(outcome: Result<T, Error>) -> String {
    let error = outcome.err().expect("the model is refused");
    format!("{error} | {}", error.hint().unwrap_or_default())
}

fn write_part(path: &Path, file: &File) {
    let views = file.iter().map(|(name, (dtype, shape, data))| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Splits the weights of a folder into two parts with an index.
fn split(model: &Path) {
    let mut parts = [File::new(), File::new()];
    change_weights(model, |file| {
        for (place, (name, tensor)) in file.iter().enumerate() {
            parts[place % 2].insert(name.clone(), tensor.clone());
        }
    });
    std::fs::remove_file(model.join("model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for (place, part) in parts.iter().enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", place + 1);
        write_part(&model.join(&name), part);
        map.extend(part.keys().map(|tensor| (tensor.clone(), json!(name))));
    }
    let index = json!({ "metadata": {}, "weight_map": map }).to_string();
    std::fs::write(model.join("model.safetensors.index.json"), index).unwrap();
}

#[test]
fn weights_in_parts_are_read_as_the_whole() {
    for family in FAMILIES {
        let folder = copy_of(family.model);
        split(folder.path());
        assert_eq!(logits(folder.path()).unwrap(), logits(&family.folder()).unwrap());
        let vectors = |model: &Path| {
            BiEncoder::load(model, &engine()).unwrap().encode(&["snow"], &Silent).unwrap()
        };
        assert_eq!(vectors(folder.path()), vectors(&family.folder()));
        assert_eq!(head_start(folder.path(), None).unwrap(), HeadStart::Taken);
        let part = folder.path().join("model-00002-of-00002.safetensors");
        let bytes = std::fs::read(&part).unwrap();
        std::fs::write(&part, &bytes[..bytes.len() / 2]).unwrap();
        assert!(refusal(logits(folder.path())).contains("of-00002.safetensors` is not a whole"));
        std::fs::remove_file(&part).unwrap();
        assert!(refusal(logits(folder.path())).starts_with("cannot read"));
    }
}

/// A classifier of three labels. Row i is the family's own row, times the i-th factor.
fn three_labels(family: common::Tiny) -> tempfile::TempDir {
    let folder = copy_of(family.model);
    change_weights(folder.path(), |file| {
        let name = match family.prefix {
            "electra." | "roberta." => "classifier.out_proj",
            _ => "classifier",
        };
        for kind in ["weight", "bias"] {
            let (_, shape, data) = file.get_mut(&format!("{name}.{kind}")).unwrap();
            let values: Vec<f32> =
                data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            let rows = [1.0f32, 2.0, -1.0].map(|factor| values.iter().map(move |v| v * factor));
            *data = rows.into_iter().flatten().flat_map(f32::to_le_bytes).collect();
            shape[0] = 3;
        }
    });
    change_json(&folder.path().join("config.json"), |config| {
        config["id2label"] = json!({"0": "contradiction", "1": "entailment", "2": "not-sure"});
    });
    folder
}

#[test]
fn a_label_is_chosen_by_name_by_number_or_as_a_difference() {
    for family in FAMILIES {
        let (folder, own) = (three_labels(family), logits(&family.folder()).unwrap());
        for (label, factor) in [
            ("contradiction", 1.0),
            ("entailment", 2.0),
            ("ENTAILMENT", 2.0),
            ("1", 2.0),
            ("not-sure", -1.0),
            ("entailment - contradiction", 1.0),
            ("not-sure - entailment", -3.0),
            ("1-2", 3.0),
        ] {
            let found = logits_of_label(folder.path(), label).unwrap();
            for (found, own) in found.iter().zip(&own) {
                assert!((found - factor * own).abs() < 1e-5, "{label}: {found} {own}");
            }
            assert_eq!(head_start(folder.path(), Some(label)).unwrap(), HeadStart::Taken);
        }
        let options = RerankerOptions { head_label: Some("1".into()), ..Default::default() };
        let reranker = Reranker::open_with(folder.path(), options).unwrap();
        let ranking = reranker.rank(PAIRS[1].0, &[PAIRS[1].1]).unwrap();
        assert!((ranking[0].score - 2.0 * own[1]).abs() < 1e-5);
        for label in ["3", "neutral", "entailment - neutral", "entailment - entailment"] {
            let message = refusal(logits_of_label(folder.path(), label));
            assert!(
                message.contains(&format!("has no label `{label}` in `id2label`")),
                "{message}"
            );
            assert!(message.contains("one of contradiction, entailment, not-sure"), "{message}");
            assert!(head_start(folder.path(), Some(label)).is_err());
        }
    }
}

#[test]
fn several_labels_are_refused_by_a_reranker_and_replaced_by_training() {
    for family in FAMILIES {
        let folder = three_labels(family);
        let message = refusal(logits(folder.path()));
        let expected = "gives 3 labels (contradiction, entailment, not-sure), and one is needed";
        assert!(message.contains(expected) && message.contains("`--head-label "), "{message}");
        let labels = ["contradiction", "entailment", "not-sure"].map(str::to_owned).to_vec();
        assert_eq!(head_start(folder.path(), None).unwrap(), HeadStart::Several { labels });
        PairNetwork::load_or_init_head(folder.path(), None, 1, &engine()).unwrap();
    }
    let encoder = oracles().join("tiny-encoder");
    let fresh = PairNetwork::load_or_init_head(&encoder, Some("0"), 1, &engine());
    assert!(refusal(fresh).contains("has no relevance head"));
}

#[test]
fn without_tokenizer_json_the_vocabulary_and_its_settings_give_the_same_tokens() {
    // Some have no vocabulary beside their tokenizer.json.
    let has_vocabulary = |family: &common::Tiny| {
        ["vocab.txt", "vocab.json"].iter().any(|file| family.folder().join(file).exists())
    };
    assert_eq!(FAMILIES.iter().filter(|family| has_vocabulary(family)).count(), 4);
    for family in FAMILIES.into_iter().filter(has_vocabulary) {
        let (folder, goldens) = (copy_of(family.model), family.goldens());
        std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        let tokenizer = PairTokenizer::open(folder.path(), goldens.max_length).unwrap();
        for pair in &goldens.pairs {
            let tokens = tokenizer.tokenize(&[&pair.query, &pair.passage]).unwrap();
            let batch = tokenizer.batch([(&tokens[0], &tokens[1])]);
            assert_eq!(batch.ids, pair.input_ids, "{family:?} {}", pair.query);
        }
        // What an export writes has the family's template for other tools.
        let tokenizer = read_tokenizer(folder.path()).unwrap();
        let pair = &goldens.pairs[1];
        let encoded = tokenizer.encode((&*pair.query, &*pair.passage), true).unwrap();
        assert_eq!(encoded.get_ids(), pair.input_ids);
        assert_eq!(encoded.get_type_ids(), pair.token_type_ids);
    }
}

#[test]
fn the_settings_of_a_tokenizer_are_kept() {
    let tokens = |model: &str, key: &str, value: serde_json::Value, text: &str| {
        let folder = copy_of(model);
        std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
        change_json(&folder.path().join("tokenizer_config.json"), |config| config[key] = value);
        let tokenizer = read_tokenizer(folder.path()).unwrap();
        tokenizer.encode(text, false).unwrap().get_tokens().to_vec()
    };
    let bert = |key, value, text| tokens("tiny-model", key, value, text);
    assert_eq!(bert("do_lower_case", json!(true), "Pump"), ["pump"]);
    assert_eq!(bert("do_lower_case", json!(false), "Pump"), ["[UNK]"]);
    assert_eq!(bert("strip_accents", json!(true), "é"), ["e"]);
    assert_eq!(bert("strip_accents", json!(false), "é"), ["é"]);
    assert_eq!(bert("tokenize_chinese_chars", json!(true), "水泵"), ["水", "泵"]);
    assert_eq!(bert("tokenize_chinese_chars", json!(false), "水泵"), ["[UNK]"]);
    let roberta = |value: bool| tokens("tiny-roberta", "add_prefix_space", json!(value), "the");
    assert_eq!(
        (roberta(true), roberta(false)),
        (vec!["Ġthe".into()], vec!["t".into(), "he".into()])
    );
    let added = json!({ "1200": { "content": "P-101", "special": false, "normalized": false } });
    assert_eq!(bert("added_tokens_decoder", added, "a P-101"), ["a", "P-101"]);
}

#[test]
fn a_model_without_token_types_in_its_inputs_gets_none() {
    let folder = copy_of("tiny-model");
    change_json(&folder.path().join("tokenizer_config.json"), |config| {
        config["model_input_names"] = json!(["input_ids", "attention_mask"]);
    });
    let types = |model: &Path| {
        let tokenizer = PairTokenizer::open(model, 64).unwrap();
        let tokens = tokenizer.tokenize(&["pump", "water"]).unwrap();
        tokenizer.batch([(&tokens[0], &tokens[1])]).types
    };
    assert_eq!(types(folder.path()), [0, 0, 0, 0, 0]);
    assert_eq!(types(&oracles().join("tiny-model")), [0, 0, 0, 1, 1]);
}

#[test]
fn files_that_must_be_converted_come_with_the_line_that_does_it() {
    let folder = copy_of("tiny-xlm-roberta");
    std::fs::rename(
        folder.path().join("tokenizer.json"),
        folder.path().join("sentencepiece.bpe.model"),
    )
    .unwrap();
    let message = refusal(PairTokenizer::open(folder.path(), 64));
    assert!(
        message.contains("sentencepiece.bpe.model` is a SentencePiece model, and there is no")
            && message.contains("from transformers import AutoTokenizer as T"),
        "{message}"
    );
    let folder = copy_of("tiny-roberta");
    let weights = folder.path().join("model.safetensors");
    std::fs::rename(weights, folder.path().join("pytorch_model.bin")).unwrap();
    let message = refusal(logits(folder.path()));
    assert!(
        message.contains("pytorch_model.bin` cannot be read: weights must be safetensors")
            && message.contains("torch.load("),
        "{message}"
    );
}

#[test]
fn files_of_two_models_are_refused_with_a_hint() {
    let folder = copy_of("tiny-xlm-roberta");
    let tokenizer = oracles().join("tiny-model/tokenizer.json");
    change_json(&folder.path().join("config.json"), |config| config["vocab_size"] = json!(1200));
    std::fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    let message = refusal(PairTokenizer::open(folder.path(), 64));
    assert!(
        message.contains("has no token `<s>`, which models of `xlm-roberta` need")
            && message.contains("the tokenizer is of another family than the weights"),
        "{message}"
    );
    let folder = copy_of("tiny-electra");
    change_json(&folder.path().join("config.json"), |config| config["embedding_size"] = json!(16));
    let message = refusal(logits(folder.path()));
    assert!(message.contains("unused [electra.embeddings_project."), "{message}");
    let folder = copy_of("tiny-roberta");
    change_json(&folder.path().join("config.json"), |config| {
        config["intermediate_size"] = json!(8)
    });
    let message = refusal(logits(folder.path()));
    assert!(message.contains("config and weights are of two models"), "{message}");
    change_json(&folder.path().join("config.json"), |config| {
        config["intermediate_size"] = json!(32);
        config["num_hidden_layers"] = json!(3);
    });
    let message = refusal(logits(folder.path()));
    assert!(message.contains("layer.2.") && message.contains(" and 8 more]"), "{message}");
}

#[test]
fn camembert_is_robertas_network_under_another_name() {
    let folder = copy_of("tiny-xlm-roberta");
    change_json(&folder.path().join("config.json"), |config| {
        config["model_type"] = json!("camembert");
    });
    let expected = logits(&oracles().join("tiny-xlm-roberta")).unwrap();
    assert_eq!(logits(folder.path()).unwrap(), expected);
}

#[test]
fn half_precision_weights_in_parts_stand_for_the_same_numbers() {
    for family in FAMILIES {
        let folder = copy_of(family.model);
        let mut rounded = File::new();
        change_weights(folder.path(), |file| {
            for (name, (dtype, shape, data)) in file.iter_mut() {
                // The upper half of an f32 is a bf16.
                let halves: Vec<u8> = data.chunks_exact(4).flat_map(|b| [b[2], b[3]]).collect();
                let whole = halves.chunks_exact(2).flat_map(|b| [0, 0, b[0], b[1]]).collect();
                rounded.insert(name.clone(), (Dtype::F32, shape.clone(), whole));
                (*dtype, *data) = (Dtype::BF16, halves);
            }
        });
        split(folder.path());
        let expected = copy_of(family.model);
        change_weights(expected.path(), |file| *file = rounded);
        assert_eq!(logits(folder.path()).unwrap(), logits(expected.path()).unwrap());
    }
}
