//! Forward and backward passes through the batches of one step, on all engines.

use crate::config::LossName;
use crate::data::Batch;
use crate::loss;
use crate::optimizer::StepGradients;
use crate::plan::Fit;
use burn::tensor::{Tensor, TensorData};
use whetstone_model::{Engine, PairNetwork};

/// The results of a step's batches.
pub(crate) struct Passed {
    /// Gradients of the mean loss, on the first engine.
    pub gradients: StepGradients,
    /// Mean over the batches whose logits are known, the others counting as 0.
    pub loss: f32,
    /// Of each batch, in order.
    pub logits: Vec<Logits>,
}

/// The logits of a batch.
#[allow(clippy::large_enum_variant, reason = "there are only a few at a time")]
pub(crate) enum Logits {
    Known(Vec<f32>),
    /// `[batch]`, on a device that may still be computing them.
    Awaited(Tensor<1>),
}

impl Logits {
    pub fn awaited(&self) -> Option<Tensor<1>> {
        match self {
            Logits::Known(_) => None,
            Logits::Awaited(logits) => Some(logits.clone()),
        }
    }
}

/// The gradient of a batch's share of the loss with respect to its logits.
struct Gradient {
    /// None if the batch has nothing to compare.
    values: Option<Tensor<1>>,
    /// The share itself; 0 as long as the logits are awaited.
    loss: f32,
    logits: Logits,
}

/// A copy of the network on one engine.
type Replica<'a> = (PairNetwork, &'a Engine);

impl Fit<'_> {
    /// Passes the batches of a step through the network, batch k on engine k mod their number.
    pub fn pass(&self, network: &PairNetwork, step: usize, batches: &[Batch]) -> Passed {
        let mut passed =
            Passed { gradients: StepGradients::default(), loss: 0.0, logits: Vec::new() };
        let mut replicas = self.replicas(network);
        for first in (0..batches.len()).step_by(replicas.len()) {
            let parts = first..(first + replicas.len()).min(batches.len());
            // Start all engines before waiting for the first result.
            let forward = |(part, (replica, engine)): (usize, &Replica)| {
                let (batch, dropout) = (&batches[part].packed, self.dropout(step, part));
                match &self.states {
                    None => (replica.forward(batch, dropout, engine), None), // [batch]
                    Some(teacher) => {
                        let (logits, states) = replica.forward_with_states(batch, dropout, engine);
                        (logits, Some(teacher.distance(batch, &states))) // [batch], [1]
                    }
                }
            };
            let outputs: Vec<_> = parts.clone().zip(&replicas).map(forward).collect();
            for ((part, (logits, distance)), (replica, _)) in parts.zip(outputs).zip(&mut replicas)
            {
                let gradient = self.gradient(&batches[part], logits.clone(), batches.len());
                let Gradient { values: gradient, loss, logits: kept } = gradient;
                passed.loss += loss;
                passed.logits.push(kept);
                if let Some(gradient) = gradient {
                    // Σ logit·g has the derivative g, so autodiff continues from the gradient
                    // computed by hand.
                    let mut sum = (logits * gradient).sum();
                    if let Some(distance) = distance {
                        sum = sum + distance / batches.len() as f32;
                    }
                    let gradients = sum.backward();
                    passed.gradients.add(replica, gradients, &self.engines[0]);
                }
            }
        }
        passed
    }

    /// Returns the gradient of one of `batches` batches, from the host, which waits for the logits,
    /// or from the device, where that works apart and knows the loss.
    fn gradient(&self, batch: &Batch, logits: Tensor<1>, batches: usize) -> Gradient {
        if self.engines[0].works_apart()
            && let Some(values) = self.gradient_apart(batch, logits.clone().inner())
        {
            let values = Some(Tensor::from_inner(values / batches as f32));
            return Gradient { values, loss: 0.0, logits: Logits::Awaited(logits.inner()) };
        }
        let known: Vec<f32> =
            logits.clone().inner().into_data().try_into_vec().expect("the network computes in f32");
        let loss = self.loss(batch, &known);
        let values = loss.as_ref().map(|loss| {
            let values: Vec<f32> =
                loss.gradient.iter().map(|&g| g as f32 / batches as f32).collect();
            Tensor::from_data(TensorData::new(values, [known.len()]), &logits.device())
        });
        let loss = loss.map_or(0.0, |loss| loss.value as f32 / batches as f32);
        Gradient { values, loss, logits: Logits::Known(known) }
    }

    /// Returns the gradient of a batch's loss, computed on the logits' device; None where only the
    /// host knows the loss.
    fn gradient_apart(&self, batch: &Batch, logits: Tensor<1>) -> Option<Tensor<1>> {
        if let Some((labels, positive_weight)) = self.cross_entropy(batch) {
            return Some(loss::bce_gradient(logits, &labels, positive_weight));
        }
        let temperature = self.config.softmax_temperature.into();
        let is_softmax = self.config.loss == LossName::Softmax;
        is_softmax.then(|| {
            let (labels, groups) = (self.labels(batch), self.groups(batch));
            loss::softmax_gradient(logits, (&labels, &groups), temperature)
        })
    }

    /// Returns the network on each engine. The first shares the original's memory.
    fn replicas(&self, network: &PairNetwork) -> Vec<Replica<'_>> {
        let (own, others) = self.engines.split_first().expect("a run has an engine");
        let others = others.iter().map(|engine| (network.on(engine), engine));
        std::iter::once((network.clone(), own)).chain(others).collect()
    }
}
