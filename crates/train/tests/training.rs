//! Whole training runs on the tiny model: against PyTorch, repeated, interrupted, refused.

mod common;

use common::{data_folder, goldens, oracles, run, short_run};
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use whetstone_model::{DeviceName, Engine};
use whetstone_records::{Progress, Silent};
use whetstone_train::{LossName, Schedule, TrainConfig, train};

/// f32 against float64 over four AdamW steps at lr 1e-3. PyTorch also gives the row of the padding
/// token no gradient, and one golden text holds a literal "[PAD]": that alone moves the second loss
/// by 2e-5.
const LOSS_TOLERANCE: f64 = 1e-4;

fn cpu() -> Engine {
    Engine::open(DeviceName::Cpu).unwrap()
}

fn losses(out: &Path) -> Vec<f64> {
    let log = std::fs::read_to_string(out.join("log.jsonl")).unwrap();
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["loss"].as_f64())
        .collect()
}

#[test]
fn four_adamw_steps_have_the_losses_of_pytorch() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let config = TrainConfig {
        batch_pairs: 14,
        schedule: Schedule::Constant,
        warmup_fraction: 0.0,
        positive_weight: Some(3.0),
        dropout: Some(0.0),
        ..short_run()
    };
    run(data.path(), out.path(), &config, &Silent).unwrap();
    let golden = goldens();
    let expected = golden["adamw"]["losses"].as_array().unwrap();
    let found = losses(out.path());
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected.as_f64().unwrap()).abs() < LOSS_TOLERANCE, "{found} {expected}");
    }
}

/// Stops the run in the middle of a step, as a kill would: nothing after it is executed.
struct StopAt(AtomicU64);

impl Progress for StopAt {
    fn advance(&self, count: u64) {
        if self.0.fetch_sub(count, Ordering::SeqCst) <= count {
            panic!("stopped by the test");
        }
    }
    fn warn(&self, _text: &str) {}
}

#[test]
fn an_interrupted_run_ends_with_the_bytes_of_an_uninterrupted_one() {
    let data = data_folder(true);
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for loss in [LossName::Bce, LossName::Hinge] {
        let config = TrainConfig { loss, ..short_run() };
        let name = format!("{loss:?}");
        let (whole, parts) = (whole.path().join(&name), parts.path().join(&name));
        let manifest = run(data.path(), &whole, &config, &Silent).unwrap();
        for steps in [2, 4, 7] {
            let stopped = std::panic::catch_unwind(|| {
                run(data.path(), &parts, &config, &StopAt(AtomicU64::new(steps)))
            });
            assert!(stopped.is_err(), "the run was stopped");
        }
        let resumed = run(data.path(), &parts, &config, &Silent).unwrap();
        assert_eq!(resumed.outputs, manifest.outputs, "{name}: digests of log, best and weights");
        assert!(run(data.path(), &parts, &config, &Silent).unwrap().up_to_date);
    }
}

#[test]
fn a_fresh_head_starts_from_the_embeddings_and_resumes_in_the_middle_of_that() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let config = TrainConfig { warm_start_steps: 5, ..short_run() };
    let encoder = oracles().join("tiny-encoder");
    let go = |out: &Path, progress: &dyn Progress| {
        train(data.path(), out, &encoder, &config, &[cpu()], progress)
    };
    let (whole, parts) = (out.path().join("whole"), out.path().join("parts"));
    let manifest = go(&whole, &Silent).unwrap();
    for steps in [2, 4, 7] {
        assert!(
            std::panic::catch_unwind(|| go(&parts, &StopAt(AtomicU64::new(steps)))).is_err(),
            "stopped"
        );
    }
    assert_eq!(go(&parts, &Silent).unwrap().outputs, manifest.outputs);
    let log = std::fs::read_to_string(whole.join("log.jsonl")).unwrap();
    assert_eq!(log.matches("\"epoch\":0,").count(), 5);
    // Step 3 is due for an evaluation, but belongs to the warm start.
    assert!(
        log.contains("{\"step\":0,\"dev")
            && !log.contains("{\"step\":3,\"dev")
            && log.contains("{\"step\":6,\"dev")
    );
    assert_eq!(log.matches("\"loss\"").count() as u64, manifest.counts["steps"]);
}

#[test]
fn a_folder_with_another_run_is_refused_with_what_differs() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    run(data.path(), out.path(), &TrainConfig { epochs: 1, ..short_run() }, &Silent).unwrap();
    let other = TrainConfig { epochs: 1, learning_rate: 2e-3, ..short_run() };
    let error = run(data.path(), out.path(), &other, &Silent).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("holds a run with another `learning-rate`: 0.001 then, 0.002 now"),
        "{error}"
    );
    std::fs::remove_file(data.path().join("dev.jsonl")).unwrap();
    let lines = std::fs::read_to_string(data.path().join("train.jsonl")).unwrap();
    let shorter = lines.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>();
    std::fs::write(data.path().join("train.jsonl"), shorter).unwrap();
    let error = run(data.path(), out.path(), &TrainConfig { epochs: 1, ..short_run() }, &Silent)
        .unwrap_err();
    assert!(error.to_string().ends_with("another `train`"), "{error}");
}

