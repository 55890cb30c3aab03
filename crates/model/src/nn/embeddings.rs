//! From token ids to vectors.

use super::{drop, norm};
use crate::batch::Packed;
use crate::spec::{Positions, Spec};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm};
use burn::tensor::{Device, Int, Tensor, TensorData};
use whetstone_kernels::Dropout;

/// The sum of word, position and token type, normalised.
#[derive(Module, Debug)]
pub struct Embeddings {
    pub(crate) word: Embedding,
    pub(crate) position: Embedding,
    pub(crate) token_type: Embedding,
    pub(crate) norm: LayerNorm,
    /// The row of the first token's position.
    #[module(skip)]
    first_position: usize,
}

impl Embeddings {
    pub fn init(spec: &Spec, device: &Device) -> Self {
        let table = |rows| EmbeddingConfig::new(rows, spec.hidden).init(device);
        let Positions::Absolute { rows, first } = spec.positions;
        Self {
            word: table(spec.vocabulary),
            position: table(rows),
            token_type: table(spec.token_types),
            norm: norm(spec, device),
            first_position: first,
        }
    }

    /// The row of every token in the table of positions.
    pub fn positions(&self, batch: &Packed) -> impl Iterator<Item = u32> {
        let first = self.first_position;
        batch.starts.windows(2).flat_map(move |pair| {
            (first..first + pair[1] - pair[0]).map(|position| position as u32)
        })
    }

    /// Returns `[tokens, hidden]`.
    pub fn forward(&self, batch: &Packed, dropout: Dropout, device: &Device) -> Tensor<2> {
        let ids = |values: Vec<i64>| {
            Tensor::<1, Int>::from_data(TensorData::new(values, [batch.tokens()]), device)
        };
        let wide = |values: &[u32]| ids(values.iter().map(|&id| i64::from(id)).collect());
        let positions = ids(self.positions(batch).map(i64::from).collect());
        let x = self.word.weight.val().select(0, wide(&batch.ids)) // [tokens, hidden]
            + self.position.weight.val().select(0, positions)
            + self.token_type.weight.val().select(0, wide(&batch.types));
        drop(self.norm.forward(x), dropout) // [tokens, hidden]
    }
}
