//! What configs and files of DeBERTa-v2 and DistilBERT may say.

mod common;

use common::{LOGIT_TOLERANCE, change_json, change_weights, copy_of, engine, goldens, oracles};
use safetensors::Dtype;
use serde_json::{Value, json};
use std::path::Path;
use whetstone_model::{CrossEncoder, Error, PairTokenizer};
use whetstone_records::{Hint, Silent};

/// A copy of a tiny model with some fields of its config changed, or removed where they are null.
fn changed(model: &str, changes: &Value) -> tempfile::TempDir {
    let folder = copy_of(model);
    change_json(&folder.path().join("config.json"), |config| {
        let config = config.as_object_mut().unwrap();
        config.extend(changes.as_object().unwrap().clone());
        config.retain(|_, value| !value.is_null());
    });
    folder
}

/// The logits of the goldens' pairs.
fn logits(folder: &Path, goldens_of: &str) -> Result<Vec<f32>, Error> {
    let goldens = goldens(&oracles().join(goldens_of));
    let pairs: Vec<(&str, &str)> =
        goldens.pairs.iter().map(|p| (p.query.as_str(), p.passage.as_str())).collect();
    CrossEncoder::load(folder, Some(goldens.max_length), &engine())?.score(&pairs, &Silent)
}

#[test]
fn each_kind_of_position_alone_has_the_logits_of_transformers() {
    let path = oracles().join("goldens-deberta-v2.json");
    let values: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (kind, spelling) in [("c2p", json!(["c2p"])), ("p2c", json!(" P2C "))] {
        let folder = changed("tiny-deberta-v2", &json!({ "pos_att_type": spelling }));
        let found = logits(folder.path(), "goldens-deberta-v2.json").unwrap();
        let expected = values[format!("logits_{kind}")].as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let expected = expected.as_f64().unwrap() as f32;
            assert!((found - expected).abs() < LOGIT_TOLERANCE, "{kind}: {found} {expected}");
        }
    }
}

#[test]
fn fields_that_a_config_leaves_out_have_the_values_of_transformers() {
    let goldens = "goldens-deberta-v2.json";
    let expected = logits(&oracles().join("tiny-deberta-v2"), goldens).unwrap();
    let least = json!({
        "attention_probs_dropout_prob": null, "hidden_act": null, "hidden_dropout_prob": null,
        "layer_norm_eps": null, "type_vocab_size": null, "max_relative_positions": null,
        "pooler_dropout": null, "pooler_hidden_size": null, "pooler_hidden_act": null,
    });
    let folder = changed("tiny-deberta-v2", &least);
    assert_eq!(logits(folder.path(), goldens).unwrap(), expected);
    // Each of these counts.
    for other in [
        json!({ "layer_norm_eps": 1e-2 }),
        json!({ "pooler_hidden_act": "tanh" }),
        json!({ "max_relative_positions": 20 }),
    ] {
        let folder = changed("tiny-deberta-v2", &other);
        assert_ne!(logits(folder.path(), goldens).unwrap(), expected, "{other}");
    }
}

#[test]
fn a_table_of_positions_that_the_config_says_not_to_read_is_passed_over() {
    let goldens = "goldens-deberta-v2.json";
    let folder = copy_of("tiny-deberta-v2");
    change_weights(folder.path(), |file| {
        let table = (Dtype::F32, vec![1, 2], vec![0; 8]);
        file.insert("deberta.embeddings.position_embeddings.weight".into(), table);
    });
    let expected = logits(&oracles().join("tiny-deberta-v2"), goldens).unwrap();
    assert_eq!(logits(folder.path(), goldens).unwrap(), expected);
}

