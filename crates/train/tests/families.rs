//! What is true of training a model of any family: against PyTorch, interrupted, started from an
//! encoder, frozen, with decaying rates, mixed with its base.

mod common;

use common::{data_folder, here, losses, oracles, short_run, tensors};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use whetstone_model::{DeviceName, Engine, Role, Scorer};
use whetstone_records::{Manifest, Progress, Silent};
use whetstone_train::{LossName, ModelKind, Schedule, TrainConfig, train};

/// The tiny models among the oracles, each with its goldens.
const FAMILIES: [(&str, &str); 7] = [
    ("tiny-model", "goldens-tiny.json"),
    ("tiny-xlm-roberta", "goldens-xlm-roberta.json"),
    ("tiny-roberta", "goldens-roberta.json"),
    ("tiny-electra", "goldens-electra.json"),
    ("tiny-modernbert", "goldens-modernbert.json"),
    ("tiny-distilbert", "goldens-distilbert.json"),
    ("tiny-deberta-v2", "goldens-deberta-v2.json"),
];

/// f32 against float64 over four AdamW steps at lr 1e-3.
const LOSS_TOLERANCE: f64 = 1e-4;

/// The CPU, or what `just test-gpu` asks for.
fn engine() -> Engine {
    let name = std::env::var("WHETSTONE_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    Engine::open(name.parse().unwrap()).unwrap()
}

fn run(
    model: &Path,
    (data, out): (&Path, &Path),
    config: &TrainConfig,
    progress: &dyn Progress,
) -> Manifest {
    train(data, out, model, config, &[engine()], progress).unwrap()
}

/// Runs until the steps are taken, then stops as a kill would: nothing after it is executed.
fn run_until(steps: u64, model: &Path, paths: (&Path, &Path), config: &TrainConfig) {
    struct StopAt(AtomicU64);
    impl Progress for StopAt {
        fn advance(&self, count: u64) {
            if self.0.fetch_sub(count, Ordering::SeqCst) <= count {
                panic!("stopped by the test");
            }
        }
        fn warn(&self, _text: &str) {}
    }
    let progress = StopAt(AtomicU64::new(steps));
    let stopped = std::panic::catch_unwind(|| run(model, paths, config, &progress));
    assert!(stopped.is_err(), "the run was stopped");
}

/// A copy of a tiny model without its classifier, as an encoder is published.
fn encoder_of(model: &str, folder: &Path) -> PathBuf {
    for entry in std::fs::read_dir(oracles().join(model)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let weights = folder.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let encoder = file.iter().filter(|(name, _)| !name.starts_with("classifier"));
    std::fs::write(&weights, safetensors::serialize(encoder, None).unwrap()).unwrap();
    folder.into()
}

#[test]
fn four_adamw_steps_have_the_losses_of_pytorch() {
    let data = data_folder(false);
    let config = TrainConfig {
        batch_pairs: 14,
        schedule: Schedule::Constant,
        warmup_fraction: 0.0,
        positive_weight: Some(3.0),
        dropout: Some(0.0),
        ..short_run()
    };
    for (model, goldens) in FAMILIES {
        let out = tempfile::tempdir().unwrap();
        let goldens: Value =
            serde_json::from_slice(&std::fs::read(oracles().join(goldens)).unwrap()).unwrap();
        let lines = goldens["pairs"].as_array().unwrap().iter().enumerate().map(|(i, pair)| {
            let line = serde_json::json!({
                "query": pair["query"], "passage": pair["passage"], "label": pair["label"],
                "query_id": format!("q{}", i / 2), "passage_id": format!("p{i}"),
            });
            format!("{line}\n")
        });
        std::fs::write(data.path().join("train.jsonl"), lines.collect::<String>()).unwrap();
        run(&oracles().join(model), (data.path(), out.path()), &config, &Silent);
        let expected = goldens["adamw"]["losses"].as_array().unwrap();
        let found = losses(out.path());
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let expected = expected.as_f64().unwrap();
            assert!((found - expected).abs() < here(LOSS_TOLERANCE), "{model}: {found} {expected}");
        }
    }
}

#[test]
fn an_interrupted_run_ends_with_the_bytes_of_an_uninterrupted_one() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    for (model, loss) in FAMILIES
        .map(|(model, _)| (model, LossName::Bce))
        .into_iter()
        .chain([("tiny-model", LossName::Hinge)])
    {
        let (config, name) = (TrainConfig { loss, ..short_run() }, format!("{model} {loss:?}"));
        let model = oracles().join(model);
        let (whole, parts) =
            (out.path().join(&name), out.path().join(format!("{name}, interrupted")));
        let manifest = run(&model, (data.path(), &whole), &config, &Silent);
        for steps in [2, 4, 7] {
            run_until(steps, &model, (data.path(), &parts), &config);
        }
        let resumed = run(&model, (data.path(), &parts), &config, &Silent);
        assert_eq!(resumed.outputs, manifest.outputs, "{name}: digests of log, best and weights");
        assert!(run(&model, (data.path(), &parts), &config, &Silent).up_to_date);
    }
}

