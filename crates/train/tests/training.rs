//! Whole training runs on the tiny model: schedules, accumulation, devices, checkpoints, refusals.

mod common;

use common::{data_folder, losses, oracles, run, short_run};
use serde_json::Value;
use std::path::Path;
use whetstone_model::{DeviceName, Engine};
use whetstone_records::Silent;
use whetstone_train::{TrainConfig, train};

fn cpu() -> Engine {
    Engine::open(DeviceName::Cpu).unwrap()
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
    for name in ["quickstart-train.toml", "judged.toml", "base.toml"] {
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
