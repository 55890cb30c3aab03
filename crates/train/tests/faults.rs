//! What users of such tools reported: dev sets that tell nothing, runs that are resumed with another
//! key, files that change, two runs at once.

mod common;

use common::{data_folder, goldens, oracles, run, run_from, short_run};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use whetstone_model::Precision;
use whetstone_records::{Best, Hint, Outcome, Progress, RunDir, Silent, Stage, read_json};
use whetstone_train::{Error, TrainConfig};

/// Keeps what was said.
#[derive(Default)]
struct Said {
    warnings: Mutex<Vec<String>>,
    messages: Mutex<Vec<String>>,
}

impl Progress for Said {
    fn message(&self, text: &str) {
        self.messages.lock().unwrap().push(text.to_owned());
    }
    fn warn(&self, text: &str) {
        self.warnings.lock().unwrap().push(text.to_owned());
    }
}

fn best(out: &Path) -> Best {
    read_json(&RunDir::new(out).best()).unwrap().unwrap()
}

/// A line of dev.jsonl: query, passage, its text, label.
type Row = (&'static str, &'static str, &'static str, f32);

/// Writes a dev.jsonl.
fn write_dev(data: &Path, pairs: &[Row]) {
    let line = |(query, passage, text, label): &Row| {
        let pair = json!({
            "query": "when does the valve open", "passage": text, "label": label,
            "query_id": query, "passage_id": passage,
        });
        format!("{pair}\n")
    };
    std::fs::write(data.join("dev.jsonl"), pairs.iter().map(line).collect::<String>()).unwrap();
}

#[test]
fn a_dev_set_that_cannot_tell_models_apart_says_so_and_counts_for_nothing() {
    let cases: [(&str, &[Row]); 5] = [
        (
            "in every query, all passages are equally relevant",
            &[("q1", "a", "one", 1.0), ("q1", "b", "two", 1.0), ("q2", "a", "one", 0.0)],
        ),
        ("no passage in it is relevant", &[("q1", "a", "one", 0.0), ("q1", "b", "two", 0.1)]),
        ("no query in it has two passages", &[("q1", "a", "one", 1.0), ("q2", "a", "one", 0.0)]),
        (
            "relevant passages and others have the same text",
            &[("q1", "a", "one", 1.0), ("q1", "b", "one", 0.0)],
        ),
        (
            "all passages are equally relevant",
            &[
                ("q1", "a", "one", 1.0),
                ("q2", "b", "two", 0.0),
                ("q2", "c", "three", 0.0),
                ("q1", "d", "four", 1.0),
            ],
        ),
    ];
    let config = TrainConfig { epochs: 2, patience: 1, ..short_run() };
    for (why, pairs) in cases {
        let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
        write_dev(data.path(), pairs);
        let said = Said::default();
        let manifest = run(data.path(), out.path(), &config, &said).unwrap();
        let warnings = said.warnings.into_inner().unwrap();
        for told in [&warnings, &manifest.notes] {
            assert!(
                told.iter().any(|text| text.contains(why) && text.contains("counts for nothing")),
                "{why}: {told:?}"
            );
        }
        let best = best(out.path());
        assert_eq!((best.step, best.ndcg_at_10), (8, None), "{why}: the last step is the best");
        assert_eq!(manifest.counts["steps"], 8, "{why}: patience has nothing to judge by");
    }
}

#[test]
fn a_query_that_tells_models_apart_is_enough() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    write_dev(
        data.path(),
        &[("q1", "a", "one", 1.0), ("q2", "a", "one", 1.0), ("q2", "b", "two words", 0.0)],
    );
    run(data.path(), out.path(), &TrainConfig { epochs: 1, ..short_run() }, &Silent).unwrap();
    assert!(best(out.path()).ndcg_at_10.is_some());
}