#[test]
fn a_fresh_head_starts_from_the_embeddings_and_resumes_in_the_middle_of_that() {
    let data = data_folder(true);
    let config = TrainConfig { warm_start_steps: 5, ..short_run() };
    for (model, _) in FAMILIES {
        let out = tempfile::tempdir().unwrap();
        let encoder = out.path().join("encoder");
        std::fs::create_dir(&encoder).unwrap();
        let encoder = match model {
            "tiny-model" => oracles().join("tiny-encoder"),
            _ => encoder_of(model, &encoder),
        };
        let (whole, parts) = (out.path().join("whole"), out.path().join("parts"));
        let manifest = run(&encoder, (data.path(), &whole), &config, &Silent);
        for steps in [2, 4, 7] {
            run_until(steps, &encoder, (data.path(), &parts), &config);
        }
        let resumed = run(&encoder, (data.path(), &parts), &config, &Silent);
        assert_eq!(resumed.outputs, manifest.outputs, "{model}");
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
}

#[test]
fn the_encoder_of_a_late_interaction_becomes_a_cross_encoder_without_a_warm_start() {
    let data = data_folder(true);
    for model in ["tiny-colbert", "tiny-pylate"] {
        let out = tempfile::tempdir().unwrap();
        let config = TrainConfig { warm_start_steps: 5, ..short_run() };
        let manifest = run(&oracles().join(model), (data.path(), out.path()), &config, &Silent);
        let log = std::fs::read_to_string(out.path().join("log.jsonl")).unwrap();
        assert_eq!(log.matches("\"epoch\":0,").count(), 0, "{model}");
        let last = out.path().join(format!("step-{:06}", manifest.counts["steps"]));
        let scorer = Scorer::load(&last, None, None, &engine()).unwrap();
        assert!(matches!(scorer, Scorer::CrossEncoder(_)), "{model}");
    }
}

#[test]
fn a_late_interaction_learns_resumes_and_stays_one() {
    let data = data_folder(true);
    for model in ["tiny-encoder", "tiny-colbert", "tiny-pylate"] {
        let (out, model) = (tempfile::tempdir().unwrap(), oracles().join(model));
        let config = TrainConfig {
            kind: ModelKind::LateInteraction,
            loss: LossName::Softmax,
            dropout: Some(0.0),
            interpolate: 0.25,
            ..short_run()
        };
        let (whole, parts) = (out.path().join("whole"), out.path().join("parts"));
        let manifest = run(&model, (data.path(), &whole), &config, &Silent);
        for steps in [2, 4, 7] {
            run_until(steps, &model, (data.path(), &parts), &config);
        }
        let resumed = run(&model, (data.path(), &parts), &config, &Silent);
        assert_eq!(resumed.outputs, manifest.outputs, "{model:?}");
        let losses = losses(&whole);
        let epoch = losses.len() / config.epochs;
        let of = |epoch: &[f64]| epoch.iter().sum::<f64>();
        assert!(of(&losses[losses.len() - epoch..]) < of(&losses[..epoch]), "{losses:?}");
        for step in ["step-000000", &format!("step-{:06}", manifest.counts["steps"]), "blended"] {
            let scorer = Scorer::load(&whole.join(step), None, None, &engine()).unwrap();
            assert!(matches!(scorer, Scorer::LateInteraction(_)), "{model:?} {step}");
        }
    }
}

#[test]
fn a_late_interaction_refuses_what_it_has_no_use_for() {
    let late = TrainConfig { kind: ModelKind::LateInteraction, ..short_run() };
    let softmax = TrainConfig { loss: LossName::Softmax, ..late.clone() };
    for (config, key) in [
        (late, "loss"),
        (TrainConfig { head_label: Some("0".into()), ..softmax.clone() }, "head-label"),
        (TrainConfig { teacher_layers: vec![0, 1], ..softmax }, "teacher-layers"),
    ] {
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("late-interaction"), "{error}");
    }
}

