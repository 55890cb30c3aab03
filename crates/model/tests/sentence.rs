//! A bi-encoder does what sentence-transformers' files ask for.

mod common;

use common::{copy_of, engine};
use serde_json::{Value, json};
use std::path::Path;
use whetstone_model::{BiEncoder, Error};
use whetstone_records::{Hint, Silent};

const TEXTS: [&str; 2] = ["the limit is 60 degrees", "snow fell all night"];

/// An encoder with some of the files of sentence-transformers.
fn model(files: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = copy_of("tiny-encoder");
    std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
    for (name, value) in files {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    }
    folder
}

fn modules(kinds: &[&str]) -> (&'static str, Value) {
    let kind =
        |kind: &&str| json!({ "path": "", "type": format!("sentence_transformers.models.{kind}") });
    ("modules.json", kinds.iter().map(kind).collect())
}

fn pooling(modes: Value) -> (&'static str, Value) {
    ("1_Pooling/config.json", modes)
}

fn encode(model: &Path) -> Result<Vec<f32>, Error> {
    BiEncoder::load(model, &engine())?.encode(&TEXTS, &Silent)
}

fn refusal(files: &[(&str, Value)]) -> String {
    let error = encode(model(files).path()).expect_err("the model is refused");
    format!("{error} | {}", error.hint().unwrap_or_default())
}

#[test]
fn without_files_and_with_mean_pooling_the_vectors_are_the_same() {
    let plain = encode(model(&[]).path()).unwrap();
    let old = json!({ "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true });
    for mean in [old, json!({ "pooling_mode": "mean" })] {
        let files = [modules(&["Transformer", "Pooling", "Normalize"]), pooling(mean)];
        assert_eq!(encode(model(&files).path()).unwrap(), plain);
    }
}

#[test]
fn cls_pooling_takes_the_first_token_alone_whoever_else_is_in_the_batch() {
    let old = json!({ "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false });
    let vectors = encode(model(&[pooling(old)]).path()).unwrap();
    assert_ne!(vectors, encode(model(&[]).path()).unwrap());
    let lengths = vectors.chunks_exact(32).map(|row| row.iter().map(|v| v * v).sum::<f32>());
    lengths.for_each(|length| assert!((length - 1.0).abs() < 1e-5, "{length}"));
    let new = model(&[pooling(json!({ "pooling_mode": ["cls"] }))]);
    assert_eq!(encode(new.path()).unwrap(), vectors);
    let encoder = BiEncoder::load(new.path(), &engine()).unwrap();
    let alone = encoder.encode(&TEXTS[1..], &Silent).unwrap();
    alone.iter().zip(&vectors[32..]).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} {b}"));
}

#[test]
fn a_pooling_that_is_not_supported_is_refused_by_name() {
    for (modes, named) in [
        (json!({ "pooling_mode_max_tokens": true }), "cls or mean, got `max_tokens`"),
        (json!({ "pooling_mode": "lasttoken" }), "cls or mean, got `lasttoken`"),
        (
            json!({ "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true }),
            "got `cls_token, mean_tokens`",
        ),
    ] {
        let message = refusal(&[pooling(modes)]);
        assert!(message.contains(named), "{message}");
    }
}

#[test]
fn a_module_that_is_not_supported_is_refused_by_name() {
    let mean = || pooling(json!({ "pooling_mode": "mean" }));
    let message = refusal(&[modules(&["Transformer", "Pooling", "Dense"]), mean()]);
    assert!(message.contains("got `Dense`"), "{message}");
    let message = refusal(&[modules(&["Transformer"]), mean()]);
    assert!(message.contains("got `Transformer alone`"), "{message}");
    let message = refusal(&[modules(&["Transformer", "Pooling"])]);
    assert!(message.starts_with("cannot read") && message.contains("1_Pooling"), "{message}");
    let dot = ("config_sentence_transformers.json", json!({ "similarity_fn_name": "dot" }));
    let message = refusal(&[modules(&["Transformer", "Pooling"]), mean(), dot.clone()]);
    assert!(message.contains("`similarity_fn_name` must be cosine"), "{message}");
    let normalized = model(&[modules(&["Transformer", "Pooling", "Normalize"]), mean(), dot]);
    assert!(encode(normalized.path()).is_ok());
}

#[test]
fn queries_and_passages_have_the_prompts_of_the_model() {
    let plain = BiEncoder::load(model(&[]).path(), &engine()).unwrap();
    let expect = |prompt: &str| {
        let texts = TEXTS.map(|text| format!("{prompt}{text}"));
        plain.encode(&texts.each_ref().map(String::as_str), &Silent).unwrap()
    };
    let check = |settings: Value, query: &str, passage: &str| {
        let folder = model(&[("config_sentence_transformers.json", settings.clone())]);
        let encoder = BiEncoder::load(folder.path(), &engine()).unwrap();
        let queries = encoder.encode_queries(&TEXTS, &Silent).unwrap();
        assert_eq!(queries, expect(query), "queries of {settings}");
        assert_eq!(encoder.encode(&TEXTS, &Silent).unwrap(), expect(passage), "{settings}");
    };
    check(json!({ "prompts": { "query": "search: " } }), "search: ", "");
    check(
        json!({ "prompts": { "query": "search: ", "document": "text: " } }),
        "search: ",
        "text: ",
    );
    check(json!({ "prompts": { "passage": "text: " } }), "", "text: ");
    check(
        json!({ "prompts": { "any": "a: ", "query": "" }, "default_prompt_name": "any" }),
        "",
        "a: ",
    );
    check(json!({ "prompts": {}, "default_prompt_name": null }), "", "");
    let missing = json!({ "prompts": { "query": "" }, "default_prompt_name": "other" });
    let message = refusal(&[("config_sentence_transformers.json", missing)]);
    assert!(message.contains("`default_prompt_name` must be one of `prompts`"), "{message}");
}

#[test]
fn a_prompt_that_pooling_must_leave_out_is_refused() {
    let message = refusal(&[
        pooling(json!({ "pooling_mode": "mean", "include_prompt": false })),
        ("config_sentence_transformers.json", json!({ "prompts": { "query": "search: " } })),
    ]);
    assert!(message.contains("`include_prompt` must be true, got `false`"), "{message}");
}
