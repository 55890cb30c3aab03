//! Losses and their gradients against PyTorch and finite differences.

use super::*;
use crate::config::LambdaWeighting;
use serde_json::Value;
use std::path::Path;

/// The oracle computes in f32, we in f64. Relative for values above 1.
const TOLERANCE: f64 = 1e-5;

/// A case of tests/oracles/losses.json, with values from sentence-transformers and PyTorch.
struct Case {
    logits: Vec<f32>,
    labels: Vec<f32>,
    teacher: Vec<f32>,
    groups: Vec<usize>,
    value: f64,
    gradient: Vec<f64>,
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Returns the cases of a loss with the given options.
fn cases(loss: &str, options: &[(&str, Value)]) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/losses.json");
    let oracle: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let is_asked = |row: &&Value| {
        row["loss"] == loss && options.iter().all(|(key, value)| row["options"][key] == *value)
    };
    let case = |row: &Value| {
        let names = match row["group"].as_str().unwrap() {
            "batch" => vec!["binary", "soft", "ties"],
            name => vec![name],
        };
        let mut case = Case {
            logits: vec![],
            labels: vec![],
            teacher: vec![],
            groups: vec![],
            value: row["value"].as_f64().unwrap(),
            gradient: numbers(&row["gradient"]),
        };
        for (index, name) in names.into_iter().enumerate() {
            let group = &oracle["groups"][name];
            let f32s = |key: &str| numbers(&group[key]).into_iter().map(|number| number as f32);
            case.logits.extend(f32s("logits"));
            case.labels.extend(f32s("labels"));
            case.teacher.extend(f32s("teacher"));
            case.groups.resize(case.logits.len(), index);
        }
        case
    };
    oracle["losses"].as_array().unwrap().iter().filter(is_asked).map(case).collect()
}

