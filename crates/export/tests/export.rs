mod common;

use common::{FAMILIES, logits, oracle};
use std::fs;
use std::path::Path;
use whetstone_export::{Error, ExportJob, Format};
use whetstone_model::{CrossEncoder, DeviceName, Engine};
use whetstone_records::{Golden, Manifest, ModelDir, Origin, Silent, read_json};

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

/// Exports a run as a Hugging Face folder alone.
fn export(run: &Path, out: &Path) -> Result<Manifest, Error> {
    whetstone_export::export(&ExportJob::of(run), out)
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
        ("tiny-distilbert", "DistilBertForSequenceClassification", "DistilBertTokenizer", 0),
        ("tiny-deberta-v2", "DebertaV2ForSequenceClassification", "DebertaV2Tokenizer", 0),
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
fn the_origin_states_base_step_measure_and_config() {
    let run = run_folder();
    let out = run.path().join("model");
    export(run.path(), &out).unwrap();
    let origin: Origin = read_json(&ModelDir::new(&out).origin()).unwrap().unwrap();
    assert_eq!((origin.base_model.as_deref(), origin.step), (Some("tiny"), 7));
    assert_eq!((origin.max_seq_tokens, origin.dev_ndcg_at_10), (32, Some(0.25)));
    assert_eq!(origin.config, "max-seq-tokens = 32\nmodel = \"tiny\"\n");
    assert_eq!(origin.template, "[CLS] query [SEP] passage [SEP]");
}

#[test]
fn golden_json_has_the_logits_of_the_exported_weights() {
    let run = run_folder();
    let out = run.path().join("model");
    export(run.path(), &out).unwrap();
    let golden = Golden::read(&ModelDir::new(&out)).unwrap();
    assert_eq!((golden.pairs.len(), golden.max_seq_tokens), (20, 32));
    let engine = Engine::open(DeviceName::Cpu).unwrap();
    let encoder = CrossEncoder::load(&out, None, &engine).unwrap();
    let scores = encoder.score(&golden.texts(), &Silent).unwrap();
    for (pair, score) in golden.pairs.iter().zip(scores) {
        assert!((pair.logit - score).abs() < 1e-6, "{pair:?}: {score}");
    }
}

#[test]
fn pairs_of_a_data_set_become_golden_and_make_the_export_anew() {
    let run = run_folder();
    let (out, data) = (run.path().join("model"), run.path().join("data"));
    let job = ExportJob { data: Some(&data), ..ExportJob::of(run.path()) };
    let pair = |query| {
        format!(
            r#"{{"query":"{query}","passage":"p","label":1.0,"query_id":"1","passage_id":"1"}}"#
        )
    };
    fs::create_dir(&data).unwrap();
    fs::write(data.join("dev.jsonl"), "").unwrap();
    assert!(matches!(whetstone_export::export(&job, &out), Err(Error::NoPairs { .. })));
    fs::write(data.join("dev.jsonl"), pair("dev")).unwrap();
    whetstone_export::export(&job, &out).unwrap();
    fs::write(data.join("test.jsonl"), pair("test")).unwrap();
    assert!(!whetstone_export::export(&job, &out).unwrap().up_to_date);
    let golden = Golden::read(&ModelDir::new(&out)).unwrap();
    assert_eq!((golden.pairs.len(), &*golden.pairs[0].query), (1, "test"));
}

#[test]
fn onnx_files_lie_beside_the_weights_and_are_outputs_of_the_export() {
    let run = run_folder();
    let out = run.path().join("model");
    let formats = [Format::OnnxInt8, Format::Onnx, Format::OnnxF16, Format::Onnx];
    let job = ExportJob { formats: &formats, ..ExportJob::of(run.path()) };
    let manifest = whetstone_export::export(&job, &out).unwrap();
    let sizes = ["model.onnx", "model_fp16.onnx", "model_quantized.onnx"].map(|name| {
        let name = format!("onnx/{name}");
        assert!(manifest.outputs.contains_key(&name), "{name}");
        fs::metadata(out.join(name)).unwrap().len()
    });
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
    assert!(whetstone_export::export(&job, &out).unwrap().up_to_date);
    assert!(!export(run.path(), &out).unwrap().up_to_date);
    assert!(!out.join("onnx").exists());
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

#[test]
fn a_calibration_stays_with_its_weights_and_its_loss_is_told() {
    let run = run_folder();
    let out = run.path().join("model");
    export(run.path(), &out).unwrap();
    let model = ModelDir::new(&out);
    fs::write(model.notes(), "{\"fusion\": 1}").unwrap();
    let formats = [Format::Onnx];
    let again = ExportJob { formats: &formats, ..ExportJob::of(run.path()) };
    let manifest = whetstone_export::export(&again, &out).unwrap();
    assert!(model.onnx().is_file() && !manifest.up_to_date);
    assert_eq!(fs::read_to_string(model.notes()).unwrap(), "{\"fusion\": 1}");
    assert!(!manifest.notes.iter().any(|note| note.contains("calibrat")), "{:?}", manifest.notes);

    let other = run_of("tiny-electra");
    let manifest = export(other.path(), &out).unwrap();
    assert!(!model.notes().exists());
    assert!(manifest.notes.iter().any(|note| note.contains("calibrat")), "{:?}", manifest.notes);
}