#[test]
fn a_deberta_that_no_code_computes_is_refused_with_key_and_value() {
    for (changes, expected) in [
        (json!({ "hidden_act": "relu" }), "`hidden_act` must be gelu, got `relu`"),
        (json!({ "pooler_hidden_act": "mish" }), "must be gelu or tanh, got `mish`"),
        (json!({ "relative_attention": null }), "`relative_attention` must be true, got `false`"),
        (json!({ "conv_kernel_size": 3 }), "`conv_kernel_size` must be 0 or absent, got `3`"),
        (json!({ "embedding_size": 8 }), "`embedding_size` must be hidden_size, got `8`"),
        (json!({ "pooler_hidden_size": 8 }), "`pooler_hidden_size` must be hidden_size, got `8`"),
        (json!({ "attention_head_size": 7 }), "`attention_head_size` must be hidden_size / num_at"),
        (json!({ "attention_head_size": u64::MAX }), "`attention_head_size` must be hidden_size /"),
        (json!({ "pos_att_type": "p2p" }), "`pos_att_type` must be c2p, p2c or both, got `p2p`"),
        (json!({ "pos_att_type": null }), "`pos_att_type` must be c2p, p2c or both, got ``"),
        (json!({ "pos_att_type": 7 }), "is not the JSON that was expected"),
        (json!({ "position_buckets": 1 }), "`position_buckets` must be -1, or at least 2"),
        (json!({ "position_buckets": 254 }), "below 2 * max_relative_positions - 2, got `254`"),
        (json!({ "position_buckets": i64::MAX }), "`position_buckets` must be -1, or at least 2"),
        (json!({ "max_relative_positions": i64::MAX }), "must be at most 1048576, got `9223"),
        (json!({ "type_vocab_size": 1 }), "`type_vocab_size` must be 0, or at least 2, got `1`"),
        (
            json!({ "max_position_embeddings": 4, "position_buckets": null }),
            "`max_position_embeddings` must be at least 8",
        ),
        (json!({ "num_attention_heads": 0 }), "`num_attention_heads` must be positive, got `0`"),
        (json!({ "hidden_dropout_prob": 1.0 }), "`hidden_dropout_prob` must be in [0, 1)"),
    ] {
        let folder = changed("tiny-deberta-v2", &changes);
        let message = PairTokenizer::stored_limit(folder.path()).unwrap_err().to_string();
        assert!(message.contains(expected), "{changes}: {message}");
    }
    let folder = changed("tiny-deberta-v2", &json!({ "position_buckets": 32 }));
    let message = logits(folder.path(), "goldens-deberta-v2.json").unwrap_err().to_string();
    assert!(message.contains("rel_embeddings.weight` has shape [32, 16]"), "{message}");
}

#[test]
fn a_sentencepiece_model_alone_comes_with_the_line_that_converts_it() {
    let folder = copy_of("tiny-deberta-v2");
    let tokenizer = folder.path().join("tokenizer.json");
    std::fs::rename(tokenizer, folder.path().join("spm.model")).unwrap();
    let error = PairTokenizer::open(folder.path(), 64).err().unwrap();
    assert!(error.to_string().contains("spm.model` is a SentencePiece model"), "{error}");
    assert!(error.hint().unwrap().contains("from transformers import AutoTokenizer as T"));
}

#[test]
fn a_distilbert_in_berts_spelling_is_the_same_network() {
    let goldens = "goldens-distilbert.json";
    let berts = json!({
        "dim": null, "n_heads": null, "n_layers": null, "hidden_size": 16,
        "num_attention_heads": 2, "num_hidden_layers": 2, "dropout": null, "activation": null,
    });
    let folder = changed("tiny-distilbert", &berts);
    let expected = logits(&oracles().join("tiny-distilbert"), goldens).unwrap();
    assert_eq!(logits(folder.path(), goldens).unwrap(), expected);
}

#[test]
fn a_distilbert_that_no_code_computes_is_refused_with_key_and_value() {
    for (changes, expected) in [
        (json!({ "activation": "relu" }), "`activation` must be gelu, got `relu`"),
        (json!({ "n_heads": 0 }), "`n_heads` must be positive, got `0`"),
        (json!({ "dim": 0 }), "`dim` must be positive, got `0`"),
        (json!({ "hidden_dim": 0 }), "`hidden_dim` must be positive, got `0`"),
        (json!({ "n_layers": 1u64 << 60 }), "`num_hidden_layers` must be at most 1024"),
        (json!({ "dim": 15 }), "`dim` must be a multiple of n_heads, got `15`"),
        (json!({ "dropout": 1.5 }), "`dropout` must be in [0, 1), got `1.5`"),
        (json!({ "max_position_embeddings": 2 }), "`max_position_embeddings` must be at least 8"),
    ] {
        let folder = changed("tiny-distilbert", &changes);
        let message = PairTokenizer::stored_limit(folder.path()).unwrap_err().to_string();
        assert!(message.contains(expected), "{changes}: {message}");
    }
}
