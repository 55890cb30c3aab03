//! Loss and gradients against PyTorch, and dropout against finite differences.

mod common;

use burn::tensor::{Gradients, Tensor};
use common::{FAMILIES, LOGIT_TOLERANCE, Tiny, engine, here};
use std::collections::HashMap;
use whetstone_model::{PairNetwork, PairTokenizer, Precision, Slot, StepDropout};

/// Relative to the largest entry of a parameter's gradient.
const GRADIENT_TOLERANCE: f32 = 1e-4;

/// BCE on logits with a positive weight, as PyTorch defines it.
fn bce(logits: Tensor<1>, labels: &[f32], pos_weight: f32) -> Tensor<1> {
    let labels = Tensor::<1>::from_floats(labels, &logits.device());
    let softplus = |x: Tensor<1>| x.clone().clamp_min(0.0) + (x.abs().neg().exp() + 1.0).log();
    let positive = softplus(logits.clone().neg()) * labels.clone() * pos_weight;
    (positive + softplus(logits) * (labels.neg() + 1.0)).mean()
}

/// The loss of the golden batch and its gradients in Hugging Face's layout.
fn loss_and_gradients(
    family: Tiny,
    padded: bool,
    dropout: StepDropout,
) -> (f32, HashMap<String, Vec<f32>>) {
    let (model_dir, goldens) = (family.folder(), family.goldens());
    let engine = engine().for_training(Precision::F32);
    let engine = if padded { engine.without_kernels() } else { engine };
    let mut network = PairNetwork::load(&model_dir, &engine).unwrap();
    let tokenizer = PairTokenizer::open(&model_dir, goldens.max_length).unwrap();
    let texts: Vec<&str> =
        goldens.pairs.iter().flat_map(|p| [p.query.as_str(), p.passage.as_str()]).collect();
    let tokens = tokenizer.tokenize(&texts).unwrap();
    let batch = tokenizer.batch(tokens.chunks_exact(2).map(|pair| (&pair[0], &pair[1])));
    let labels: Vec<f32> = goldens.pairs.iter().map(|p| p.label).collect();
    let loss =
        bce(network.forward(&batch, dropout, &engine), &labels, goldens.loss.unwrap().pos_weight);
    let gradients = loss.backward();
    let mut named: HashMap<_, _> = network
        .parameters()
        .into_iter()
        .map(|parameter| (parameter.name, gradient(&parameter.slot, &gradients)))
        .collect();
    // PyTorch gives the row of the padding token no gradient. Only a text with a literal "[PAD]"
    // has one here. RoBERTa's table of positions has such a row too.
    let (norm, tables) = match family.prefix {
        "roberta." => ("LayerNorm", ["word_embeddings", "position_embeddings"].as_slice()),
        "model." => ("norm", ["tok_embeddings"].as_slice()),
        _ => ("LayerNorm", ["word_embeddings"].as_slice()),
    };
    let width = named[&format!("{}embeddings.{norm}.weight", family.prefix)].len();
    let padding = family.padding() * width..(family.padding() + 1) * width;
    for table in tables {
        let name = format!("{}embeddings.{table}.weight", family.prefix);
        named.get_mut(&name).unwrap()[padding.clone()].fill(0.0);
    }
    (loss.into_scalar(), named)
}

fn gradient(slot: &Slot, gradients: &Gradients) -> Vec<f32> {
    let data = match slot {
        Slot::Table(param) => param.val().grad(gradients).unwrap().into_data(),
        Slot::Matrix(param) => param.val().grad(gradients).unwrap().transpose().into_data(),
        Slot::Vector(param) => param.val().grad(gradients).unwrap().into_data(),
    };
    data.try_into_vec().unwrap()
}

