//! What ModernBERT's configs may say, in the spelling of the hub and in that of transformers 5.

mod common;

use common::{LOGIT_TOLERANCE, copy_of, engine, goldens, oracles};
use serde_json::{Map, Value, json};
use std::path::Path;
use whetstone_model::{CrossEncoder, Engine, PairTokenizer};
use whetstone_records::Silent;

/// A copy of the tiny model with some fields of its config changed or `removed`.
fn model(changes: Value) -> tempfile::TempDir {
    let folder = copy_of("tiny-modernbert");
    let path = folder.path().join("config.json");
    let mut config: Map<String, Value> =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (key, value) in changes.as_object().unwrap() {
        config.insert(key.clone(), value.clone());
    }
    config.retain(|_, value| *value != json!("removed"));
    std::fs::write(&path, Value::Object(config).to_string()).unwrap();
    folder
}

/// The logits of the goldens' pairs.
fn logits(folder: &Path, engine: &Engine) -> Vec<f32> {
    let goldens = goldens(&oracles().join("goldens-modernbert.json"));
    let pairs: Vec<(&str, &str)> =
        goldens.pairs.iter().map(|p| (p.query.as_str(), p.passage.as_str())).collect();
    let model = CrossEncoder::load(folder, Some(goldens.max_length), engine).unwrap();
    model.score(&pairs, &Silent).unwrap()
}

#[test]
fn with_cls_pooling_the_logits_are_those_of_transformers() {
    let goldens: Value =
        serde_json::from_slice(&std::fs::read(oracles().join("goldens-modernbert.json")).unwrap())
            .unwrap();
    let expected = goldens["logits_cls"].as_array().unwrap();
    // transformers pools the first token where the config does not say.
    for pooling in ["cls", "removed"] {
        let folder = model(json!({ "classifier_pooling": pooling }));
        for engine in [engine(), engine().without_kernels()] {
            let found = logits(folder.path(), &engine);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                let expected = expected.as_f64().unwrap() as f32;
                assert!((found - expected).abs() < LOGIT_TOLERANCE, "{found} {expected}");
            }
        }
    }
}

#[test]
fn the_spelling_of_transformers_5_means_the_same_as_that_of_the_hub() {
    let removed = json!("removed");
    let folder = model(json!({
        "global_attn_every_n_layers": removed, "global_rope_theta": removed, "local_rope_theta": removed,
        "layer_types": ["full_attention", "sliding_attention", "full_attention"],
        "rope_parameters": {
            "full_attention": { "rope_theta": 160_000.0, "rope_type": "default" },
            "sliding_attention": { "rope_theta": 10_000.0, "rope_type": "default" },
        },
    }));
    let expected = logits(&oracles().join("tiny-modernbert"), &engine());
    assert_eq!(logits(folder.path(), &engine()), expected);
    // Each of the fields counts.
    for other in [
        json!({ "global_attn_every_n_layers": 3 }),
        json!({ "layer_types": ["full_attention", "full_attention", "full_attention"] }),
        json!({ "global_rope_theta": 1_000.0 }),
        json!({ "local_rope_theta": null }),
        json!({ "local_attention": 4 }),
        json!({ "rope_parameters": { "sliding_attention": { "rope_theta": 1_000.0 } } }),
    ] {
        let folder = model(other.clone());
        assert_ne!(logits(folder.path(), &engine()), expected, "{other}");
    }
}

#[test]
fn windows_reach_as_far_packed_as_padded() {
    for reach in [0, 2, 6, 200] {
        let folder = model(json!({ "local_attention": 2 * reach }));
        let (packed, padded) = (engine(), engine().without_kernels());
        let (packed, padded) = (logits(folder.path(), &packed), logits(folder.path(), &padded));
        for (packed, padded) in packed.iter().zip(&padded) {
            assert!((packed - padded).abs() < LOGIT_TOLERANCE, "{reach}: {packed} {padded}");
        }
    }
}

#[test]
fn a_modernbert_that_no_code_computes_is_refused_with_key_and_value() {
    for (changes, expected) in [
        (json!({ "hidden_activation": "silu" }), "`hidden_activation` must be gelu, got `silu`"),
        (json!({ "classifier_activation": "relu" }), "`classifier_activation` must be gelu"),
        (json!({ "attention_bias": true }), "`attention_bias` must be false, got `true`"),
        (json!({ "mlp_bias": true }), "`mlp_bias` must be false, got `true`"),
        (json!({ "norm_bias": true }), "`norm_bias` must be false, got `true`"),
        (json!({ "classifier_pooling": "max" }), "must be cls or mean, got `max`"),
        (json!({ "rope_scaling": { "factor": 2.0 } }), "`rope_scaling` must be null"),
        (json!({ "global_attn_every_n_layers": 0 }), "`global_attn_every_n_layers` must be pos"),
        (json!({ "local_rope_theta": -1.0 }), "`local_rope_theta` must be positive, got `-1`"),
        (json!({ "hidden_size": 36 }), "`hidden_size` must be a multiple of twice num_attention"),
        (json!({ "layer_types": ["full_attention"] }), "`layer_types` must be full_attention at"),
        (
            json!({ "layer_types": ["sliding_attention", "full_attention", "full_attention"] }),
            "`layer_types` must be full_attention at every n-th",
        ),
        (
            json!({ "rope_parameters": { "full_attention": { "rope_type": "yarn" } } }),
            "`rope_type` must be default, got `yarn`",
        ),
        (json!({ "norm_eps": 0.0 }), "`norm_eps` must be in (0, 1), got `0`"),
        (json!({ "mlp_dropout": 1.0 }), "`mlp_dropout` must be in [0, 1), got `1`"),
    ] {
        let folder = model(changes.clone());
        let message = PairTokenizer::stored_limit(folder.path()).unwrap_err().to_string();
        assert!(message.contains(expected), "{changes}: {message}");
    }
}
