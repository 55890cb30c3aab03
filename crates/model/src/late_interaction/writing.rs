//! Writes what makes a folder one of late interaction, beside the encoder's weights: PyLate's files.

use super::projection::BIAS;
use super::settings::{Expansion, Settings};
use crate::engine::values;
use crate::error::Result;
use crate::nn::MaxSim;
use crate::tensor_file::{Unwritten, write_tensors};
use crate::weights::{PROJECTION, transpose};
use serde_json::{Value, json};
use std::path::Path;
use whetstone_records::{ModelDir, write_json};

/// Writes the settings and the projection. Without a projection the encoder's own vectors, of width
/// `hidden`, are compared: PyLate wants a matrix then, and it is the identity.
pub(crate) fn write_beside(
    folder: &Path,
    settings: &Settings,
    (max_sim, hidden): (&MaxSim, usize),
) -> Result<()> {
    let dir = ModelDir::new(folder);
    let module = |idx: usize, path: &str, class: &str| json!({ "idx": idx, "name": idx.to_string(), "path": path, "type": class });
    let modules = [
        module(0, "", "sentence_transformers.models.Transformer"),
        module(1, "1_Dense", "pylate.models.Dense.Dense"),
    ];
    write_json(&dir.modules(), &modules)?;
    write_json(&dir.sentence_transformers(), &pylate(settings))?;
    let projection = Matrix::of(max_sim, hidden);
    write_json(
        &dir.dense(),
        &json!({
            "in_features": projection.from,
            "out_features": projection.to,
            "bias": projection.bias.is_some(),
            "activation_function": "torch.nn.modules.linear.Identity",
            "use_residual": false,
        }),
    )?;
    let Matrix { from, to, weight, bias } = projection;
    let mut tensors = vec![(PROJECTION, vec![to, from], weight)];
    tensors.extend(bias.map(|bias| (BIAS, vec![to], bias)));
    let tensors = tensors.into_iter().map(|(name, shape, values)| Unwritten {
        name: name.to_owned(),
        shape,
        values: move || values,
    });
    write_tensors(&dir.dense_weights(), tensors.collect(), ("format", "pt"))
}

fn pylate(settings: &Settings) -> Value {
    let mut file = json!({
        "model_type": "ColBERT",
        "similarity_fn_name": "MaxSim",
        // An absent marker is written as an empty one.
        "query_prefix": settings.query_marker.as_deref().unwrap_or_default(),
        "document_prefix": settings.passage_marker.as_deref().unwrap_or_default(),
        "query_length": settings.query_tokens,
        "document_length": settings.passage_tokens,
        "do_query_expansion": settings.expansion != Expansion::None,
        "attend_to_expansion_tokens": settings.expansion == Expansion::SeenMasks,
        "skiplist_words": settings.skipped,
    });
    if !settings.prompt.is_empty() {
        file["prompts"] = json!({ "text": settings.prompt });
        file["default_prompt_name"] = "text".into();
    }
    file
}

/// A linear layer in the layout of files, `[to, from]`.
struct Matrix {
    from: usize,
    to: usize,
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Matrix {
    fn of(max_sim: &MaxSim, hidden: usize) -> Self {
        let Some(projection) = &max_sim.projection else {
            let mut weight = vec![0.0; hidden * hidden];
            weight.iter_mut().step_by(hidden + 1).for_each(|value| *value = 1.0);
            return Self { from: hidden, to: hidden, weight, bias: None };
        };
        let [from, to] = projection.weight.dims();
        let weight = transpose(&values(projection.weight.val()), from, to);
        let bias = projection.bias.as_ref().map(|bias| values(bias.val()));
        let bias = bias.filter(|bias| bias.iter().any(|value| *value != 0.0));
        Self { from, to, weight, bias }
    }
}
