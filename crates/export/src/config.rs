use serde_json::{Map, Value, json};

/// The name by which sentence-transformers finds the identity: scores are raw logits, as with
/// ms-marco-MiniLM. Without it one label means a sigmoid. Only `torch.*` names are trusted there.
const IDENTITY: &str = "torch.nn.modules.linear.Identity";

/// What BERT means where a config leaves a field out; text-embeddings-inference needs every one of
/// them.
fn bert_defaults() -> [(&'static str, Value); 5] {
    [
        ("pad_token_id", json!(0)),
        ("hidden_act", json!("gelu")),
        ("layer_norm_eps", json!(1e-12)),
        ("type_vocab_size", json!(2)),
        ("max_position_embeddings", json!(512)),
    ]
}

/// Returns the encoder's `config.json` as that of a cross-encoder with one label.
pub fn exported(mut config: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in bert_defaults() {
        config.entry(key).or_insert(value);
    }
    // Of the base model, and of the library that wrote it.
    for key in [
        "_name_or_path",
        "transformers_version",
        "sbert_ce_default_activation_function",
        "torch_dtype",
    ] {
        config.remove(key);
    }
    config.extend([
        ("architectures".to_owned(), json!(["BertForSequenceClassification"])),
        ("model_type".to_owned(), json!("bert")),
        ("dtype".to_owned(), json!("float32")),
        ("num_labels".to_owned(), json!(1)),
        ("id2label".to_owned(), json!({ "0": "LABEL_0" })),
        ("label2id".to_owned(), json!({ "LABEL_0": 0 })),
        ("sentence_transformers".to_owned(), json!({ "activation_fn": IDENTITY })),
    ]);
    config
}

/// Returns `config_sentence_transformers.json`.
pub fn sentence_transformers() -> Value {
    json!({ "model_type": "CrossEncoder", "activation_fn": IDENTITY, "prompts": {}, "default_prompt_name": null })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            _ => unreachable!("the tests give objects"),
        }
    }

    #[test]
    fn one_label_and_the_identity_are_stated() {
        let config = exported(base(
            json!({ "architectures": ["BertModel"], "hidden_size": 8, "_name_or_path": "x" }),
        ));
        assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
        assert_eq!(config["id2label"].as_object().unwrap().len(), 1);
        assert_eq!(config["label2id"].as_object().unwrap().len(), 1);
        assert_eq!(config["sentence_transformers"]["activation_fn"], IDENTITY);
        assert_eq!(config["hidden_size"], 8);
        assert!(!config.contains_key("_name_or_path"));
    }

    #[test]
    fn fields_that_the_base_model_states_are_kept_and_the_rest_is_berts() {
        let config = exported(base(json!({ "layer_norm_eps": 1e-5, "pad_token_id": 3 })));
        assert_eq!(config["layer_norm_eps"], json!(1e-5));
        assert_eq!(config["pad_token_id"], 3);
        assert_eq!(config["type_vocab_size"], 2);
    }
}
