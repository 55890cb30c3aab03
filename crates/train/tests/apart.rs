//! Training as on a device that works apart from the host: padded, in plain operations, with all
//! parameters taking their step together. By default that device is the CPU.

mod common;

use burn::tensor::Tensor;
use common::{data_folder, device_under_test, engine, goldens, here, oracles, short_run};
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use whetstone_model::{DeviceName, Engine, PairNetwork, PairTokenizer, Precision, StepDropout};
use whetstone_records::{Manifest, Progress, RunDir, Silent};
use whetstone_train::{
    AdamW, Error, GradNorm, LossName, Rates, Schedule, StepGradients, TrainConfig, train,
};

/// Sums in another order, and the loss's gradient in f32 instead of f64, over some ten steps of
/// AdamW at a rate of 1e-3.
const LOSS_TOLERANCE: f64 = 5e-4;
/// bfloat16 keeps 8 bits of what is multiplied.
const BF16_LOSS_TOLERANCE: f64 = 2e-2;

fn kernels() -> Engine {
    Engine::open(DeviceName::Cpu).unwrap()
}

fn apart() -> Engine {
    let engine = match device_under_test() {
        Some(_) => engine(),
        None => kernels().without_kernels(),
    };
    assert!(engine.works_apart());
    engine
}

fn go(
    engine: Engine,
    (data, out): (&Path, &Path),
    model: &str,
    config: &TrainConfig,
    progress: &dyn Progress,
) -> Result<Manifest, Error> {
    train(data, out, &oracles().join(model), config, &[engine], progress)
}

/// The lines of the log that have a field, as that field.
fn logged(out: &Path, field: &str) -> Vec<f64> {
    let log = std::fs::read_to_string(RunDir::new(out).log()).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line[field].as_f64()).collect()
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let distance = (found - expected).abs();
        assert!(distance <= tolerance * expected.abs().max(1.0), "{found} {expected}");
    }
}

#[test]
fn four_adamw_steps_taken_together_have_the_losses_of_pytorch() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let config = TrainConfig {
        batch_pairs: 14,
        schedule: Schedule::Constant,
        warmup_fraction: 0.0,
        positive_weight: Some(3.0),
        dropout: Some(0.0),
        ..short_run()
    };
    go(apart(), (data.path(), out.path()), "tiny-model", &config, &Silent).unwrap();
    let golden = goldens();
    let expected = golden["adamw"]["losses"].as_array().unwrap();
    let expected: Vec<f64> = expected.iter().map(|loss| loss.as_f64().unwrap()).collect();
    assert_near(&logged(out.path(), "loss"), &expected, here(LOSS_TOLERANCE));
}

#[test]
fn a_run_logs_what_the_cpu_logs_for_every_kind_of_loss_and_rate() {
    let out = tempfile::tempdir().unwrap();
    let base = TrainConfig { batch_pairs: 14, dropout: Some(0.0), ..short_run() };
    let several = TrainConfig { layer_decay: 0.7, warm_start_steps: 3, ..base.clone() };
    let runs = [
        ("bce", "tiny-model", base.clone()),
        ("hinge", "tiny-model", TrainConfig { loss: LossName::Hinge, ..base.clone() }),
        ("frozen", "tiny-model", TrainConfig { freeze_embeddings: true, ..base.clone() }),
        ("unclipped", "tiny-model", TrainConfig { max_grad_norm: 0.0, ..base.clone() }),
        ("fresh", "tiny-encoder", several),
        ("roberta", "tiny-roberta", base.clone()),
        ("electra", "tiny-electra", base.clone()),
        ("modernbert", "tiny-modernbert", base.clone()),
        ("distilbert", "tiny-distilbert", base.clone()),
        ("deberta", "tiny-deberta-v2", base.clone()),
        ("parts", "tiny-model", TrainConfig { batch_pairs: 7, accumulation_steps: 2, ..base }),
    ];
    // All pairs of a step fit into one, so that devices that sort by length have the same steps.
    let data = data_folder(true);
    for (name, model, config) in runs {
        let [one, other] = [kernels(), apart()].map(|engine| {
            let out = out.path().join(format!("{name}-{}", engine.works_apart()));
            go(engine, (data.path(), &out), model, &config, &Silent).unwrap();
            out
        });
        if name != "parts" {
            for field in ["loss", "grad_norm"] {
                assert_near(&logged(&other, field), &logged(&one, field), here(LOSS_TOLERANCE));
            }
        }
        for field in ["step", "lr", "pairs"] {
            assert_eq!(logged(&other, field), logged(&one, field), "{name} {field}");
        }
    }
}

