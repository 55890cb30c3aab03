use crate::config::TrainConfig;
use crate::error::{Error, Result};
use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use whetstone_kernels::{self as kernels, AdamWStep};
use whetstone_model::{CrossEncoderNetwork, Slot};
use whetstone_records::{AtomicFile, f32_bytes};

// PyTorch's defaults; burn's own differ (eps 1e-5, weight decay 1e-4).
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// AdamW (Loshchilov & Hutter 2019) over Hugging Face names, so that its state can be saved beside
/// the weights.
pub struct AdamW {
    /// First and second moment of each parameter, flat.
    moments: HashMap<String, (Tensor<1>, Tensor<1>)>,
    steps: i32,
    is_fused: bool,
}

impl AdamW {
    /// Starts with no moments; `device` is the network's.
    pub fn new(device: &Device) -> Self {
        Self { moments: HashMap::new(), steps: 0, is_fused: *device == Device::flex() }
    }

    /// Updates every parameter that has a gradient and returns their global norm before clipping.
    pub fn step(
        &mut self,
        network: &mut CrossEncoderNetwork,
        mut gradients: StepGradients,
        rates: Rates,
        config: &TrainConfig,
    ) -> f64 {
        self.steps += 1;
        let norm = gradients
            .0
            .values()
            .map(|gradient| self.squared_norm(gradient.clone()))
            .sum::<f64>()
            .sqrt();
        let clip = if config.max_grad_norm > 0.0 {
            (config.max_grad_norm / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        let slots = network.slots();
        let layers =
            slots.iter().filter_map(|(name, _)| layer_of(name)).max().map_or(0, |last| last + 1);
        for (name, slot) in slots {
            let Some(gradient) = gradients.0.remove(&name) else { continue };
            let is_decayed = !matches!(slot, Slot::Vector(_));
            let step = AdamWStep {
                lr: rates.of(&name, layers) as f32,
                beta1: BETA1 as f32,
                beta2: BETA2 as f32,
                eps: EPS as f32,
                weight_decay: if is_decayed { config.weight_decay as f32 } else { 0.0 },
                correction1: (1.0 - BETA1.powi(self.steps)) as f32,
                correction2_sqrt: (1.0 - BETA2.powi(self.steps)).sqrt() as f32,
                grad_scale: clip as f32,
            };
            match slot {
                Slot::Table(param) | Slot::Matrix(param) => {
                    self.update(name, param, gradient, step)
                }
                Slot::Vector(param) => self.update(name, param, gradient, step),
            }
        }
        norm
    }

    fn squared_norm(&self, gradient: Tensor<1>) -> f64 {
        if self.is_fused {
            f64::from(kernels::squared_norm(gradient))
        } else {
            f64::from((gradient.clone() * gradient).sum().into_scalar::<f32>())
        }
    }

    fn update<const D: usize>(
        &mut self,
        name: String,
        param: &mut Param<Tensor<D>>,
        g: Tensor<1>,
        step: AdamWStep,
    ) {
        let device = g.device();
        // The parameter is moved out, so that nothing else holds its memory and it can be updated
        // in place.
        let placeholder = Param::from_tensor(Tensor::empty([1; D], &device));
        let w = std::mem::replace(param, placeholder).into_value().inner();
        let shape = w.shape();
        let len = shape.num_elements();
        let w = w.reshape([len]);
        let (m, v) = self
            .moments
            .remove(&name)
            .unwrap_or_else(|| (Tensor::zeros([len], &device), Tensor::zeros([len], &device)));
        let (w, m, v) =
            if self.is_fused { kernels::adamw(w, g, m, v, step) } else { adamw(w, g, m, v, step) };
        self.moments.insert(name, (m, v));
        *param = Param::from_tensor(Tensor::from_inner(w.reshape(shape)));
    }

    /// Writes the moments as safetensors.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (name, (m, v)) in &self.moments {
            tensors.insert(format!("{name}.first"), bytes(m));
            tensors.insert(format!("{name}.second"), bytes(v));
        }
        let damaged = |source: safetensors::SafeTensorError| Error::Checkpoint {
            path: path.into(),
            what: source.to_string(),
        };
        let views = tensors
            .iter()
            .map(|(name, bytes)| {
                Ok((name, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(damaged)?;
        let metadata = HashMap::from([("steps".to_owned(), self.steps.to_string())]);
        let file = safetensors::serialize(views, Some(metadata)).map_err(damaged)?;
        Ok(AtomicFile::write_all_to(path, &file)?)
    }

    /// Reads what [`AdamW::save`] wrote.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let damaged = |what: String| Error::Checkpoint { path: path.into(), what };
        let bytes = std::fs::read(path).map_err(whetstone_records::Error::io("read", path))?;
        let file =
            SafeTensors::deserialize(&bytes).map_err(|source| damaged(source.to_string()))?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|source| damaged(source.to_string()))?;
        let steps =
            header.metadata().as_ref().and_then(|metadata| metadata.get("steps")?.parse().ok());
        let mut optimizer = Self::new(device);
        optimizer.steps = steps.ok_or_else(|| damaged("no step count".into()))?;
        for name in file.names().into_iter().filter_map(|name| name.strip_suffix(".first")) {
            let moment = |suffix: &str| -> Result<Tensor<1>> {
                let view = file
                    .tensor(&format!("{name}.{suffix}"))
                    .map_err(|source| damaged(source.to_string()))?;
                let values: Vec<f32> = view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                    .collect();
                let len = values.len();
                Ok(Tensor::from_data(TensorData::new(values, [len]), device))
            };
            optimizer.moments.insert(name.to_owned(), (moment("first")?, moment("second")?));
        }
        Ok(optimizer)
    }
}

fn bytes(tensor: &Tensor<1>) -> Vec<u8> {
    let values: Vec<f32> = tensor.clone().into_data().try_into_vec().expect("moments are f32");
    f32_bytes(&values)
}

/// The learning rates of one step.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of the encoder's last layer.
    pub base: f64,
    /// What pooler and classifier multiply it by.
    pub head_multiplier: f64,
    /// What it is multiplied by from each layer to the one below.
    pub layer_decay: f64,
}

impl Rates {
    /// The rate of a parameter of an encoder of `layers` layers.
    fn of(&self, name: &str, layers: usize) -> f64 {
        if name.starts_with("classifier.") || name.starts_with("bert.pooler.") {
            return self.base * self.head_multiplier;
        }
        let below = layer_of(name).map_or(layers, |layer| layers - 1 - layer);
        self.base * self.layer_decay.powi(below as i32)
    }
}

/// The number of the encoder layer that a parameter belongs to; None for embeddings and head.
fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("bert.encoder.layer.")?.split('.').next()?.parse().ok()
}

