//! Models as other tools write them: taken where they are sound, refused by name where not.

mod common;

use common::{FAMILIES, change_json, change_weights, copy_of, engine, oracles, tiny};
use safetensors::Dtype;
use serde_json::json;
use std::path::Path;
use whetstone_model::{BiEncoder, CrossEncoder, HeadStart, PairNetwork, PairTokenizer, head_start};
use whetstone_records::{Hint, Silent};

const PAIRS: [(&str, &str); 3] = [
    ("what is the limit", "the limit is 60 degrees at the meter"),
    ("what is the limit", "snow"),
    ("", "an empty query is still a pair"),
];

fn logits(model: &Path) -> Result<Vec<f32>, whetstone_model::Error> {
    CrossEncoder::load(model, None, &engine())?.score(&PAIRS, &Silent)
}

fn vectors(model: &Path) -> Result<Vec<f32>, whetstone_model::Error> {
    BiEncoder::load(model, &engine())?.encode(&["the limit is 60 degrees", "snow"], &Silent)
}

fn refusal<T>(outcome: Result<T, whetstone_model::Error>) -> String {
    let error = outcome.err().expect("the model is refused");
    format!("{error} | {}", error.hint().unwrap_or_default())
}

#[test]
fn the_public_bert_files_are_read_with_their_old_names_buffers_and_pretraining_heads() {
    for (model, prefix) in [("tiny-model", "bert."), ("tiny-encoder", "")] {
        let folder = copy_of(model);
        change_weights(folder.path(), |file| {
            let renamed = std::mem::take(file).into_iter().map(|(name, tensor)| {
                let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
                (name.replace("LayerNorm.bias", "LayerNorm.beta"), tensor)
            });
            *file = renamed.collect();
            for buffer in ["position_ids", "token_type_ids"] {
                let zeros = (Dtype::I64, vec![1, 128], vec![0; 1024]);
                file.insert(format!("{prefix}embeddings.{buffer}"), zeros);
            }
            for name in ["cls.predictions.bias", "cls.seq_relationship.bias"] {
                file.insert(name.into(), (Dtype::F32, vec![2], vec![0; 8]));
            }
        });
        let original = copy_of(model);
        assert_eq!(vectors(folder.path()).unwrap(), vectors(original.path()).unwrap());
        if model == "tiny-model" {
            assert_eq!(logits(folder.path()).unwrap(), logits(original.path()).unwrap());
        } else {
            PairNetwork::load_or_init_head(folder.path(), None, 1, &engine()).unwrap();
        }
    }
}

#[test]
fn an_encoder_is_read_with_or_without_prefix_and_without_the_heads_of_pretraining() {
    for family in FAMILIES {
        let expected = vectors(&oracles().join(family.model)).unwrap();
        for prefix in [family.prefix, ""] {
            let folder = copy_of(family.model);
            change_weights(folder.path(), |file| {
                let encoder = std::mem::take(file).into_iter().filter_map(|(name, tensor)| {
                    Some((format!("{prefix}{}", name.strip_prefix(family.prefix)?), tensor))
                });
                *file = encoder.collect();
                let heads = match family.prefix {
                    "bert." => ["cls.predictions.bias", "cls.seq_relationship.bias"].as_slice(),
                    "electra." => &[
                        "discriminator_predictions.dense.weight",
                        "generator_predictions.dense.weight",
                        "generator_lm_head.weight",
                    ],
                    "model." => &["decoder.weight", "decoder.bias"],
                    "distilbert." => &["vocab_transform.weight", "vocab_projector.bias"],
                    "deberta." => &[
                        "cls.predictions.bias",
                        "lm_predictions.lm_head.bias",
                        "mask_predictions.dense.weight",
                    ],
                    _ => &["lm_head.dense.weight", "lm_head.bias"],
                };
                let zeros = || (Dtype::F32, vec![2], vec![0; 8]);
                file.extend(heads.iter().map(|&name| (name.to_owned(), zeros())));
                if family.prefix == "roberta." {
                    file.insert(format!("{prefix}pooler.dense.weight"), zeros());
                }
            });
            assert_eq!(vectors(folder.path()).unwrap(), expected, "{family:?} {prefix}");
            assert_eq!(head_start(folder.path(), None).unwrap(), HeadStart::Missing);
            PairNetwork::load_or_init_head(folder.path(), None, 1, &engine()).unwrap();
        }
    }
}