#[test]
fn loss_and_every_gradient_are_those_of_pytorch() {
    for (family, padded) in
        FAMILIES.into_iter().flat_map(|family| [(family, false), (family, true)])
    {
        let goldens = family.goldens();
        let (loss, gradients) = loss_and_gradients(family, padded, StepDropout::default());
        let expected = goldens.loss.as_ref().unwrap().value;
        assert!((loss - expected).abs() < here(LOGIT_TOLERANCE), "{loss} {expected}");
        assert_eq!(gradients.len(), goldens.gradients.len());
        for (name, golden) in &goldens.gradients {
            let found = &gradients[name];
            let largest = found.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
            let values = golden.full.as_ref().or(golden.head.as_ref()).unwrap();
            for (value, expected) in found.iter().zip(values) {
                assert!(
                    (value - expected).abs() <= here(GRADIENT_TOLERANCE) * largest,
                    "{name} padded {padded}: {value} {expected}"
                );
            }
            if let Some(expected) = golden.l2 {
                let l2 = found.iter().map(|v| v * v).sum::<f32>().sqrt();
                assert!(
                    (l2 - expected).abs() <= here(GRADIENT_TOLERANCE) * expected.max(1e-3),
                    "{name}: {l2} {expected}"
                );
            }
        }
    }
}

#[test]
fn dropout_has_the_gradient_of_the_function_it_makes() {
    // With a fixed seed the network with dropout is a fixed function: the fused backward must match
    // finite differences.
    let dropout = StepDropout { hidden: 0.2, attention: 0.2, seed: 11 };
    for family in FAMILIES {
        check_dropout(family, dropout);
    }
}

fn check_dropout(family: Tiny, dropout: StepDropout) {
    let (loss, gradients) = loss_and_gradients(family, false, dropout);
    let (again, _) = loss_and_gradients(family, false, dropout);
    assert_eq!(loss, again);
    assert_ne!(loss, loss_and_gradients(family, false, StepDropout::default()).0);

    let (model_dir, goldens) = (family.folder(), family.goldens());
    let engine = engine().for_inference();
    let tokenizer = PairTokenizer::open(&model_dir, goldens.max_length).unwrap();
    let texts: Vec<&str> =
        goldens.pairs.iter().flat_map(|p| [p.query.as_str(), p.passage.as_str()]).collect();
    let tokens = tokenizer.tokenize(&texts).unwrap();
    let batch = tokenizer.batch(tokens.chunks_exact(2).map(|pair| (&pair[0], &pair[1])));
    let labels: Vec<f32> = goldens.pairs.iter().map(|p| p.label).collect();
    let pos_weight = goldens.loss.unwrap().pos_weight;
    let parts = [
        "encoder.layer.0.attention.self.query.bias",
        "encoder.layer.0.attention.self.value.bias",
        "encoder.layer.0.intermediate.dense.bias",
        "encoder.layer.1.attention.output.LayerNorm.weight",
        "encoder.layer.1.output.dense.bias",
        "embeddings_project.bias",
        "embeddings.norm.weight",
        "layers.0.mlp_norm.weight",
        "layers.1.attn_norm.weight",
        "final_norm.weight",
        "transformer.layer.0.attention.q_lin.bias",
        "transformer.layer.1.sa_layer_norm.weight",
        "encoder.layer.0.attention.self.query_proj.bias",
        "encoder.layer.1.attention.self.pos_query_proj.bias",
        "encoder.LayerNorm.weight",
    ];
    let names = parts.map(|part| format!("{}{part}", family.prefix));
    let heads = ["classifier.dense.bias", "pre_classifier.bias", "pooler.dense.bias"];
    let names = names.into_iter().chain(heads.map(str::to_owned));
    for name in names.filter(|name| gradients.contains_key(name)) {
        // Along the gradient itself, the slope is its length.
        let direction = &gradients[&name];
        let length = direction.iter().map(|v| v * v).sum::<f32>().sqrt();
        let at = |step: f32| -> f32 {
            let mut network = PairNetwork::load(&model_dir, &engine).unwrap();
            for parameter in network.parameters() {
                if let (true, Slot::Vector(param)) = (parameter.name == name, parameter.slot) {
                    let shift = engine.tensor(direction.clone()) * (step / length);
                    *param = param.clone().map(|value| value + shift);
                }
            }
            bce(network.forward(&batch, dropout, &engine), &labels, pos_weight).into_scalar()
        };
        let slope = (at(0.01) - at(-0.01)) / 0.02;
        assert!(
            (slope - length).abs() < 0.02 * length.max(0.01),
            "{name}: slope {slope}, gradient {length}"
        );
    }
}
