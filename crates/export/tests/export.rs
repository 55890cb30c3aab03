use std::fs;
use std::path::{Path, PathBuf};
use whetstone_export::{Error, export};
use whetstone_model::{CrossEncoder, DeviceName, Engine};
use whetstone_records::Silent;

const PAIRS: [(&str, &str); 3] = [
    ("what is the limit", "the limit is 60 degrees at the meter"),
    ("what is the limit", "snow"),
    ("", "an empty query is still a pair"),
];

const FAMILIES: [&str; 5] =
    ["tiny-model", "tiny-xlm-roberta", "tiny-roberta", "tiny-electra", "tiny-modernbert"];

fn oracle(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles").join(model)
}

/// A run with one step, as `whetstone train` leaves it.
fn run_folder() -> tempfile::TempDir {
    run_of("tiny-model")
}

fn run_of(model: &str) -> tempfile::TempDir {
    let run = tempfile::tempdir().unwrap();
    let step = run.path().join("step-000007");
    fs::create_dir(&step).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(oracle(model).join(name), step.join(name)).unwrap();
    }
    fs::write(run.path().join("config.toml"), "max-seq-tokens = 32\nmodel = \"tiny\"\n").unwrap();
    fs::write(run.path().join("best.json"), r#"{"step": 7, "ndcg@10": 0.25}"#).unwrap();
    run
}

fn logits(folder: &Path, max_seq_tokens: Option<usize>) -> Vec<f32> {
    let engine = Engine::open(DeviceName::Cpu).unwrap();
    CrossEncoder::load(folder, max_seq_tokens, &engine).unwrap().score(&PAIRS, &Silent).unwrap()
}

#[test]
fn the_exported_folder_gives_the_checkpoints_logits() {
    for model in FAMILIES {
        let run = run_of(model);
        let out = run.path().join("model");
        export(run.path(), &out).unwrap();
        assert_eq!(logits(&out, None), logits(&oracle(model), Some(32)), "{model}");
    }
}

#[test]
fn the_exported_config_names_the_familys_classes_and_says_where_positions_begin() {
    for (model, class, tokenizer, padding) in [
        ("tiny-model", "BertForSequenceClassification", "BertTokenizer", 0),
        ("tiny-xlm-roberta", "XLMRobertaForSequenceClassification", "XLMRobertaTokenizer", 1),
        ("tiny-roberta", "RobertaForSequenceClassification", "RobertaTokenizer", 1),
        ("tiny-electra", "ElectraForSequenceClassification", "ElectraTokenizer", 0),
        (
            "tiny-modernbert",
            "ModernBertForSequenceClassification",
            "PreTrainedTokenizerFast",
            50_283,
        ),
    ] {
        let run = run_of(model);
        for name in ["config.json", "tokenizer_config.json"] {
            // What a base model may leave out.
            let path = run.path().join("step-000007").join(name);
            let mut stated = json(&path);
            let object = stated.as_object_mut().unwrap();
            for key in ["architectures", "pad_token_id", "tokenizer_class", "mask_token"] {
                object.remove(key);
            }
            fs::write(&path, stated.to_string()).unwrap();
        }
        let out = run.path().join("model");
        export(run.path(), &out).unwrap();
        let (config, settings) =
            (json(&out.join("config.json")), json(&out.join("tokenizer_config.json")));
        assert_eq!(config["architectures"], serde_json::json!([class]));
        assert_eq!((&config["pad_token_id"], &config["num_labels"]), (&padding.into(), &1.into()));
        assert_eq!(settings["tokenizer_class"], tokenizer);
        let mask = if padding == 1 { "<mask>" } else { "[MASK]" };
        assert_eq!(
            (&settings["mask_token"], &settings["model_max_length"]),
            (&mask.into(), &32.into())
        );
    }
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn an_export_is_up_to_date_until_the_checkpoint_changes() {
    let run = run_folder();
    let out = run.path().join("model");
    assert!(!export(run.path(), &out).unwrap().up_to_date);
    assert!(export(run.path(), &out).unwrap().up_to_date);
    fs::write(run.path().join("config.toml"), "max-seq-tokens = 24\n").unwrap();
    assert!(!export(run.path(), &out).unwrap().up_to_date);
    let max: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("sentence_bert_config.json")).unwrap()).unwrap();
    assert_eq!(max["max_seq_length"], 24);
}

#[test]
fn the_model_card_states_base_step_measure_and_config() {
    let run = run_folder();
    let out = run.path().join("model");
    export(run.path(), &out).unwrap();
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    for part in
        ["Base model: `tiny`", "Step 7 of its run", "dev queries: 0.2500", "max-seq-tokens = 32"]
    {
        assert!(card.contains(part), "{part} is not in\n{card}");
    }
}

#[test]
fn a_truncated_checkpoint_leaves_no_model_folder() {
    let run = run_folder();
    let weights = run.path().join("step-000007/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let out = run.path().join("model");
    assert!(matches!(export(run.path(), &out), Err(Error::Model(_))));
    assert!(!out.exists());
}

#[test]
fn a_folder_of_the_users_is_not_replaced() {
    let run = run_folder();
    let out = run.path().join("thesis");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("thesis.tex"), "x").unwrap();
    let message = export(run.path(), &out).unwrap_err().to_string();
    assert!(message.contains("was not made by `whetstone export`"), "{message}");
    assert!(out.join("thesis.tex").exists());
}