#[test]
fn a_tensor_that_no_part_of_the_network_reads_is_refused_by_name() {
    for family in FAMILIES {
        let folder = copy_of(family.model);
        change_weights(folder.path(), |file| {
            file.insert("qa_outputs.bias".into(), (Dtype::F32, vec![2], vec![0; 8]));
        });
        let message = refusal(logits(folder.path()));
        assert!(message.contains("unused [qa_outputs.bias]"), "{message}");
    }
}

#[test]
fn the_longest_input_is_what_the_table_of_positions_holds() {
    for family in FAMILIES {
        let folder = oracles().join(family.model);
        let long = "pump ".repeat(300);
        let tokenizer = PairTokenizer::open(&folder, 128).unwrap();
        let tokens = tokenizer.tokenize(&[&long]).unwrap();
        let batch = tokenizer.batch([(&tokens[0], &tokens[0])]);
        assert_eq!(batch.tokens(), 128);
        for engine in [engine(), engine().without_kernels()] {
            let model = CrossEncoder::load(&folder, Some(128), &engine).unwrap();
            assert!(model.score(&[("a", &long)], &Silent).unwrap()[0].is_finite());
        }
        let message = refusal(PairTokenizer::open(&folder, 129));
        assert!(message.contains("reads 8 to 128 tokens, `max-seq-tokens` is 129"), "{message}");
    }
}

#[test]
fn half_precision_weights_are_read_as_the_numbers_they_stand_for() {
    let bits = |dtype, value: f32| match dtype {
        Dtype::BF16 => (value.to_bits() >> 16) as u16,
        // A normal number of few bits, as the test chooses them.
        _ => {
            let bits = value.to_bits();
            let exponent = ((bits >> 23) & 0xff) as u16 + 15 - 127;
            ((bits >> 31) as u16) << 15 | exponent << 10 | ((bits >> 13) & 0x3ff) as u16
        }
    };
    let bias = |dtype: Option<Dtype>| {
        let folder = copy_of("tiny-model");
        change_weights(folder.path(), |file| {
            let data = match dtype {
                None => 1.5f32.to_le_bytes().to_vec(),
                Some(dtype) => bits(dtype, 1.5).to_le_bytes().to_vec(),
            };
            let dtype = dtype.unwrap_or(Dtype::F32);
            file.insert("classifier.bias".into(), (dtype, vec![1], data));
        });
        logits(folder.path()).unwrap()
    };
    let expected = bias(None);
    assert_eq!((bias(Some(Dtype::F16)), bias(Some(Dtype::BF16))), (expected.clone(), expected));
}

#[test]
fn two_names_for_one_parameter_are_refused() {
    let folder = copy_of("tiny-model");
    change_weights(folder.path(), |file| {
        let twin = file["bert.embeddings.LayerNorm.weight"].clone();
        file.insert("bert.embeddings.LayerNorm.gamma".into(), twin);
    });
    let message = refusal(logits(folder.path()));
    assert!(message.contains("unused [bert.embeddings.LayerNorm."), "{message}");
}

#[test]
fn a_tokenizer_with_more_tokens_than_embeddings_is_refused_with_both_numbers() {
    let folder = copy_of("tiny-model");
    change_json(&folder.path().join("tokenizer.json"), |tokenizer| {
        let mut token = tokenizer["added_tokens"][0].clone();
        token["id"] = json!(1200);
        token["content"] = json!("[NEW]");
        tokenizer["added_tokens"].as_array_mut().unwrap().push(token);
    });
    for message in [
        refusal(logits(folder.path())),
        refusal(vectors(folder.path())),
        refusal(PairTokenizer::open(folder.path(), 64)),
    ] {
        assert!(message.contains("has 1201 tokens, the model 1200 embeddings"), "{message}");
    }
}