#[test]
fn bfloat16_trains_nearly_as_f32_does_and_the_weights_stay_f32() {
    let (data, out) = (data_folder(false), tempfile::tempdir().unwrap());
    let go = |precision: Precision| {
        let out = out.path().join(format!("{precision:?}"));
        let config = TrainConfig { precision, batch_pairs: 14, dropout: Some(0.0), ..short_run() };
        go(apart(), (data.path(), &out), "tiny-model", &config, &Silent).unwrap();
        let config = std::fs::read_to_string(RunDir::new(&out).config()).unwrap();
        (logged(&out, "loss"), config)
    };
    let ((f32, _), (bf16, config)) = (go(Precision::F32), go(Precision::Bf16));
    assert_near(&bf16, &f32, BF16_LOSS_TOLERANCE);
    let is_rounded = apart().supports(Precision::Bf16);
    assert_eq!(bf16 != f32, is_rounded);
    let precision = if is_rounded { "bf16" } else { "f32" };
    assert!(config.contains(&format!("precision = \"{precision}\"")), "{config}");
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
fn an_interrupted_run_ends_with_the_bytes_of_an_uninterrupted_one() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let (whole, parts) = (out.path().join("whole"), out.path().join("parts"));
    let go = |out: &Path, progress: &dyn Progress| {
        go(apart(), (data.path(), out), "tiny-model", &short_run(), progress)
    };
    let manifest = go(&whole, &Silent).unwrap();
    for steps in [2, 4, 7] {
        let stopped = || go(&parts, &StopAt(AtomicU64::new(steps)));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(stopped)).is_err());
    }
    assert_eq!(go(&parts, &Silent).unwrap().outputs, manifest.outputs);
}

/// A checkpoint is of no device: one that was begun here goes on there.
#[test]
fn a_run_goes_on_with_kernels_where_it_was_begun_without() {
    let (data, out) = (data_folder(true), tempfile::tempdir().unwrap());
    let (whole, parts) = (out.path().join("whole"), out.path().join("parts"));
    let config =
        TrainConfig { batch_pairs: 14, dropout: Some(0.0), eval_every_steps: 2, ..short_run() };
    let go = |engine, out: &Path, progress: &dyn Progress| {
        go(engine, (data.path(), out), "tiny-model", &config, progress)
    };
    go(kernels(), &whole, &Silent).unwrap();
    let stopped = || go(apart(), &parts, &StopAt(AtomicU64::new(3)));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(stopped)).is_err());
    go(kernels(), &parts, &Silent).unwrap();
    assert_near(&logged(&parts, "loss"), &logged(&whole, "loss"), here(LOSS_TOLERANCE));
}

#[test]
fn a_step_whose_norm_is_no_number_changes_no_weight_and_no_moment() {
    let engine = apart().for_training(Precision::F32);
    let model_dir = oracles().join("tiny-model");
    let mut network = PairNetwork::load(&model_dir, &engine).unwrap();
    let tokenizer = PairTokenizer::open(&model_dir, 64).unwrap();
    let tokens = tokenizer.tokenize(&["a query", "some passage"]).unwrap();
    let batch = tokenizer.batch([(&tokens[0], &tokens[1])]);
    let mut optimizer = AdamW::new(&engine);
    let rates = Rates { base: 1e-2, head_multiplier: 1.0, layer_decay: 1.0 };
    let folder = tempfile::tempdir().unwrap();
    let mut step = |factor: f32| {
        let loss = network.forward(&batch, StepDropout::default(), &engine).sum() * factor;
        let mut gradients = StepGradients::default();
        gradients.add(&mut network, loss.backward(), &engine);
        let norm = optimizer.step(&mut network, gradients, rates, &TrainConfig::default());
        let GradNorm::Awaited(norm) = norm else { panic!("nobody waits for the norm") };
        let norm: f32 = Tensor::into_scalar(norm);
        let paths = ["weights", "moments"].map(|name| folder.path().join(name));
        network.save_weights(&paths[0]).unwrap();
        optimizer.save(&paths[1]).unwrap();
        let [weights, moments] = paths.map(|path| std::fs::read(path).unwrap());
        // The header also counts the steps.
        let header = u64::from_le_bytes(moments[..8].try_into().unwrap()) as usize;
        (norm, weights, moments[8 + header..].to_vec())
    };
    let (norm, weights, moments) = step(1.0);
    assert!(norm.is_finite() && norm > 0.0);
    for factor in [f32::INFINITY, f32::NAN, f32::MAX] {
        let (norm, same_weights, same_moments) = step(factor);
        assert!(!norm.is_finite(), "{norm}");
        assert!(same_weights == weights, "{factor} moved the weights");
        assert!(same_moments == moments, "{factor} moved the moments");
    }
    assert!(step(1.0).1 != weights, "and the next step goes on");
}