#[test]
fn a_general_dev_set_that_tells_nothing_is_refused() {
    let (data, general) = (data_folder(false), data_folder(false));
    write_dev(general.path(), &[("q1", "a", "one", 1.0)]);
    let config = TrainConfig { general_dev: Some(general.path().into()), ..short_run() };
    let error = run(data.path(), &data.path().join("run"), &config, &Silent).unwrap_err();
    assert!(error.to_string().ends_with("apart: no query in it has two passages"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn a_dev_passage_that_stands_twice_and_a_label_that_is_none_are_named() {
    let data = data_folder(false);
    let refusal = || {
        run(data.path(), &data.path().join("run"), &short_run(), &Silent).unwrap_err().to_string()
    };
    write_dev(
        data.path(),
        &[("q1", "a", "one", 1.0), ("q1", "b", "two", 0.0), ("q1", "a", "one", 0.0)],
    );
    assert!(refusal().ends_with("dev.jsonl` line 3: id `q1 a` occurs twice"), "{}", refusal());
    write_dev(data.path(), &[("q1", "a", "one", 3.0)]);
    assert!(refusal().ends_with("line 1: label must be in 0..=1, got 3"), "{}", refusal());
}

#[test]
fn training_that_brings_nothing_says_so() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    // Dev has the training pairs with their labels turned, and is asked at the ends alone: what
    // training learns by heart is wrong there.
    let lines = std::fs::read_to_string(data.path().join("train.jsonl")).unwrap();
    let turned = lines.lines().map(|line| {
        let mut pair: Value = serde_json::from_str(line).unwrap();
        pair["label"] = json!(1.0 - pair["label"].as_f64().unwrap());
        format!("{pair}\n")
    });
    std::fs::write(data.path().join("dev.jsonl"), turned.collect::<String>()).unwrap();
    let said = Said::default();
    let config =
        TrainConfig { learning_rate: 3e-3, epochs: 20, eval_every_steps: 1000, ..short_run() };
    let manifest = run(data.path(), out.path(), &config, &said).unwrap();
    assert_eq!(manifest.counts["best-step"], 0);
    let warnings = said.warnings.into_inner().unwrap();
    assert!(warnings.iter().any(|text| text.contains("training brought nothing")), "{warnings:?}");
    assert!(!best(out.path()).fresh_head, "the base model has a head");

    let out = out.path().join("fresh");
    let config = TrainConfig { warm_start_steps: 0, ..config };
    run_from("tiny-encoder", (data.path(), &out), &config, &Silent).unwrap();
    let best = best(&out);
    assert_eq!(best.fresh_head, best.step == 0);
}

/// Stops the run in the middle of a step, as a kill would.
struct StopAt(AtomicU64);

impl Progress for StopAt {
    fn advance(&self, count: u64) {
        if count > 0 && self.0.fetch_sub(count, Ordering::SeqCst) <= count {
            panic!("stopped by the test");
        }
    }
    fn warn(&self, _text: &str) {}
}

#[test]
fn a_run_resumes_with_keys_that_move_no_weight_and_ends_with_the_same_weights() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let (whole, parts) = (out.path().join("whole"), out.path().join("parts"));
    let first = TrainConfig { epochs: 3, ..short_run() };
    let second = TrainConfig {
        eval_every_steps: 5,
        patience: 100,
        keep_checkpoints: 4,
        strict: true,
        model: "elsewhere".into(),
        general_dev: Some(data.path().into()),
        ..first.clone()
    };
    run(data.path(), &whole, &first, &Silent).unwrap();
    let stopped =
        std::panic::catch_unwind(|| run(data.path(), &parts, &first, &StopAt(AtomicU64::new(8))));
    assert!(stopped.is_err());
    run(data.path(), &parts, &second, &Silent).unwrap();
    let weights =
        |run: &Path| std::fs::read(RunDir::new(run).step(12).join("model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&parts));
    let config = std::fs::read_to_string(RunDir::new(&parts).config()).unwrap();
    assert!(config.contains("eval-every-steps = 5"), "{config}");
    let other = TrainConfig { learning_rate: 2e-3, ..second };
    assert!(matches!(
        run(data.path(), &parts, &other, &Silent),
        Err(Error::OtherRun { what, .. }) if what.starts_with("`learning-rate`")
    ));
}

#[test]
fn a_run_that_patience_ended_goes_on_with_more_of_it() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let (whole, parts) = (out.path().join("whole"), out.path().join("parts"));
    let patient = TrainConfig { learning_rate: 1e-6, eval_every_steps: 1, ..short_run() };
    let impatient = TrainConfig { patience: 1, ..patient.clone() };
    run(data.path(), &whole, &patient, &Silent).unwrap();
    let ended = run(data.path(), &parts, &impatient, &Silent).unwrap().counts["steps"];
    assert!(ended < 16, "patience ended the run at step {ended}");
    run(data.path(), &parts, &patient, &Silent).unwrap();
    let weights =
        |run: &Path| std::fs::read(RunDir::new(run).step(16).join("model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&parts));

    // As runs of earlier versions were left.
    let old = out.path().join("old");
    run(data.path(), &old, &impatient, &Silent).unwrap();
    let step = RunDir::new(&old).step(ended as usize);
    std::fs::remove_file(step.join(RunDir::OPTIMIZER)).unwrap();
    assert!(run(data.path(), &old, &impatient, &Silent).unwrap().up_to_date);
    let error = run(data.path(), &old, &patient, &Silent).unwrap_err();
    assert!(matches!(error, Error::NoOptimizer { .. }), "{error}");
}

#[test]
fn a_long_evaluation_says_how_far_it_is() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let said = Said::default();
    run(data.path(), out.path(), &TrainConfig { epochs: 1, ..short_run() }, &said).unwrap();
    let pairs = goldens()["pairs"].as_array().unwrap().len();
    let expected = format!("measuring dev: {pairs} of {pairs} pairs");
    let messages = said.messages.into_inner().unwrap();
    assert!(messages.contains(&expected), "{messages:?}");
}

#[test]
fn two_trainings_at_once_have_one_folder_each() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    /// Starts the same run again from within the first one.
    struct Again<'a>(&'a Path, &'a Path, Mutex<Option<Error>>);
    impl Progress for Again<'_> {
        fn advance(&self, _count: u64) {
            let mut seen = self.2.lock().unwrap();
            if seen.is_none() {
                *seen = run(self.0, self.1, &short_run(), &Silent).err();
            }
        }
        fn warn(&self, _text: &str) {}
    }
    let again = Again(data.path(), out.path(), Mutex::new(None));
    run(data.path(), out.path(), &short_run(), &again).unwrap();
    let error = again.2.into_inner().unwrap().unwrap();
    assert!(error.to_string().starts_with("another run of whetstone is writing to"), "{error}");
    assert!(run(data.path(), out.path(), &short_run(), &Silent).unwrap().up_to_date);
}

#[test]
fn pairs_that_change_under_a_training_stop_it_before_another_checkpoint() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    /// Adds a pair after the first step.
    struct Append<'a>(&'a Path, Mutex<u64>);
    impl Progress for Append<'_> {
        fn advance(&self, count: u64) {
            let mut steps = self.1.lock().unwrap();
            *steps += count;
            if *steps == 1 && count == 1 {
                let path = self.0.join("train.jsonl");
                let text = std::fs::read_to_string(&path).unwrap();
                std::fs::write(&path, text.clone() + text.lines().next().unwrap() + "\n").unwrap();
            }
        }
        fn warn(&self, _text: &str) {}
    }
    let error = run(data.path(), out.path(), &short_run(), &Append(data.path(), Mutex::new(0)));
    let error = error.unwrap_err();
    assert!(error.to_string().ends_with("train.jsonl` was changed while it was read"), "{error}");
    assert!(!RunDir::new(out.path()).step(3).exists());
}

