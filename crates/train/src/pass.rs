//! Forward and backward through the batches of one step, on as many engines as there are.

use crate::data::Batch;
use crate::optimizer::StepGradients;
use crate::plan::Fit;
use burn::tensor::{Tensor, TensorData};
use whetstone_model::{CrossEncoderNetwork, Engine};

/// What the batches of a step came to.
pub(crate) struct Passed {
    /// Of the mean loss, on the first engine.
    pub gradients: StepGradients,
    /// Mean over the batches.
    pub loss: f32,
    /// Of all pairs, in the order of the batches.
    pub logits: Vec<f32>,
}

/// The network on one of the engines.
type Replica<'a> = (CrossEncoderNetwork, &'a Engine);

impl Fit<'_> {
    /// Passes the batches of a step through the network, batch k on engine k mod their number.
    pub fn pass(&self, network: &CrossEncoderNetwork, step: usize, batches: &[Batch]) -> Passed {
        let mut passed =
            Passed { gradients: StepGradients::default(), loss: 0.0, logits: Vec::new() };
        let mut replicas = self.replicas(network);
        for first in (0..batches.len()).step_by(replicas.len()) {
            let parts = first..(first + replicas.len()).min(batches.len());
            // All engines are at work before the first result is waited for.
            let forward = |(part, (replica, engine)): (usize, &Replica)| {
                replica.forward(&batches[part].packed, self.dropout(step, part), engine) // [batch]
            };
            let logits: Vec<Tensor<1>> = parts.clone().zip(&replicas).map(forward).collect();
            for ((part, logits), (replica, _)) in parts.zip(logits).zip(&mut replicas) {
                let values: Vec<f32> = logits
                    .clone()
                    .inner()
                    .into_data()
                    .try_into_vec()
                    .expect("the network computes in f32");
                if let Some(loss) = self.loss(&batches[part], &values) {
                    passed.loss += loss.value as f32 / batches.len() as f32;
                    // The derivative of Σ logit·g is g: autodiff goes on from the gradient that the
                    // loss has by hand.
                    let gradient: Vec<f32> =
                        loss.gradient.iter().map(|&g| g as f32 / batches.len() as f32).collect();
                    let gradient = TensorData::new(gradient, [values.len()]);
                    let gradient = Tensor::<1>::from_data(gradient, &logits.device());
                    passed.gradients.add(
                        replica,
                        (logits * gradient).sum().backward(),
                        &self.engines[0],
                    );
                }
                passed.logits.extend(values);
            }
        }
        passed
    }

    /// The network on each engine; on its own it shares its memory.
    fn replicas(&self, network: &CrossEncoderNetwork) -> Vec<Replica<'_>> {
        let (own, others) = self.engines.split_first().expect("a run has an engine");
        let others = others.iter().map(|engine| (network.on(engine), engine));
        std::iter::once((network.clone(), own)).chain(others).collect()
    }
}
