//! A late interaction gives the vectors and the scores that PyLate gives.

mod common;

use common::{LOGIT_TOLERANCE, change_json, engine, here, oracles};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;
use whetstone_model::{
    CrossEncoder, Description, Engine, Error, LateInteraction, Reranker, Result, Scorer,
    TokenVectors,
};
use whetstone_records::{Hint, Silent};

/// A score adds up to 48 products, each of which is as exact as a logit.
const SCORE_TOLERANCE: f32 = 10.0 * LOGIT_TOLERANCE;

#[derive(Deserialize)]
struct Goldens {
    /// How many values of each token's vector are given.
    shown: usize,
    queries: Vec<String>,
    passages: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    model: String,
    /// Settings in place of the model's own.
    changes: Map<String, Value>,
    queries: Vec<Vec<f32>>,
    passages: Vec<Vec<f32>>,
    scores: Vec<Vec<f32>>,
}

fn goldens() -> Goldens {
    let path = oracles().join("goldens-late-interaction.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// A copy of a tiny model, with a file changed.
fn changed(model: &str, file: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&oracles().join(model), folder.path());
    change_json(&folder.path().join(file), change);
    folder
}

fn tiny(case: &Case) -> tempfile::TempDir {
    let file = match &case.model[..] {
        "tiny-colbert" => "artifact.metadata",
        _ => "config_sentence_transformers.json",
    };
    changed(&case.model, file, |settings| {
        settings.as_object_mut().unwrap().extend(case.changes.clone());
    })
}

fn load(folder: &Path, engine: &Engine) -> Result<LateInteraction> {
    LateInteraction::load(folder, None, engine)
}

fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Holds the first values of every vector against those given.
fn assert_close(vectors: &TokenVectors, expected: &[Vec<f32>], shown: usize, case: &Case) {
    for (text, expected) in expected.iter().enumerate() {
        let own = vectors.of_text(text).chunks_exact(vectors.width);
        let own: Vec<f32> = own.flat_map(|vector| &vector[..shown]).copied().collect();
        assert_eq!(own.len(), expected.len(), "{} {:?}, text {text}", case.model, case.changes);
        for (own, expected) in own.iter().zip(expected) {
            let difference = (own - expected).abs();
            assert!(difference <= here(LOGIT_TOLERANCE), "{} {own} {expected}", case.model);
        }
    }
}

#[test]
fn token_vectors_equal_pylates_with_kernels_and_without() {
    let goldens = goldens();
    let (queries, passages) = (texts(&goldens.queries), texts(&goldens.passages));
    for case in &goldens.cases {
        let folder = tiny(case);
        for engine in [engine(), engine().without_kernels()] {
            let model = load(folder.path(), &engine).unwrap();
            let queries = model.encode_queries(&queries, &Silent).unwrap();
            assert_close(&queries, &case.queries, goldens.shown, case);
            let passages = model.encode_passages(&passages, &Silent).unwrap();
            assert_close(&passages, &case.passages, goldens.shown, case);
        }
    }
}

#[test]
fn scores_equal_pylates_whatever_the_order_of_the_pairs() {
    let goldens = goldens();
    for case in &goldens.cases {
        let folder = tiny(case);
        let model = Scorer::load(folder.path(), None, None, &engine()).unwrap();
        let mut expected = Vec::new();
        for (query, scores) in goldens.queries.iter().zip(&case.scores) {
            for (passage, score) in goldens.passages.iter().zip(scores) {
                expected.push(((query.as_str(), passage.as_str()), *score));
            }
        }
        expected.reverse();
        let pairs: Vec<(&str, &str)> = expected.iter().map(|(pair, _)| *pair).collect();
        let scores = model.score(&pairs, &Silent).unwrap();
        for ((pair, expected), score) in expected.iter().zip(&scores) {
            let difference = (score - expected).abs();
            assert!(difference <= here(SCORE_TOLERANCE), "{pair:?} {score} {expected}");
        }
        let twice = model.score(&[pairs[3], pairs[3]], &Silent).unwrap();
        assert_eq!(twice[0].to_bits(), twice[1].to_bits());
    }
}

#[test]
fn a_reranker_opens_it_like_a_cross_encoder() {
    let reranker = Reranker::open(oracles().join("tiny-colbert")).unwrap();
    let passages = ["the relief valve opens", "a violin"];
    let ranking = reranker.rank("which valve opens", &passages).unwrap();
    assert!(ranking[0].score >= ranking[1].score);
    let label = Scorer::load(&oracles().join("tiny-colbert"), Some("0"), None, &engine());
    assert!(matches!(label.err().unwrap(), Error::NoHead { .. }));
}

#[test]
fn passages_are_cut_earlier_where_the_caller_says_so() {
    let folder = oracles().join("tiny-colbert");
    let passage = goldens().passages[3].clone();
    let tokens = |limit| {
        let model = LateInteraction::load(&folder, limit, &engine()).unwrap();
        model.encode_passages(&[&passage], &Silent).unwrap().starts[1]
    };
    assert!(tokens(Some(16)) <= 16 && tokens(Some(16)) < tokens(None));
    assert_eq!(tokens(Some(10_000)), tokens(None));
}

#[test]
fn other_models_are_no_late_interaction_and_say_what_would_be() {
    for other in ["tiny-model", "tiny-encoder", "tiny-modernbert"] {
        let folder = oracles().join(other);
        assert!(!LateInteraction::is_in(&folder).unwrap());
        let error = load(&folder, &engine()).err().unwrap();
        assert!(error.hint().unwrap().contains("colbertv2.0"), "{error}");
    }
    let error = CrossEncoder::load(&oracles().join("tiny-colbert"), None, &engine());
    assert!(matches!(error.err().unwrap(), Error::NoHead { .. }));
}

#[test]
fn settings_that_no_code_computes_are_named() {
    let set = |key: &'static str, value: Value| move |file: &mut Value| file[key] = value;
    for (model, file, key, value, expected) in [
        (
            "tiny-colbert",
            "artifact.metadata",
            "similarity",
            "l2".into(),
            "must be cosine, got `l2`",
        ),
        (
            "tiny-colbert",
            "artifact.metadata",
            "query_maxlen",
            2.into(),
            "at least 8 tokens, got `2`",
        ),
        ("tiny-colbert", "artifact.metadata", "query_token_id", "[Q]".into(), "no token `[Q]`"),
        (
            "tiny-pylate",
            "1_Dense/config.json",
            "activation_function",
            "torch.nn.modules.activation.Tanh".into(),
            "got `torch.nn.modules.activation.Tanh`",
        ),
        ("tiny-pylate", "2_Dense/config.json", "in_features", 7.into(), "got `7`"),
        (
            "tiny-pylate",
            "2_Dense/config.json",
            "use_residual",
            false.into(),
            "unused [residual.weight]",
        ),
    ] {
        let folder = changed(model, file, set(key, value));
        let error = load(folder.path(), &engine()).err().unwrap().to_string();
        assert!(
            error.contains(expected) && error.contains(folder.path().to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn it_is_described_from_its_headers() {
    let described = |name: &str| Description::read(&oracles().join(name)).unwrap();
    let model = described("tiny-colbert");
    let late = model.late_interaction.unwrap();
    assert_eq!((late.width, late.query_tokens, late.passage_tokens), (8, 32, 48));
    assert!(late.expands_queries && model.bi_encoder.is_none() && model.labels.is_empty());
    assert_eq!(described("tiny-pylate").late_interaction.unwrap().width, 8);
    assert_eq!(described("tiny-encoder").late_interaction, None);
}

#[test]
fn limits_and_widths_that_leave_nothing_are_refused() {
    for limit in 0..8 {
        let loaded = LateInteraction::load(&oracles().join("tiny-colbert"), Some(limit), &engine());
        assert!(matches!(loaded.err(), Some(Error::MaxSeqTokens { .. })), "{limit}");
    }
    let empty =
        changed("tiny-pylate", "2_Dense/config.json", |file| file["out_features"] = 0.into());
    let error = LateInteraction::load(empty.path(), None, &engine()).err().unwrap();
    assert!(error.to_string().contains("out_features"), "{error}");
}

#[test]
fn a_passage_whose_tokens_all_match_nothing_is_no_number() {
    let file = "config_sentence_transformers.json";
    let skips = changed("tiny-pylate", file, |file| {
        file["skiplist_words"] = serde_json::json!(["[CLS]", "[SEP]", "[D] ", "."]);
    });
    let model = LateInteraction::load(skips.path(), None, &engine()).unwrap();
    let score = |passage| model.score(&[("pump", passage)], &Silent);
    assert!(score("pump.").unwrap()[0].is_finite());
    assert!(matches!(score("."), Err(Error::NoNumber { .. })));
}