#[test]
fn gradient_checkpointing_gives_the_same_bytes() {
    let data = data_folder(true);
    for (model, _) in FAMILIES {
        let (out, model) = (tempfile::tempdir().unwrap(), oracles().join(model));
        let digests = [false, true].map(|gradient_checkpointing| {
            let config = TrainConfig { gradient_checkpointing, ..short_run() };
            let run_dir = out.path().join(gradient_checkpointing.to_string());
            let mut outputs = run(&model, (data.path(), &run_dir), &config, &Silent).outputs;
            assert!(outputs.remove("config.toml").is_some() && !outputs.is_empty());
            outputs
        });
        assert_eq!(digests[0], digests[1], "{model:?}: log, best and weights");
    }
}

#[test]
fn frozen_embeddings_stay_and_everything_else_learns() {
    let data = data_folder(false);
    let config = TrainConfig { epochs: 1, freeze_embeddings: true, ..short_run() };
    for (model, _) in FAMILIES {
        let (out, model) = (tempfile::tempdir().unwrap(), oracles().join(model));
        run(&model, (data.path(), out.path()), &config, &Silent);
        let (before, after) = (tensors(&model), tensors(&out.path().join("step-000004")));
        for (name, values) in &after {
            let is_embedding = role(&model, name) == Role::Embedding;
            assert_eq!(before[name] == *values, is_embedding, "{name}");
        }
    }
}

/// The part of a tiny model to which a tensor belongs.
fn role(model: &Path, name: &str) -> Role {
    let engine = Engine::open(DeviceName::Cpu).unwrap();
    let mut network = whetstone_model::PairNetwork::load(model, &engine).unwrap();
    network.parameters().into_iter().find(|parameter| parameter.name == name).unwrap().role
}

#[test]
fn layer_decay_slows_each_part_below_the_last_layer() {
    let data = data_folder(false);
    let config = TrainConfig {
        epochs: 1,
        batch_pairs: 14,
        layer_decay: 0.1,
        schedule: Schedule::Constant,
        warmup_fraction: 0.0,
        weight_decay: 0.0,
        ..short_run()
    };
    for (model, _) in FAMILIES {
        let (out, model) = (tempfile::tempdir().unwrap(), oracles().join(model));
        run(&model, (data.path(), out.path()), &config, &Silent);
        let (before, after) = (tensors(&model), tensors(&out.path().join("step-000001")));
        let layers = whetstone_model::Architecture::read(&model).unwrap().spec.layers;
        for (name, values) in &after {
            let moved = values.iter().zip(&before[name]).map(|(after, before)| after - before);
            let farthest = moved.fold(0f32, |farthest, moved| farthest.max(moved.abs()));
            // The first step of AdamW moves a value by the learning rate.
            let below = match role(&model, name) {
                Role::Head => 0,
                Role::Layer(index) => layers - 1 - index,
                Role::Embedding => layers,
            };
            let expected = 1e-3 * 0.1f32.powi(below as i32);
            // Softmax does not see them.
            let is_noise = name.ends_with("self.key.bias") || name.ends_with("k_lin.bias");
            assert!(is_noise || (farthest / expected - 1.0).abs() < 0.1, "{name}: {farthest}");
        }
    }
}

#[test]
fn the_base_model_is_mixed_into_what_is_exported() {
    let (data, general) = (data_folder(false), data_folder(true));
    let config =
        TrainConfig { interpolate: 0.25, general_dev: Some(general.path().into()), ..short_run() };
    for (model, _) in FAMILIES {
        let (out, model) = (tempfile::tempdir().unwrap(), oracles().join(model));
        let manifest = run(&model, (data.path(), out.path()), &config, &Silent);
        let best = manifest.counts["best-step"];
        assert_eq!(best, 16, "without dev queries the last step is the best");
        let mixed = "mixed in: dev nDCG@10 not measured, general ";
        assert!(
            manifest
                .notes
                .iter()
                .filter_map(|note| note.split_once(mixed))
                .any(|(_, ndcg)| ndcg.parse::<f64>().is_ok_and(|ndcg| ndcg > 0.0))
        );
        let blended = out.path().join("blended");
        assert_eq!(whetstone_train::best_step(out.path()).unwrap(), blended);
        let step = |step: u64| tensors(&out.path().join(format!("step-{step:06}")));
        let (base, tuned) = (step(0), step(best));
        for (name, values) in tensors(&blended) {
            for ((value, tuned), base) in values.iter().zip(&tuned[&name]).zip(&base[&name]) {
                assert!((value - (0.75 * tuned + 0.25 * base)).abs() < 1e-6, "{name}");
            }
        }
        assert!(run(&model, (data.path(), out.path()), &config, &Silent).up_to_date);
    }
}
