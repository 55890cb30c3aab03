//! From token ids to vectors.

use super::{drop, norm};
use crate::batch::Packed;
use crate::spec::{Positions, Relative, Spec};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use whetstone_kernels::Dropout;

/// The sum of word, position and token type, normalised, at the width of the layers.
#[derive(Module, Debug)]
pub struct Embeddings {
    pub(crate) word: Embedding,
    /// None where positions enter in attention.
    pub(crate) position: Option<Embedding>,
    /// None where a network has no token types.
    pub(crate) token_type: Option<Embedding>,
    pub(crate) norm: LayerNorm,
    /// Where the embeddings are narrower or wider than the layers.
    pub(crate) projection: Option<Linear>,
    #[module(skip)]
    positions: Positions,
}

impl Embeddings {
    pub fn init(spec: &Spec, device: &Device) -> Self {
        let table = |rows| EmbeddingConfig::new(rows, spec.embedding).init(device);
        let positions = match spec.positions {
            Positions::Absolute { rows, .. } => Some(rows),
            Positions::Relative(relative) => relative.absolute,
            Positions::Rotary(_) => None,
        };
        let projection = LinearConfig::new(spec.embedding, spec.hidden);
        Self {
            word: table(spec.vocabulary),
            position: positions.map(table),
            token_type: (spec.token_types > 0).then(|| table(spec.token_types)),
            norm: norm(spec.embedding, spec, device),
            projection: (spec.embedding != spec.hidden).then(|| projection.init(device)),
            positions: spec.positions,
        }
    }

    /// The row of every token in the table of positions; 0 without one.
    pub fn positions<'a>(&self, batch: &'a Packed) -> impl Iterator<Item = u32> + use<'a> {
        let (first, padding, step) = match self.positions {
            Positions::Absolute { first, padding, .. } => (first as u32, padding, 1),
            Positions::Relative(Relative { absolute: Some(_), .. }) => (0, None, 1),
            Positions::Relative(_) | Positions::Rotary(_) => (0, None, 0),
        };
        batch.starts.windows(2).flat_map(move |pair| {
            let mut next = first;
            batch.ids[pair[0]..pair[1]].iter().map(move |&id| match padding {
                Some(padding) if padding == id => padding,
                _ => {
                    next += step;
                    next - step
                }
            })
        })
    }

    /// Returns `[tokens, hidden]`.
    pub fn forward(&self, batch: &Packed, dropout: Dropout, device: &Device) -> Tensor<2> {
        let ids = |values: Vec<i64>| {
            Tensor::<1, Int>::from_data(TensorData::new(values, [batch.tokens()]), device)
        };
        let wide = |values: &[u32]| ids(values.iter().map(|&id| i64::from(id)).collect());
        let mut x = self.word.weight.val().select(0, wide(&batch.ids)); // [tokens, embedding]
        if let Some(position) = &self.position {
            let positions = ids(self.positions(batch).map(i64::from).collect());
            x = x + position.weight.val().select(0, positions);
        }
        if let Some(token_type) = &self.token_type {
            x = x + token_type.weight.val().select(0, wide(&batch.types));
        }
        self.project(drop(self.norm.forward(x), dropout)) // [tokens, hidden]
    }

    /// Brings `[tokens, embedding]` to `[tokens, hidden]`.
    pub fn project(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.projection {
            Some(projection) => projection.forward(x),
            None => x,
        }
    }
}
