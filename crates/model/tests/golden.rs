//! The network against Hugging Face transformers: tokens, logits, embeddings.

mod common;

use common::{FAMILIES, Goldens, LOGIT_TOLERANCE, copy_of, engine, goldens, here, oracles};
use std::path::{Path, PathBuf};
use whetstone_model::{BiEncoder, CrossEncoder, Engine, PairTokenizer};
use whetstone_records::Silent;

fn check_tokens_and_logits(model_dir: &Path, goldens: &Goldens, engine: &Engine) {
    let tokenizer = PairTokenizer::open(model_dir, goldens.max_length).unwrap();
    let model = CrossEncoder::load(model_dir, Some(goldens.max_length), engine).unwrap();
    for pair in &goldens.pairs {
        let tokens = tokenizer.tokenize(&[&pair.query, &pair.passage]).unwrap();
        let batch = tokenizer.batch([(&tokens[0], &tokens[1])]);
        assert_eq!(batch.ids, pair.input_ids, "{}", pair.query);
        assert_eq!(batch.types, pair.token_type_ids, "{}", pair.query);
        let alone = model.score(&[(&pair.query, &pair.passage)], &Silent).unwrap()[0];
        assert!((alone - pair.logit).abs() < here(LOGIT_TOLERANCE), "{alone} {}", pair.logit);
    }
    let pairs: Vec<(&str, &str)> =
        goldens.pairs.iter().map(|p| (p.query.as_str(), p.passage.as_str())).collect();
    for (score, pair) in model.score(&pairs, &Silent).unwrap().iter().zip(&goldens.pairs) {
        assert!(
            (score - pair.logit_batched).abs() < here(LOGIT_TOLERANCE),
            "{score} {}",
            pair.logit_batched
        );
    }
}

#[test]
fn tokens_and_logits_are_those_of_transformers() {
    for family in FAMILIES {
        for engine in [engine(), engine().without_kernels()] {
            check_tokens_and_logits(&family.folder(), &family.goldens(), &engine);
        }
    }
}

/// `just golden`: the same on a real MiniLM, whose weights are not in the repository.
#[test]
#[ignore = "needs WHETSTONE_GOLDEN_DIR with a model folder and goldens.json, see tests/oracles/README.md"]
fn tokens_and_logits_of_the_real_model_are_those_of_transformers() {
    let folder =
        PathBuf::from(std::env::var("WHETSTONE_GOLDEN_DIR").expect("WHETSTONE_GOLDEN_DIR is set"));
    let goldens = goldens(&folder.join("goldens.json"));
    check_tokens_and_logits(&folder.join("model"), &goldens, &engine());
}

#[test]
fn embeddings_are_those_of_transformers() {
    for family in FAMILIES {
        let goldens = family.goldens();
        let folder = copy_of(family.encoder);
        let limit = format!("{{\"max_seq_length\": {}}}", goldens.max_length);
        std::fs::write(folder.path().join("sentence_bert_config.json"), limit).unwrap();
        let model = BiEncoder::load(folder.path(), &engine()).unwrap();
        let texts: Vec<&str> = goldens.embeddings.iter().map(|e| e.text.as_str()).collect();
        let vectors = model.encode(&texts, &Silent).unwrap();
        for (vector, golden) in vectors.chunks_exact(model.hidden()).zip(&goldens.embeddings) {
            for (value, expected) in vector.iter().zip(&golden.head) {
                let difference = (value - expected).abs();
                let text = &golden.text;
                assert!(difference < here(LOGIT_TOLERANCE), "{family:?} {text} {value} {expected}");
            }
        }
    }
}

#[test]
fn a_damaged_model_is_refused_by_name() {
    let folder = copy_of("tiny-model");
    let load = || CrossEncoder::load(folder.path(), None, &engine()).err().unwrap().to_string();
    let weights = folder.path().join("model.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    assert!(load().contains("is not a whole safetensors file"), "{}", load());
    std::fs::write(
        &weights,
        std::fs::read(oracles().join("tiny-encoder/model.safetensors")).unwrap(),
    )
    .unwrap();
    assert!(load().contains("has no relevance head"), "{}", load());
    std::fs::remove_file(&weights).unwrap();
    assert!(load().starts_with("cannot read"), "{}", load());
}
