//! The config files of an exported folder.

use serde_json::{Map, Value, json};
use whetstone_model::Family;

/// The name that makes sentence-transformers return raw logits, as for ms-marco-MiniLM. Without it,
/// a model with one label gets a sigmoid. Only `torch.*` names are trusted there.
const IDENTITY: &str = "torch.nn.modules.linear.Identity";

/// Turns the encoder's `config.json` into that of a cross-encoder with one label.
pub fn exported(mut config: Map<String, Value>, family: &Family) -> Map<String, Value> {
    tidy(&mut config, family);
    config.extend([
        ("architectures".to_owned(), json!([family.export.architecture])),
        ("num_labels".to_owned(), json!(1)),
        ("id2label".to_owned(), json!({ "0": "LABEL_0" })),
        ("label2id".to_owned(), json!({ "LABEL_0": 0 })),
        ("sentence_transformers".to_owned(), json!({ "activation_fn": IDENTITY })),
    ]);
    config
}

/// Turns the encoder's `config.json` into that of a late interaction. PyLate takes a folder for
/// colbert-ai's by the name of its class, so none is named.
pub fn of_encoder(mut config: Map<String, Value>, family: &Family) -> Map<String, Value> {
    tidy(&mut config, family);
    config.remove("architectures");
    config
}

/// Adds what the family leaves out, and removes what describes the base model and the library that
/// wrote it.
fn tidy(config: &mut Map<String, Value>, family: &Family) {
    for (key, value) in (family.export.config_defaults)(config) {
        config.entry(key).or_insert(value);
    }
    for key in [
        "_name_or_path",
        "transformers_version",
        "sbert_ce_default_activation_function",
        "torch_dtype",
    ] {
        config.remove(key);
    }
    config.extend([
        ("model_type".to_owned(), json!(family.model_type)),
        ("dtype".to_owned(), json!("float32")),
    ]);
}

/// Returns `config_sentence_transformers.json`.
pub fn sentence_transformers() -> Value {
    json!({ "model_type": "CrossEncoder", "activation_fn": IDENTITY, "prompts": {}, "default_prompt_name": null })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => exported(map, Family::named("bert").unwrap()),
            _ => unreachable!("the tests give objects"),
        }
    }

    #[test]
    fn one_label_and_the_identity_are_stated() {
        let config = export(
            json!({ "architectures": ["BertModel"], "hidden_size": 8, "_name_or_path": "x" }),
        );
        assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
        assert_eq!(config["id2label"].as_object().unwrap().len(), 1);
        assert_eq!(config["label2id"].as_object().unwrap().len(), 1);
        assert_eq!(config["sentence_transformers"]["activation_fn"], IDENTITY);
        assert_eq!(config["hidden_size"], 8);
        assert!(!config.contains_key("_name_or_path"));
    }

    #[test]
    fn fields_that_the_base_model_states_are_kept_and_the_rest_is_the_familys() {
        let config = export(json!({ "layer_norm_eps": 1e-5, "pad_token_id": 3 }));
        assert_eq!(config["layer_norm_eps"], json!(1e-5));
        assert_eq!(config["pad_token_id"], 3);
        assert_eq!(config["type_vocab_size"], 2);
    }

    #[test]
    fn a_modernbert_in_the_spelling_of_transformers_5_gets_that_of_the_hub_too() {
        let base = json!({
            "layer_types": ["full_attention", "sliding_attention", "full_attention"],
            "rope_parameters": { "full_attention": { "rope_theta": 5e4, "rope_type": "default" } },
        });
        let Value::Object(base) = base else { unreachable!("an object is given") };
        let config = exported(base, Family::named("modernbert").unwrap());
        assert_eq!(config["global_attn_every_n_layers"], 2);
        assert_eq!(
            (&config["global_rope_theta"], &config["local_rope_theta"]),
            (&json!(5e4), &json!(1e4))
        );
        assert!(config.contains_key("layer_types") && config.contains_key("rope_parameters"));
    }
}