/// Compares value and gradient with every case of the oracle.
fn check(name: &str, options: &[(&str, Value)], config: &TrainConfig, positive_weight: f32) {
    let cases = cases(name, options);
    assert!(cases.len() >= 4, "{name} {options:?}: {} cases", cases.len());
    for case in cases {
        let targets =
            Targets { labels: &case.labels, teacher: &case.teacher, groups: &case.groups };
        let found = loss(config, positive_weight, &case.logits, &targets).unwrap();
        let near = |found: f64, expected: f64| {
            (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
        };
        assert!(
            near(found.value, case.value),
            "{name} {options:?}: {} not {}",
            found.value,
            case.value
        );
        for (found, expected) in found.gradient.iter().zip(&case.gradient) {
            assert!(near(*found, *expected), "{name} {options:?}: gradient {found} not {expected}");
        }
    }
}

fn with(loss: LossName) -> TrainConfig {
    TrainConfig { loss, ..Default::default() }
}

#[test]
fn bce_is_that_of_sentence_transformers() {
    for weight in [1.0, 5.0f32] {
        check(
            "BinaryCrossEntropyLoss",
            &[("pos_weight", weight.into())],
            &with(LossName::Bce),
            weight,
        );
    }
}

#[test]
fn mse_and_margin_mse_are_those_of_sentence_transformers() {
    check("MSELoss", &[("target", "teacher".into())], &with(LossName::Mse), 1.0);
    check("MarginMSELoss", &[("target", "teacher".into())], &with(LossName::MarginMse), 1.0);
}

#[test]
fn hinge_is_pytorchs_margin_ranking() {
    for margin in [0.5f32, 1.0] {
        let config = TrainConfig { margin, ..with(LossName::Hinge) };
        let options = [("margin", margin.into()), ("pairs", "every pair of unequal label".into())];
        check("torch MarginRankingLoss", &options, &config, 1.0);
    }
}

#[test]
fn ranknet_and_every_lambda_weighting_are_those_of_sentence_transformers() {
    let usual = |scheme: Option<&str>| {
        let mut options = vec![
            ("reduction_log", Value::from("binary")),
            ("k", Value::Null),
            ("sigma", 1.0.into()),
        ];
        options.extend(scheme.map(|scheme| ("weighting_scheme", scheme.into())));
        options
    };
    check("RankNetLoss", &usual(None), &with(LossName::RankNet), 1.0);
    for (scheme, lambda_weighting) in [
        ("NoWeightingScheme", LambdaWeighting::None),
        ("NDCGLoss1Scheme", LambdaWeighting::NdcgLoss1),
        ("NDCGLoss2Scheme", LambdaWeighting::NdcgLoss2),
        ("LambdaRankScheme", LambdaWeighting::LambdaRank),
        ("NDCGLoss2PPScheme", LambdaWeighting::NdcgLoss2pp),
    ] {
        let config = TrainConfig { lambda_weighting, ..with(LossName::Lambda) };
        check("LambdaLoss", &usual(Some(scheme)), &config, 1.0);
    }
}

#[test]
fn list_losses_are_those_of_sentence_transformers_and_pytorch() {
    check("torch cross_entropy", &[("target", "the first".into())], &with(LossName::Softmax), 1.0);
    check("ListNetLoss", &[], &with(LossName::ListNet), 1.0);
    check("ListMLELoss", &[("respect_input_order", false.into())], &with(LossName::ListMle), 1.0);
}

#[test]
fn a_temperature_divides_the_scores_of_the_softmax() {
    let config = TrainConfig { softmax_temperature: 0.5, ..with(LossName::Softmax) };
    // Scores half as large over 0.5 are the oracle's own, so the loss is the same. A change of them
    // counts twice.
    let cases = cases("torch cross_entropy", &[("target", "the first".into())]);
    assert!(cases.len() >= 4, "{} cases", cases.len());
    for case in cases {
        let halves: Vec<f32> = case.logits.iter().map(|logit| logit / 2.0).collect();
        let targets = Targets { labels: &case.labels, teacher: &[], groups: &case.groups };
        let found = loss(&config, 1.0, &halves, &targets).unwrap();
        assert!((found.value - case.value).abs() <= TOLERANCE * case.value.max(1.0));
        for (found, expected) in found.gradient.iter().zip(&case.gradient) {
            assert!((found - 2.0 * expected).abs() <= 2.0 * TOLERANCE, "{found} {expected}");
        }
    }
}

#[test]
fn the_least_temperature_is_taken_and_a_lower_or_endless_one_is_named() {
    let with = |softmax_temperature| TrainConfig { softmax_temperature, ..with(LossName::Softmax) };
    with(0.01).check().unwrap();
    for refused in [0.009, f32::INFINITY, f32::NAN] {
        let error = with(refused).check().unwrap_err().to_string();
        assert!(error.contains("softmax-temperature") && error.contains("0.01"), "{error}");
    }
}

#[test]
fn a_batch_without_contrast_has_no_pairwise_loss() {
    let targets = Targets { labels: &[1.0, 1.0], teacher: &[], groups: &[0, 1] };
    assert!(loss(&with(LossName::Hinge), 1.0, &[0.3, 0.1], &targets).is_none());
    assert!(loss(&with(LossName::Bce), 1.0, &[0.3, 0.1], &targets).is_some());
}

#[test]
fn a_device_computes_the_gradient_of_the_softmax_as_the_host_does() {
    // The second query's logits are far above the others', and the third has one passage.
    let logits = [0.5f32, -2.5, 70.0, 0.0, 90.0, 3.0, -25.0];
    let labels = [1.0f32, 0.0, 0.0, 0.3, 1.0, 0.0, 1.0];
    let groups = [0, 0, 5, 0, 5, 0, 2];
    let wide: Vec<f64> = logits.iter().map(|&logit| logit.into()).collect();
    let targets = Targets { labels: &labels, teacher: &[], groups: &groups };
    for temperature in [0.05, 1.0] {
        let expected = listwise::softmax(&wide, &targets, temperature).unwrap().gradient;
        let logits = burn::tensor::Tensor::from_floats(logits, &burn::tensor::Device::flex());
        let found = softmax_gradient(logits, (&labels, &groups), temperature);
        let found: Vec<f32> = found.into_data().try_into_vec().unwrap();
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
}

#[test]
fn a_device_computes_the_gradient_of_the_cross_entropy_as_the_host_does() {
    let logits = [-30.0f32, -2.5, -0.1, 0.0, 0.7, 3.0, 25.0];
    let labels = [1.0f32, 0.0, 0.3, 1.0, 0.5, 0.0, 1.0];
    let wide: Vec<f64> = logits.iter().map(|&logit| logit.into()).collect();
    let expected = pointwise::bce(&wide, &labels, 3.0).unwrap().gradient;
    let logits = burn::tensor::Tensor::from_floats(logits, &burn::tensor::Device::flex());
    let found: Vec<f32> = bce_gradient(logits, &labels, 3.0).into_data().try_into_vec().unwrap();
    for (found, expected) in found.iter().zip(expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-7, "{found} {expected}");
    }
}
