//! What comes out of a teacher's layers, as something that a student's layers learn.
//!
//! One logit says little of a pair. The states of its tokens say hundreds of numbers for each, so
//! that a few thousand pairs are enough for a network that lost layers (Romero et al. 2015; Jiao et
//! al. 2020).

use crate::config::TrainConfig;
use crate::error::{Error, Result};
use burn::tensor::{Int, Tensor, TensorData};
use std::path::Path;
use whetstone_model::{Architecture, Engine, Packed, PairNetwork, StepDropout};
use whetstone_records::ModelDir;

/// How much the states count beside the logits. Their distance is relative and lies below 2.
const WEIGHT: f32 = 10.0;

/// A teacher whose layers a student's layers learn from.
pub(crate) struct StateTeacher {
    network: PairNetwork,
    engine: Engine,
    /// For each layer of the student, the layer of the teacher.
    layers: Vec<usize>,
}

impl StateTeacher {
    /// Loads the teacher of a config; None if it names no layers.
    ///
    /// # Errors
    /// [`Error::Value`] where the student has other tokens, another width, or another number of
    /// layers than are named.
    pub fn load(student: &Path, config: &TrainConfig, engine: &Engine) -> Result<Option<Self>> {
        let (Some(teacher), false) = (&config.teacher, config.teacher_layers.is_empty()) else {
            return Ok(None);
        };
        let (own, its) = (Architecture::read(student)?.spec, Architecture::read(teacher)?.spec);
        let refuse = |expected: String| {
            let value = format!("{:?}", config.teacher_layers);
            Err(Error::Value { key: "teacher-layers", expected, value })
        };
        if config.teacher_layers.len() != own.layers {
            return refuse(format!("one number for each of the model's {} layers", own.layers));
        }
        if config.teacher_layers.iter().any(|&layer| layer >= its.layers) {
            return refuse(format!("below {}, the teacher's layers", its.layers));
        }
        let tokens = |model: &Path| ModelDir::new(model).tokenizer_digest();
        if own.hidden != its.hidden || tokens(student)? != tokens(teacher)? {
            return refuse("empty unless model and teacher have the same tokens and width".into());
        }
        let engine = engine.for_inference().with_precision(config.precision);
        let network = PairNetwork::load_label(teacher, None, &engine)?;
        Ok(Some(Self { network, engine, layers: config.teacher_layers.clone() }))
    }

    /// Returns how far the student's states of a batch are from the teacher's, `[1]`: the squared
    /// distance as a share of the squares, in the mean over the layers, times its weight.
    pub fn distance(&self, batch: &Packed, states: &[Tensor<2>]) -> Tensor<1> {
        let dropout = StepDropout::default();
        let (_, wanted) = self.network.forward_with_states(batch, dropout, &self.engine);
        let of_layer = |(own, &layer): (&Tensor<2>, &usize)| {
            let wanted = wanted[layer].clone();
            let wanted = match own.dims() == wanted.dims() {
                true => wanted,
                false => first_tokens(wanted, batch),
            };
            let scale = wanted.clone().powi_scalar(2).mean() + 1e-6;
            let wanted = Tensor::from_inner(wanted).to_device(&own.device());
            let scale = Tensor::from_inner(scale).to_device(&own.device());
            (own.clone() - wanted).powi_scalar(2).mean() / scale
        };
        let parts = states.iter().zip(&self.layers).map(of_layer);
        let sum = parts.reduce(|sum, part| sum + part).expect("a network has layers");
        sum * (WEIGHT / self.layers.len() as f32)
    }
}

/// The student's last layer may compute first tokens alone, where the teacher has more layers.
fn first_tokens(states: Tensor<2>, batch: &Packed) -> Tensor<2> {
    let firsts = &batch.starts[..batch.sequences()];
    let firsts: Vec<i64> = firsts.iter().map(|&first| first as i64).collect();
    let data = TensorData::new(firsts, [batch.sequences()]);
    let firsts = Tensor::<1, Int>::from_data(data, &states.device());
    states.select(0, firsts)
}
