//! From a token's vector to the narrow one that is compared.

use super::settings::{ProjectionFiles, needed};
use crate::engine::Engine;
use crate::error::{Error, Result, refuse};
use crate::weights::{self, PROJECTION, Stored, Tensors, transpose};
use burn::nn::{Linear, LinearConfig};
use serde::Deserialize;
use std::path::Path;

/// The only function after a projection that code here computes.
const IDENTITY: &str = "torch.nn.modules.linear.Identity";
pub(super) const BIAS: &str = "linear.bias";
/// The matrix around a module whose input and output differ in width.
const RESIDUAL: &str = "residual.weight";

/// A linear layer, in the layout of the files: `[to, from]`.
pub struct Projection {
    pub from: usize,
    pub to: usize,
    pub weight: Vec<f64>,
    pub bias: Vec<f64>,
}

/// The settings of a module.
#[derive(Deserialize)]
struct Dense {
    in_features: usize,
    out_features: usize,
    #[serde(default)]
    bias: bool,
    #[serde(default)]
    activation_function: Option<String>,
    #[serde(default)]
    use_residual: bool,
}

/// Reads the projection of vectors of width `hidden`; None if it changes nothing. Linear layers one
/// after the other are one linear layer, and so are they with their residuals.
pub(super) fn read(
    model_dir: &Path,
    files: &ProjectionFiles,
    hidden: usize,
) -> Result<Option<Projection>> {
    let projection = match files {
        ProjectionFiles::None => return Ok(None),
        ProjectionFiles::WithEncoder => beside_encoder(model_dir, hidden)?,
        ProjectionFiles::Modules(modules) => {
            let mut projection: Option<Projection> = None;
            for [settings, weights] in modules {
                let from = projection.as_ref().map_or(hidden, |earlier| earlier.to);
                let module = Projection::of_module(settings, weights, from)?;
                projection = Some(match projection {
                    None => module,
                    Some(earlier) => earlier.then(&module),
                });
            }
            projection.expect("a folder without a module is no late interaction")
        }
    };
    Ok((!projection.is_identity()).then_some(projection))
}

fn beside_encoder(model_dir: &Path, hidden: usize) -> Result<Projection> {
    let path = weights::place(model_dir);
    let mut tensors = Tensors::new();
    for file in weights::files(model_dir)? {
        let only = |name: &str| (name == PROJECTION).then(|| name.to_owned());
        weights::read_named(&mut tensors, &file, only)?;
    }
    let stored = take(&mut tensors, PROJECTION, &path)?;
    let to = stored.shape.first().copied().unwrap_or_default();
    if to == 0 {
        return refuse(&path, PROJECTION, "at least one row", "none");
    }
    Ok(Projection {
        from: hidden,
        to,
        weight: matrix(stored, &path, [to, hidden])?,
        bias: vec![0.0; to],
    })
}

/// Removes a tensor, which must be there.
fn take(tensors: &mut Tensors, name: &str, path: &Path) -> Result<Stored> {
    let (path, missing) = (path.to_path_buf(), vec![name.to_owned()]);
    tensors.remove(name).ok_or(Error::Names { path, missing, unused: vec![] })
}

fn matrix(stored: Stored, path: &Path, shape: [usize; 2]) -> Result<Vec<f64>> {
    stored.expect_shape(path, &shape)?;
    Ok(stored.values.into_iter().map(f64::from).collect())
}

impl Projection {
    fn of_module(settings: &Path, file: &Path, width: usize) -> Result<Self> {
        let dense: Dense = needed(settings)?;
        match dense.activation_function.as_deref() {
            Some(IDENTITY) => {}
            other => {
                let value = other.unwrap_or("nothing");
                return refuse(settings, "activation_function", IDENTITY, value);
            }
        }
        if dense.in_features != width {
            let expected = "the width of the vectors that come in";
            return refuse(settings, "in_features", expected, dense.in_features);
        }
        if dense.out_features == 0 {
            return refuse(settings, "out_features", "at least 1", 0);
        }
        let (from, to) = (dense.in_features, dense.out_features);
        let mut tensors = Tensors::new();
        weights::read_named(&mut tensors, file, |name| Some(name.to_owned()))?;
        let mut weight = matrix(take(&mut tensors, PROJECTION, file)?, file, [to, from])?;
        let mut bias = vec![0.0; to];
        if dense.bias {
            let stored = take(&mut tensors, BIAS, file)?;
            stored.expect_shape(file, &[to])?;
            bias = stored.values.into_iter().map(f64::from).collect();
        }
        if dense.use_residual && from == to {
            (0..to).for_each(|place| weight[place * from + place] += 1.0);
        } else if dense.use_residual {
            let around = matrix(take(&mut tensors, RESIDUAL, file)?, file, [to, from])?;
            weight.iter_mut().zip(around).for_each(|(value, around)| *value += around);
        }
        if !tensors.is_empty() {
            let unused = tensors.into_keys().collect();
            return Err(Error::Names { path: file.into(), missing: vec![], unused });
        }
        Ok(Self { from, to, weight, bias })
    }

    /// Whether it leaves every vector as it is.
    fn is_identity(&self) -> bool {
        let is_unit = |(place, value): (usize, &f64)| {
            *value == if place % (self.from + 1) == 0 { 1.0 } else { 0.0 }
        };
        self.from == self.to
            && self.bias.iter().all(|value| *value == 0.0)
            && self.weight.iter().enumerate().all(is_unit)
    }

    /// This layer and then the next, as one.
    fn then(self, next: &Self) -> Self {
        let mut weight = vec![0.0; next.to * self.from];
        let mut bias = next.bias.clone();
        for (row, bias) in bias.iter_mut().enumerate() {
            let sum = &mut weight[row * self.from..][..self.from];
            for (inner, factor) in next.weight[row * next.from..][..next.from].iter().enumerate() {
                let values = &self.weight[inner * self.from..][..self.from];
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
                *bias += factor * self.bias[inner];
            }
        }
        Self { from: self.from, to: next.to, weight, bias }
    }

    /// The same layer on a device.
    pub(super) fn linear(self, engine: &Engine) -> Linear {
        let Self { from, to, weight, bias } = self;
        let device = engine.device();
        let weight: Vec<f32> = weight.into_iter().map(|value| value as f32).collect();
        let bias: Vec<f32> = bias.into_iter().map(|value| value as f32).collect();
        let mut linear = LinearConfig::new(from, to).init(device);
        linear.weight = weights::parameter(transpose(&weight, to, from), vec![from, to], device);
        linear.bias = Some(weights::parameter(bias, vec![to], device));
        linear
    }
}