#[test]
fn the_reference_config_lists_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/reference.toml");
    assert_eq!(TrainConfig::load(&path).unwrap(), TrainConfig::default());
    let text = std::fs::read_to_string(&path).unwrap();
    let keys = serde_json::to_value(TrainConfig::default()).unwrap();
    for key in keys.as_object().unwrap().keys() {
        assert!(
            text.contains(&format!("\n{key} = ")) || text.contains(&format!("\n# {key} = ")),
            "{key} is not listed"
        );
    }
}

#[test]
fn the_configs_for_special_cases_are_good() {
    for name in ["quickstart-train.toml", "judged.toml"] {
        TrainConfig::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name))
            .unwrap();
    }
}

#[test]
fn pairs_that_teach_nothing_are_refused() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let path = data.path().join("train.jsonl");
    let line = |label: f32| {
        format!(
            "{{\"query\":\"a\",\"passage\":\"b\",\"label\":{label},\"query_id\":\"q\",\"passage_id\":\"p{label}\"}}\n"
        )
    };
    let attempt = |text: String| {
        std::fs::write(&path, text).unwrap();
        run(data.path(), &out.path().join("run"), &short_run(), &Silent).unwrap_err().to_string()
    };
    assert!(attempt(line(1.0)).ends_with("has no negative pairs"));
    let _ = std::fs::remove_dir_all(out.path().join("run"));
    assert!(attempt(line(0.0) + &line(2.0)).ends_with("line 2: label must be in 0..=1, got 2"));
}

/// The tensors of a step folder by name.
fn tensors(folder: &Path) -> std::collections::BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| {
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    file.iter().map(|(name, view)| (name.to_owned(), values(view.data()))).collect()
}

#[test]
fn two_accumulated_batches_are_a_step_of_one_batch_of_both() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let losses_of = |batch_pairs, accumulation_steps| {
        let config =
            TrainConfig { batch_pairs, accumulation_steps, dropout: Some(0.0), ..short_run() };
        let out = out.path().join(format!("{accumulation_steps}"));
        run(data.path(), &out, &config, &Silent).unwrap();
        losses(&out)
    };
    let (whole, parts) = (losses_of(14, 1), losses_of(7, 2));
    assert_eq!(whole.len(), 4);
    for (whole, part) in whole.iter().zip(&parts) {
        assert!((whole - part).abs() < 1e-5, "{whole} {part}");
    }
}

#[test]
fn two_devices_train_as_one_does_with_the_same_batches() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let config = TrainConfig { accumulation_steps: 3, ..short_run() };
    let go = |name: &str, devices: usize| {
        let devices = vec![cpu(); devices];
        train(
            data.path(),
            &out.path().join(name),
            &oracles().join("tiny-model"),
            &config,
            &devices,
            &Silent,
        )
    };
    assert_eq!(go("one", 1).unwrap().outputs, go("two", 2).unwrap().outputs);
    let message = go("four", 4).unwrap_err().to_string();
    assert_eq!(message, "`accumulation-steps` must be at least 4, a batch for each device, got 3");
}