#[test]
fn a_data_set_replaced_as_a_whole_leaves_a_training_alone() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    /// Renames another file into the place of the pairs after the first step.
    struct Replace<'a>(&'a Path);
    impl Progress for Replace<'_> {
        fn advance(&self, _count: u64) {
            let other = self.0.join("other.jsonl");
            std::fs::write(&other, "{}\n").unwrap();
            std::fs::rename(&other, self.0.join("train.jsonl")).unwrap();
        }
        fn warn(&self, _text: &str) {}
    }
    run(data.path(), out.path(), &short_run(), &Replace(data.path())).unwrap();
}

#[test]
fn a_damaged_file_of_a_run_is_named_and_the_hint_leads_out() {
    let (data, whole) = (data_folder(true), tempfile::tempdir().unwrap());
    run(data.path(), whole.path(), &short_run(), &Silent).unwrap();
    let best = std::fs::read(RunDir::new(whole.path()).best()).unwrap();
    for name in ["run.json", "log.jsonl", "state.json", "optimizer.safetensors", "best.json"] {
        let out = tempfile::tempdir().unwrap();
        let dir = RunDir::new(out.path());
        let stopped = || run(data.path(), out.path(), &short_run(), &StopAt(AtomicU64::new(5)));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(stopped)).is_err());
        let in_step = ["state.json", "optimizer.safetensors"].contains(&name);
        let path = if in_step { dir.step(3).join(name) } else { dir.path(name) };
        assert!(path.exists(), "{}", path.display());
        std::fs::write(&path, "{ half of").unwrap();
        if name == "best.json" {
            let error = whetstone_train::best_step(out.path()).unwrap_err();
            assert!(error.hint().unwrap().starts_with("run the same"), "{error}");
        } else {
            let error = run(data.path(), out.path(), &short_run(), &Silent).unwrap_err();
            assert!(matches!(error, Error::Checkpoint { .. }), "{error:?}");
            assert!(error.to_string().contains(name), "{error}");
            assert!(error.hint().unwrap().starts_with("start the run over with --force"));
            whetstone_train::forget_run(out.path()).unwrap();
        }
        run(data.path(), out.path(), &short_run(), &Silent).unwrap();
        assert_eq!(std::fs::read(dir.best()).unwrap(), best, "{name}");
    }
}

