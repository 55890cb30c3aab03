//! Forward and backward passes through the batches of one step, on all engines.

use crate::data::Batch;
use crate::optimizer::StepGradients;
use crate::plan::Fit;
use burn::tensor::{Tensor, TensorData};
use whetstone_model::{CrossEncoderNetwork, Engine};

/// The results of a step's batches.
pub(crate) struct Passed {
    /// Gradients of the mean loss, on the first engine.
    pub gradients: StepGradients,
    /// Mean over the batches.
    pub loss: f32,
    /// Logits of all pairs, in batch order.
    pub logits: Vec<f32>,
}

/// A copy of the network on one engine.
type Replica<'a> = (CrossEncoderNetwork, &'a Engine);

impl Fit<'_> {
    /// Passes the batches of a step through the network, batch k on engine k mod their number.
    pub fn pass(&self, network: &CrossEncoderNetwork, step: usize, batches: &[Batch]) -> Passed {
        let mut passed =
            Passed { gradients: StepGradients::default(), loss: 0.0, logits: Vec::new() };
        let mut replicas = self.replicas(network);
        for first in (0..batches.len()).step_by(replicas.len()) {
            let parts = first..(first + replicas.len()).min(batches.len());
            // Start all engines before waiting for the first result.
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
                    // Σ logit·g has the derivative g, so autodiff continues from the gradient
                    // computed by hand.
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

    /// Returns the network on each engine. The first shares the original's memory.
    fn replicas(&self, network: &CrossEncoderNetwork) -> Vec<Replica<'_>> {
        let (own, others) = self.engines.split_first().expect("a run has an engine");
        let others = others.iter().map(|engine| (network.on(engine), engine));
        std::iter::once((network.clone(), own)).chain(others).collect()
    }
}
