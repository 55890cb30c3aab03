//! From token ids to vectors.

use super::fused::{drop, normalise, take_rows};
use super::norm;
use crate::batch::Packed;
use crate::spec::{Positions, Relative, Spec};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
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
    #[module(skip)]
    eps: f64,
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
            eps: spec.eps,
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

    /// Takes a batch whose sequences are padded to one length. Padding has no gradient.
    ///
    /// # Shapes
    /// - is_real: `[tokens]`, false for padding
    /// - output: `[tokens, hidden]`
    pub fn forward(
        &self,
        batch: &Packed,
        is_real: &[bool],
        dropout: Dropout,
        device: &Device,
    ) -> Tensor<2> {
        let take = |table: &Embedding, ids: &[u32]| {
            take_rows(table.weight.val(), ids, is_real, device) // [tokens, embedding]
        };
        let mut x = take(&self.word, &batch.ids);
        if let Some(position) = &self.position {
            let rows: Vec<u32> = self.positions(batch).collect();
            x = match in_order(&rows, is_real, batch) {
                Some(first) => add_to_each(x, position, first, batch.sequences()),
                None => x + take(position, &rows),
            };
        }
        if let Some(token_type) = &self.token_type {
            x = x + take(token_type, &batch.types);
        }
        let x = normalise((&self.norm, self.eps), x);
        self.project(drop(x, dropout)) // [tokens, hidden]
    }

    /// Brings `[tokens, embedding]` to `[tokens, hidden]`.
    pub fn project(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.projection {
            Some(projection) => projection.forward(x),
            None => x,
        }
    }
}

/// The row of every sequence's first token, if the others follow it in order.
fn in_order(rows: &[u32], is_real: &[bool], batch: &Packed) -> Option<u32> {
    let first = *rows.first()?;
    let seq = rows.len() / batch.sequences();
    let mut places = rows.iter().zip(is_real).enumerate();
    let follows = |(at, (row, is_real)): (usize, (&u32, &bool))| {
        !is_real || *row as usize == first as usize + at % seq
    };
    places.all(follows).then_some(first)
}

/// Adds rows of a table, from `first` on, to the tokens of each sequence.
fn add_to_each(x: Tensor<2>, table: &Embedding, first: u32, sequences: usize) -> Tensor<2> {
    let [tokens, columns] = x.dims();
    let (first, seq) = (first as usize, tokens / sequences);
    let rows = table.weight.val().slice(first..first + seq); // [seq, embedding]
    let x = x.reshape([sequences, seq, columns]) + rows.unsqueeze();
    x.reshape([tokens, columns])
}