#[test]
fn a_damaged_step_that_is_not_the_last_stops_nothing() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let stopped = || run(data.path(), out.path(), &short_run(), &StopAt(AtomicU64::new(5)));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(stopped)).is_err());
    std::fs::write(RunDir::new(out.path()).step(0).join("state.json"), "{ half").unwrap();
    run(data.path(), out.path(), &short_run(), &Silent).unwrap();
}

#[test]
fn the_longest_input_stands_in_the_data_set_alone() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let inputs: [(String, String); 0] = [];
    let outcome = Outcome { max_seq_tokens: Some(48), ..Outcome::default() };
    Stage::new("chunk", data.path(), &(), inputs).finish(&[], outcome).unwrap();
    let config = |max_seq_tokens| TrainConfig { max_seq_tokens, epochs: 1, ..short_run() };
    let error = run(data.path(), out.path(), &config(Some(64)), &Silent).unwrap_err();
    assert!(error.to_string().starts_with("`max-seq-tokens` is 64 here and 48 in"), "{error}");
    for (name, given) in [("own", None), ("same", Some(48))] {
        let out = out.path().join(name);
        run(data.path(), &out, &config(given), &Silent).unwrap();
        let text = std::fs::read_to_string(RunDir::new(&out).config()).unwrap();
        assert!(text.contains("max-seq-tokens = 48"), "{text}");
    }
}

#[test]
fn a_base_model_that_goes_away_during_training_does_no_harm() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let base = out.path().join("base");
    std::fs::create_dir(&base).unwrap();
    for entry in std::fs::read_dir(oracles().join("tiny-model")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), base.join(entry.file_name())).unwrap();
    }
    /// Deletes a folder with the first step.
    struct Delete<'a>(&'a Path);
    impl Progress for Delete<'_> {
        fn advance(&self, count: u64) {
            if count > 0 {
                let _ = std::fs::remove_dir_all(self.0);
            }
        }
        fn warn(&self, _text: &str) {}
    }
    let base_name = base.to_str().unwrap();
    let paths = (data.path(), &*out.path().join("run"));
    let manifest = run_from(base_name, paths, &short_run(), &Delete(&base)).unwrap();
    let step = manifest.counts["steps"] as usize;
    assert!(RunDir::new(paths.1).step(step).join("tokenizer.json").exists());
}

#[test]
fn a_byte_order_mark_in_pairs_and_config_is_no_part_of_them() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    for name in ["train.jsonl", "dev.jsonl"] {
        let path = data.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("\u{feff}{text}")).unwrap();
    }
    run(data.path(), out.path(), &TrainConfig { epochs: 1, ..short_run() }, &Silent).unwrap();
    let config = out.path().join("t.toml");
    std::fs::write(&config, "\u{feff}epochs = 7\r\n").unwrap();
    assert_eq!(TrainConfig::load(&config).unwrap().epochs, 7);
}

#[test]
fn bfloat16_for_a_model_without_kernels_is_told_and_the_config_says_f32() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let config = TrainConfig { precision: Precision::Bf16, ..short_run() };
    let said = Said::default();
    run_from("tiny-deberta-v2", (data.path(), out.path()), &config, &said).unwrap();
    let warnings = said.warnings.into_inner().unwrap();
    assert!(warnings.iter().any(|text| text.ends_with("training in f32")), "{warnings:?}");
    let written = std::fs::read_to_string(RunDir::new(out.path()).config()).unwrap();
    assert!(written.contains("precision = \"f32\""), "{written}");
}
