//! Trainings that fail quietly are told.

mod common;

use common::{data_folder, run, short_run};
use std::sync::Mutex;
use whetstone_records::{Progress, Silent};
use whetstone_train::{Error, TrainConfig};

/// Keeps the warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Progress for Warnings {
    fn warn(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

#[test]
fn scores_that_stay_constant_are_told_once_and_stop_a_strict_run() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let pair = |label: u8| {
        format!(
            "{{\"query\":\"a\",\"passage\":\"b\",\"label\":{label},\"query_id\":\"q\",\"passage_id\":\"p{label}\"}}\n"
        )
    };
    std::fs::write(data.path().join("train.jsonl"), pair(1) + &pair(0)).unwrap();
    let config = TrainConfig { epochs: 55, dropout: Some(0.0), ..short_run() };
    let warnings = Warnings::default();
    run(data.path(), &out.path().join("warned"), &config, &warnings).unwrap();
    let told = warnings.0.into_inner().unwrap();
    assert_eq!(
        told.iter().filter(|text| text.contains("the same score for 50 steps")).count(),
        1,
        "{told:?}"
    );
    let config = TrainConfig { strict: true, ..config };
    let error = run(data.path(), &out.path().join("strict"), &config, &Silent).unwrap_err();
    assert!(matches!(error, Error::Collapse { .. }), "{error}");
}

/// Every text once as relevant and once not: nothing but chance can be learned.
fn contradictions() -> tempfile::TempDir {
    let folder = data_folder(false);
    let path = folder.path().join("train.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap();
    let with = |label: u8| {
        let mut pairs = String::new();
        for line in lines.lines() {
            let mut pair: serde_json::Value = serde_json::from_str(line).unwrap();
            pair["label"] = label.into();
            pairs += &format!("{pair}\n");
        }
        pairs
    };
    std::fs::write(&path, with(1) + &with(0)).unwrap();
    folder
}

#[test]
fn a_loss_at_chance_is_told_once_the_learning_rate_has_been_at_its_peak() {
    let (data, out) = (contradictions(), tempfile::tempdir().unwrap());
    let told = |name: &str, warmup_fraction: f64| {
        let config = TrainConfig {
            epochs: 150,
            batch_pairs: 28,
            dropout: Some(0.0),
            warmup_fraction,
            ..short_run()
        };
        let warnings = Warnings::default();
        run(data.path(), &out.path().join(name), &config, &warnings).unwrap();
        let warnings = warnings.0.into_inner().unwrap();
        warnings
            .into_iter()
            .filter(|text| text.contains("which is what guessing gives"))
            .collect::<Vec<_>>()
    };
    // 150 steps, of which the learning rate climbs for 15 and for 120.
    let short = told("short", 0.1);
    assert_eq!(short.len(), 1, "{short:?}");
    assert_eq!(told("long", 0.8), [""; 0]);
}