/// Tokens of each step, with its epoch.
fn tokens(out: &Path) -> Vec<(u64, u64)> {
    let log = std::fs::read_to_string(out.join("log.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| Some((line["epoch"].as_u64()?, line["tokens"].as_u64()?))).collect()
}

#[test]
fn short_epochs_cut_their_pairs_and_leave_the_last_epoch_whole() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let encoder = oracles().join("tiny-encoder");
    let whole = TrainConfig { epochs: 2, warm_start_steps: 2, ..short_run() };
    let short = TrainConfig { short_epochs: 1, short_seq_tokens: 12, ..whole.clone() };
    let go = |name: &str, config| {
        let out = out.path().join(name);
        train(data.path(), &out, &encoder, config, &[cpu()], &Silent).unwrap();
        tokens(&out)
    };
    let (whole, short) = (go("whole", &whole), go("short", &short));
    assert_eq!(whole.len(), short.len());
    for ((epoch, whole), (_, short)) in whole.iter().zip(&short) {
        assert!(
            if *epoch == 2 { whole == short } else { *short <= 4 * 12 && short < whole },
            "{epoch}: {whole} {short}"
        );
    }

    let refused = |config: TrainConfig| config.check().unwrap_err().to_string();
    let error = refused(TrainConfig { epochs: 1, short_epochs: 1, ..Default::default() });
    assert!(
        error.contains("`short-epochs`")
            && error.contains("`epochs` (1)")
            && error.ends_with("got 1"),
        "{error}"
    );
    let error = refused(TrainConfig {
        short_epochs: 1,
        short_seq_tokens: 300,
        max_seq_tokens: Some(256),
        ..Default::default()
    });
    assert!(
        error.contains("`short-seq-tokens`") && error.contains("`max-seq-tokens` (256)"),
        "{error}"
    );
}

#[test]
fn the_epochs_at_full_length_can_have_a_schedule_of_their_own() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let config = TrainConfig {
        epochs: 3,
        short_epochs: 1,
        short_seq_tokens: 12,
        full_length_learning_rate: Some(4e-4),
        warmup_fraction: 0.0,
        ..short_run()
    };
    run(data.path(), out.path(), &config, &Silent).unwrap();
    let log = std::fs::read_to_string(out.path().join("log.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rates: Vec<(u64, f64)> =
        lines.filter_map(|line| Some((line["epoch"].as_u64()?, line["lr"].as_f64()?))).collect();
    let of = |whole: bool| -> Vec<f64> {
        rates.iter().filter(|(e, _)| (*e > 1) == whole).map(|(_, lr)| *lr).collect()
    };
    for (rates, peak) in [(of(false), config.learning_rate), (of(true), 4e-4)] {
        assert!(rates.len() > 1, "no steps with a peak of {peak}");
        for (step, rate) in rates.iter().enumerate() {
            let expected = peak * (1.0 - step as f64 / rates.len() as f64);
            assert!((rate - expected).abs() < 1e-9, "{step}: {rate}, not {expected}");
        }
    }

    let alone = TrainConfig { full_length_learning_rate: Some(1e-5), ..Default::default() };
    let error = alone.check().unwrap_err().to_string();
    assert!(
        error.contains("`full-length-learning-rate`") && error.contains("`short-epochs` is 0"),
        "{error}"
    );
}

#[test]
fn frozen_embeddings_stay_and_everything_else_learns() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let config = TrainConfig { epochs: 1, freeze_embeddings: true, ..short_run() };
    run(data.path(), out.path(), &config, &Silent).unwrap();
    let (before, after) =
        (tensors(&oracles().join("tiny-model")), tensors(&out.path().join("step-000004")));
    for (name, values) in &after {
        assert_eq!(before[name] == *values, name.starts_with("bert.embeddings."), "{name}");
    }
}

#[test]
fn the_first_the_best_and_the_last_checkpoints_are_kept() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let config = TrainConfig { eval_every_steps: 2, keep_checkpoints: 3, ..short_run() };
    let manifest = run(data.path(), out.path(), &config, &Silent).unwrap();
    let mut steps: Vec<String> = std::fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("step-"))
        .collect();
    steps.sort();
    let best = format!("step-{:06}", manifest.counts["best-step"]);
    let mut expected = vec![
        "step-000000".to_owned(),
        best,
        "step-000012".into(),
        "step-000014".into(),
        "step-000016".into(),
    ];
    expected.sort();
    expected.dedup();
    assert_eq!(steps, expected);
}

#[test]
fn the_base_model_is_mixed_into_what_is_exported() {
    let (data, general, out) =
        (data_folder(false), data_folder(true), tempfile::tempdir().unwrap());
    let config =
        TrainConfig { interpolate: 0.25, general_dev: Some(general.path().into()), ..short_run() };
    let manifest = run(data.path(), out.path(), &config, &Silent).unwrap();
    let best = manifest.counts["best-step"];
    assert_eq!(best, 16, "without dev queries the last step is the best");
    assert!(
        manifest
            .notes
            .iter()
            .filter_map(|note| note.split_once("mixed in: dev nDCG@10 not measured, general "))
            .any(|(_, ndcg)| ndcg.parse::<f64>().is_ok_and(|ndcg| ndcg > 0.0))
    );
    assert_eq!(whetstone_train::best_step(out.path()).unwrap(), out.path().join("blended"));
    let (base, tuned) = (
        tensors(&out.path().join("step-000000")),
        tensors(&out.path().join(format!("step-{best:06}"))),
    );
    for (name, values) in tensors(&out.path().join("blended")) {
        for ((value, tuned), base) in values.iter().zip(&tuned[&name]).zip(&base[&name]) {
            assert!((value - (0.75 * tuned + 0.25 * base)).abs() < 1e-6, "{name}");
        }
    }
    assert!(run(data.path(), out.path(), &config, &Silent).unwrap().up_to_date);
}

#[test]
fn a_second_dev_set_is_followed_in_the_log() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let config = TrainConfig { general_dev: Some(data.path().into()), epochs: 1, ..short_run() };
    run(data.path(), out.path(), &config, &Silent).unwrap();
    let log = std::fs::read_to_string(out.path().join("log.jsonl")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let evaluations: Vec<&Value> =
        lines.iter().filter(|line| line["dev_ndcg@10"].is_f64()).collect();
    assert_eq!(evaluations.len(), 3);
    // The same queries twice.
    assert!(evaluations.iter().all(|line| line["dev_ndcg@10"] == line["general_ndcg@10"]));
    assert!(out.path().join("dev.svg").exists() && out.path().join("loss.svg").exists());
}
