//! The AdamW optimizer: its moments, learning rates and gradients.

use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::flat::{Flat, Kind};
use burn::module::Param;
use burn::tensor::{Gradients, Tensor};
use safetensors::SafeTensors;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use whetstone_model::{
    AdamWState, AdamWStep, Engine, PairNetwork, Parameter, Role, Slot, Unwritten, write_tensors,
};
use whetstone_records::read_whole;

// PyTorch's defaults; burn's own differ (eps 1e-5, weight decay 1e-4).
const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// First and second moment of each parameter, flat, by its Hugging Face name.
pub(crate) type Moments = HashMap<String, (Tensor<1>, Tensor<1>)>;

/// AdamW (Loshchilov & Hutter 2019), keyed by Hugging Face names so that its state can be saved
/// beside the weights.
pub struct AdamW {
    /// Those of a step that goes from parameter to parameter, or that were read from a file.
    moments: Moments,
    /// Where all parameters take their step together.
    flat: Option<Flat>,
    steps: i32,
    engine: Engine,
}

/// The gradients' global norm before clipping.
#[allow(clippy::large_enum_variant, reason = "there are only a few at a time")]
pub enum GradNorm {
    Known(f64),
    /// `[1]`, on a device that may still be computing it.
    Awaited(Tensor<1>),
}

impl AdamW {
    /// Starts with no moments. `engine` must be the network's.
    pub fn new(engine: &Engine) -> Self {
        Self { moments: HashMap::new(), flat: None, steps: 0, engine: engine.clone() }
    }

    /// Updates every parameter that has a gradient.
    pub fn step(
        &mut self,
        network: &mut PairNetwork,
        gradients: StepGradients,
        rates: Rates,
        config: &TrainConfig,
    ) -> GradNorm {
        self.steps += 1;
        match self.engine.works_apart() && !gradients.0.is_empty() {
            true => GradNorm::Awaited(self.step_together(network, gradients, rates, config)),
            false => GradNorm::Known(self.step_in_turn(network, gradients, rates, config)),
        }
    }

    /// All parameters at once, decided on the device.
    fn step_together(
        &mut self,
        network: &mut PairNetwork,
        gradients: StepGradients,
        rates: Rates,
        config: &TrainConfig,
    ) -> Tensor<1> {
        let (before, engine) = (self.flat.take(), &self.engine);
        let wanted = (&gradients, rates);
        let mut flat = Flat::fitting(before, network, wanted, &mut self.moments, engine);
        let step_of = |kind: Kind| self.update(rates.base * kind.factor(), kind.is_decayed, config);
        let norm = flat.step(network, gradients, (config.max_grad_norm, step_of), engine);
        self.flat = Some(flat);
        norm
    }