#[test]
fn a_tokenizer_that_was_cut_off_anywhere_is_refused() {
    let folder = copy_of("tiny-model");
    let path = folder.path().join("tokenizer.json");
    let whole = std::fs::read(&path).unwrap();
    let decoder = whole.windows(9).position(|bytes| bytes == b"\"decoder\"").unwrap();
    for length in (0..whole.len()).step_by(997).chain(decoder..decoder + 60) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let refusal = refusal(PairTokenizer::open(folder.path(), 64));
        assert!(refusal.contains("cannot be used as a tokenizer"), "{length}: {refusal}");
    }
}

#[test]
fn a_score_that_is_no_number_is_an_error() {
    for value in [f32::NAN, f32::INFINITY] {
        let folder = copy_of("tiny-model");
        change_weights(folder.path(), |file| {
            let bytes = value.to_le_bytes().to_vec();
            file.insert("classifier.bias".into(), (Dtype::F32, vec![1], bytes));
            let norm = &mut file.get_mut("bert.encoder.layer.1.output.LayerNorm.bias").unwrap().2;
            norm[..4].copy_from_slice(&value.to_le_bytes());
        });
        let message = refusal(logits(folder.path()));
        assert!(message.starts_with("the model's score is no number | "), "{message}");
        let message = refusal(vectors(folder.path()));
        assert!(message.starts_with("the model's vector of a text is no number | "), "{message}");
    }
}

#[test]
fn a_config_that_no_network_has_is_refused_with_key_and_value() {
    for (key, value, expected) in [
        ("model_type", json!("xlnet"), "`xlm-roberta`, `distilbert`, `deberta-v2`, got `xlnet`"),
        ("hidden_act", json!("relu"), "`hidden_act` must be gelu, got `relu`"),
        ("position_embedding_type", json!("relative_key"), "must be absolute, got `relative_key`"),
        ("type_vocab_size", json!(1), "`type_vocab_size` must be at least 2"),
        ("max_position_embeddings", json!(4), "`max_position_embeddings` must be at least 8"),
        ("num_hidden_layers", json!(1u64 << 60), "`num_hidden_layers` must be at most 1024"),
        ("num_attention_heads", json!(0), "`num_attention_heads` must be positive"),
        ("hidden_size", json!(33), "`hidden_size` must be a multiple of num_attention_heads"),
        ("hidden_dropout_prob", json!(1.0), "`hidden_dropout_prob` must be in [0, 1), got `1`"),
        ("layer_norm_eps", json!(-1.0), "`layer_norm_eps` must be in (0, 1), got `-1`"),
        ("vocab_size", json!("many"), "is not the JSON that was expected"),
    ] {
        let folder = copy_of("tiny-model");
        change_json(&folder.path().join("config.json"), |config| config[key] = value.clone());
        let message = refusal(PairTokenizer::stored_limit(folder.path()));
        assert!(message.contains(expected), "{key}: {message}");
    }
    let folder = copy_of("tiny-encoder");
    let path = folder.path().join("config.json");
    change_json(&path, |config| config["hidden_size"] = json!(1 << 20));
    let fresh = PairNetwork::load_or_init_head(folder.path(), None, 1, &engine());
    assert!(refusal(fresh).contains("the config asks for [1200, 1048576]"));
}

#[test]
fn a_config_without_a_model_type_is_berts() {
    let folder = copy_of("tiny-model");
    change_json(&folder.path().join("config.json"), |config| {
        config.as_object_mut().unwrap().remove("model_type");
    });
    assert_eq!(logits(folder.path()).unwrap(), logits(&tiny().0).unwrap());
}

#[test]
fn a_config_without_a_model_type_is_of_the_family_of_its_class() {
    for (model, class) in [
        ("tiny-roberta", "RobertaForMaskedLM"),
        ("tiny-electra", "ElectraModel"),
        ("tiny-distilbert", "DistilBertModel"),
        ("tiny-deberta-v2", "DebertaV2ForMaskedLM"),
    ] {
        let folder = copy_of(model);
        change_json(&folder.path().join("config.json"), |config| {
            config.as_object_mut().unwrap().remove("model_type");
            config["architectures"] = json!([class]);
        });
        assert_eq!(logits(folder.path()).unwrap(), logits(&oracles().join(model)).unwrap());
    }
}
