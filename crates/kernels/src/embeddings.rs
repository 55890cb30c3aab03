//! The embeddings as one operation over packed tokens. It adds word, token type and position, then
//! applies LayerNorm and dropout.

use super::block::Growing;
use super::dropout::Dropout;
use super::op::{contiguous, slice, tensor};
use super::rows;
use burn::backend::{Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::sync::Arc;

/// Tokens per task.
const ROWS: usize = 64;

/// The parameters of the operation besides its tables and weights.
#[derive(Clone, Debug)]
pub struct EmbeddingSpec {
    /// For each token, its rows in the word, token type and position tables.
    pub rows: Arc<[[u32; 3]]>,
    /// Added to the variance by the LayerNorm.
    pub eps: f32,
    /// Applied to the embeddings.
    pub dropout: Dropout,
}

/// What the backward pass needs: the LayerNorm's normalised values and 1/σ of every token.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "train"), allow(dead_code))]
pub struct Normalised {
    pub values: Vec<f32>,
    pub inv_std: Vec<f32>,
}

#[backend_extension(Flex, Autodiff: cfg(feature = "train"))]
pub trait FusedEmbeddings: burn::backend::Backend {
    /// Returns `[tokens, hidden]` from tables `[rows, hidden]` and LayerNorm weights `[hidden]`.
    fn fused_embeddings(
        word: FloatTensor<Self>,
        token_type: FloatTensor<Self>,
        position: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        spec: EmbeddingSpec,
    ) -> FloatTensor<Self>;
}

pub fn forward(
    [word, token_type, position, gamma, beta]: [&[f32]; 5],
    spec: &EmbeddingSpec,
) -> (Vec<f32>, Normalised) {
    let (tokens, hidden) = (spec.rows.len(), gamma.len());
    let mut out = Growing::new(tokens, hidden);
    let mut values = Growing::new(tokens, hidden);
    let mut inv_std = Growing::new(tokens, 1);
    let chunks = [&mut out, &mut values, &mut inv_std].map(|all| all.block().row_chunks(ROWS));
    let [outs, sums, inv_stds] = chunks.map(Vec::into_par_iter);
    let chunks = outs.zip(sums).zip(inv_stds).zip(spec.rows.par_chunks(ROWS)).enumerate();
    chunks.for_each(|(index, (((out, sums), inv_stds), ids))| {
        let sums = sums.fill_rows(|i, sum| {
            sum.copy_from_slice(row(word, ids[i][0], hidden));
            rows::add(sum, row(token_type, ids[i][1], hidden));
        });
        let inv_stds = inv_stds.fill_rows(|_, _| ());
        let out = out.fill_rows(|i, out| {
            let sum = &mut sums[i * hidden..][..hidden];
            let position = row(position, ids[i][2], hidden);
            inv_stds[i] = rows::layer_norm(sum, position, gamma, beta, out, spec.eps);
        });
        spec.dropout.apply(out, index * ROWS * hidden);
    });
    (out.finish(), Normalised { values: values.finish(), inv_std: inv_std.finish() })
}

fn row(table: &[f32], id: u32, hidden: usize) -> &[f32] {
    &table[id as usize * hidden..][..hidden]
}

impl FusedEmbeddings for Flex {
    fn fused_embeddings(
        word: FlexTensor,
        token_type: FlexTensor,
        position: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        spec: EmbeddingSpec,
    ) -> FlexTensor {
        let params = [word, token_type, position, gamma, beta].map(contiguous);
        let out = forward(params.each_ref().map(slice), &spec).0;
        tensor(out, &[spec.rows.len(), params[3].shape()[0]])
    }
}

/// Returns the embeddings of packed tokens: the sum of three tables' rows, normalised, scaled by
/// gamma and shifted by beta.
///
/// # Shapes
/// - tables: word, token type, position, `[rows, hidden]` each
/// - gamma, beta: `[hidden]`
/// - output: `[tokens, hidden]`, a row for each of `spec.rows`
///
/// # Panics
/// If the shapes do not match, a token asks for a row that its table lacks, or the tensors are not
/// f32 on burn-flex. Autodiff needs the feature `train`.
pub fn embeddings(
    tables: [Tensor<2>; 3],
    gamma: Tensor<1>,
    beta: Tensor<1>,
    spec: EmbeddingSpec,
) -> Tensor<2> {
    check(&tables, [gamma.dims()[0], beta.dims()[0]], &spec);
    let [word, token_type, position] = tables.map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as FusedEmbeddings>::fused_embeddings(
        word,
        token_type,
        position,
        gamma.into_dispatch(),
        beta.into_dispatch(),
        spec,
    ))
}

fn check(tables: &[Tensor<2>; 3], [gamma, beta]: [usize; 2], spec: &EmbeddingSpec) {
    assert!(gamma > 0 && beta == gamma, "gamma has {gamma} values and beta {beta}");
    for (place, name) in ["word", "token type", "position"].into_iter().enumerate() {
        let [rows, hidden] = tables[place].dims();
        assert!(hidden == gamma, "the {name} table has {hidden} columns, gamma {gamma} values");
        if let Some(last) = spec.rows.iter().map(|ids| ids[place] as usize).max() {
            assert!(last < rows, "the {name} table has {rows} rows, a token asks for row {last}");
        }
    }
}