    /// One parameter after the other, each in one pass over its memory.
    fn step_in_turn(
        &mut self,
        network: &mut PairNetwork,
        mut gradients: StepGradients,
        rates: Rates,
        config: &TrainConfig,
    ) -> f64 {
        let norm = gradients
            .0
            .values()
            .map(|gradient| self.engine.squared_norm(gradient.clone()))
            .sum::<f64>()
            .sqrt();
        let clip = if config.max_grad_norm > 0.0 {
            (config.max_grad_norm / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        };
        let layers = network.layers();
        for Parameter { name, role, slot } in network.parameters() {
            let Some(gradient) = gradients.0.remove(&name) else { continue };
            let is_decayed = !matches!(slot, Slot::Vector(_));
            let step = AdamWStep {
                grad_scale: clip as f32,
                ..self.update(rates.base * rates.factor(role, layers), is_decayed, config)
            };
            match slot {
                Slot::Table(param) | Slot::Matrix(param) => {
                    self.step_one(name, param, gradient, step)
                }
                Slot::Vector(param) => self.step_one(name, param, gradient, step),
            }
        }
        norm
    }

    /// Returns the numbers of this step for a learning rate, without clipping.
    fn update(&self, lr: f64, is_decayed: bool, config: &TrainConfig) -> AdamWStep {
        AdamWStep {
            lr: lr as f32,
            beta1: BETA1 as f32,
            beta2: BETA2 as f32,
            eps: EPS as f32,
            weight_decay: if is_decayed { config.weight_decay as f32 } else { 0.0 },
            correction1: (1.0 - BETA1.powi(self.steps)) as f32,
            correction2_sqrt: (1.0 - BETA2.powi(self.steps)).sqrt() as f32,
            grad_scale: 1.0,
        }
    }

    fn step_one<const D: usize>(
        &mut self,
        name: String,
        param: &mut Param<Tensor<D>>,
        g: Tensor<1>,
        step: AdamWStep,
    ) {
        // Moving the parameter out leaves one owner of its memory, so the update can happen in
        // place.
        let placeholder = Param::from_tensor(Tensor::empty([1; D], &g.device()));
        let w = std::mem::replace(param, placeholder).into_value().inner();
        let shape = w.shape();
        let len = shape.num_elements();
        let zeros = || Tensor::zeros([len], &g.device());
        let (first_moment, second_moment) =
            self.moments.remove(&name).unwrap_or_else(|| (zeros(), zeros()));
        let state = AdamWState { weight: w.reshape([len]), first_moment, second_moment };
        let state = self.engine.adamw(state, g, step);
        self.moments.insert(name, (state.first_moment, state.second_moment));
        *param = Param::from_tensor(Tensor::from_inner(state.weight.reshape(shape)));
    }

    /// Writes the moments as safetensors.
    pub fn save(&self, path: &Path) -> Result<()> {
        let together = self.flat.as_ref().map(Flat::moments).unwrap_or_default();
        let moments = self.moments.iter().chain(&together);
        let tensors = moments.flat_map(|(name, (first, second))| {
            [("first", first), ("second", second)].map(|(which, moment)| Unwritten {
                name: format!("{name}.{which}"),
                shape: moment.dims().into(),
                values: move || moment.clone().into_data().try_into_vec().expect("moments are f32"),
            })
        });
        Ok(write_tensors(path, tensors.collect(), ("steps", &self.steps.to_string()))?)
    }

    /// Reads what [`AdamW::save`] wrote.
    pub fn load(path: &Path, engine: &Engine) -> Result<Self> {
        let damaged = |what: String| Error::Checkpoint { path: path.into(), what };
        let bytes = read_whole(path)?;
        let file =
            SafeTensors::deserialize(&bytes).map_err(|source| damaged(source.to_string()))?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|source| damaged(source.to_string()))?;
        let steps =
            header.metadata().as_ref().and_then(|metadata| metadata.get("steps")?.parse().ok());
        let mut optimizer = Self::new(engine);
        optimizer.steps = steps.ok_or_else(|| damaged("no step count".into()))?;
        for name in file.names().into_iter().filter_map(|name| name.strip_suffix(".first")) {
            let moment = |suffix: &str| -> Result<Tensor<1>> {
                let view = file
                    .tensor(&format!("{name}.{suffix}"))
                    .map_err(|source| damaged(source.to_string()))?;
                let bytes = view.data().as_chunks::<4>().0;
                Ok(engine.tensor(bytes.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
            };
            optimizer.moments.insert(name.to_owned(), (moment("first")?, moment("second")?));
        }
        Ok(optimizer)
    }
}

/// The learning rates of one step.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of the encoder's last layer.
    pub base: f64,
    /// Factor for the head.
    pub head_multiplier: f64,
    /// Factor from each layer to the one below.
    pub layer_decay: f64,
}

impl Rates {
    /// Returns the factor on the base rate for a part of an encoder with `layers` layers.
    pub(crate) fn factor(&self, role: Role, layers: usize) -> f64 {
        let below = match role {
            Role::Head => return self.head_multiplier,
            Role::Layer(layer) => layers - 1 - layer,
            Role::Embedding => layers,
        };
        self.layer_decay.powi(below as i32)
    }
}

/// The flat gradients of a step by Hugging Face name, summed over its batches.
#[derive(Default)]
pub struct StepGradients(BTreeMap<String, Tensor<1>>);

impl StepGradients {
    /// Returns the length of a parameter's gradient; None if it has none.
    pub(crate) fn len_of(&self, name: &str) -> Option<usize> {
        self.0.get(name).map(|gradient| gradient.dims()[0])
    }

    /// Takes the gradient of a parameter that has one.
    pub(crate) fn take(&mut self, name: &str) -> Tensor<1> {
        self.0.remove(name).expect("the parameter has a gradient")
    }

    /// Adds the gradients of one batch, moved to `engine`. Its loss must already be divided by the
    /// number of batches.
    pub fn add(&mut self, network: &mut PairNetwork, mut gradients: Gradients, engine: &Engine) {
        for Parameter { name, slot, .. } in network.parameters() {
            if let Some(gradient) = take_gradient(&slot, &mut gradients) {
                let gradient = engine.fetch(gradient);
                let sum = match self.0.remove(&name) {
                    Some(sum) => sum + gradient,
                    None => gradient,
                };
                self.0.insert(name, sum);
            }
        }
    }
}

/// Takes the flat gradient of a parameter; None if the batch does not reach it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_decays_from_layer_to_layer_and_the_head_has_its_own() {
        let rates = Rates { base: 1.0, head_multiplier: 3.0, layer_decay: 0.5 };
        let of = |role| rates.factor(role, 6);
        assert_eq!(of(Role::Head), 3.0);
        assert_eq!(of(Role::Layer(5)), 1.0);
        assert_eq!(of(Role::Layer(0)), 1.0 / 32.0);
        assert_eq!(of(Role::Embedding), 1.0 / 64.0);
    }
}