/// The gradients of a step, by Hugging Face name, each flat: those of one batch, or the mean over
/// several.
#[derive(Default)]
pub struct StepGradients(BTreeMap<String, Tensor<1>>);

impl StepGradients {
    /// Takes the gradients of one batch to `device`; the batch is one of as many as the loss was
    /// divided by.
    pub fn add(
        &mut self,
        network: &mut CrossEncoderNetwork,
        mut gradients: Gradients,
        device: &Device,
    ) {
        let device = device.clone().inner();
        for (name, slot) in network.slots() {
            if let Some(gradient) = take_gradient(&slot, &mut gradients) {
                let gradient = gradient.to_device(&device);
                let sum = match self.0.remove(&name) {
                    Some(sum) => sum + gradient,
                    None => gradient,
                };
                self.0.insert(name, sum);
            }
        }
    }
}

/// The gradient of a parameter, flat; None where the batch does not reach it.
fn take_gradient(slot: &Slot, gradients: &mut Gradients) -> Option<Tensor<1>> {
    fn take<const D: usize>(
        param: &Param<Tensor<D>>,
        gradients: &mut Gradients,
    ) -> Option<Tensor<1>> {
        let gradient = param.val().grad_remove(gradients)?;
        let len = gradient.shape().num_elements();
        Some(gradient.reshape([len]))
    }
    match slot {
        Slot::Table(param) | Slot::Matrix(param) => take(param, gradients),
        Slot::Vector(param) => take(param, gradients),
    }
}

/// The same step in plain burn operations, for devices without the fused one.
fn adamw(
    w: Tensor<1>,
    g: Tensor<1>,
    m: Tensor<1>,
    v: Tensor<1>,
    step: AdamWStep,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let g = g * step.grad_scale;
    let m = m * step.beta1 + g.clone() * (1.0 - step.beta1);
    let v = v * step.beta2 + g.clone() * g * (1.0 - step.beta2);
    let denominator = v.clone().sqrt() / step.correction2_sqrt + step.eps;
    let w = w * (1.0 - step.lr * step.weight_decay)
        - m.clone() / denominator * (step.lr / step.correction1);
    (w, m, v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_decays_from_layer_to_layer_and_the_head_has_its_own() {
        let rates = Rates { base: 1.0, head_multiplier: 3.0, layer_decay: 0.5 };
        let of = |name| rates.of(name, 6);
        assert_eq!(of("classifier.weight"), 3.0);
        assert_eq!(of("bert.pooler.dense.bias"), 3.0);
        assert_eq!(of("bert.encoder.layer.5.output.dense.weight"), 1.0);
        assert_eq!(of("bert.encoder.layer.0.output.dense.weight"), 1.0 / 32.0);
        assert_eq!(of("bert.embeddings.word_embeddings.weight"), 1.0 / 64.0);
    }
}
