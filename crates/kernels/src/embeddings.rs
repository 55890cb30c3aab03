//! The embeddings as one operation over packed tokens: word, token type and position added,
//! LayerNorm, dropout.

use super::backward::norm_backward;
use super::layer::buffer;
use super::op::{contiguous, slice, tensor};
use super::rows::{self, Dropout};
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::sync::Arc;

/// Tokens that one task handles.
const ROWS: usize = 64;

/// What the operation must know besides its tables and weights.
#[derive(Clone, Debug)]
pub struct EmbeddingSpec {
    /// For each token the rows of the word, token type and position tables.
    pub rows: Arc<[[u32; 3]]>,
    pub eps: f32,
    pub dropout: Dropout,
}

/// What the backward pass needs: the LayerNorm's normalised values and 1/σ of every token.
#[derive(Clone, Debug)]
struct Normalised {
    values: Vec<f32>,
    inv_std: Vec<f32>,
}

#[backend_extension(Flex, Autodiff)]
pub trait FusedEmbeddings: burn::backend::Backend {
    /// The tables are `[rows, hidden]`, the LayerNorm's weights `[hidden]`; returns `[tokens,
    /// hidden]`.
    fn fused_embeddings(
        word: FloatTensor<Self>,
        token_type: FloatTensor<Self>,
        position: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        spec: EmbeddingSpec,
    ) -> FloatTensor<Self>;
}

fn forward(
    [word, token_type, position, gamma, beta]: [&[f32]; 5],
    spec: &EmbeddingSpec,
) -> (Vec<f32>, Normalised) {
    let (tokens, hidden) = (spec.rows.len(), gamma.len());
    let (mut out, mut values, mut inv_std) =
        (buffer(tokens * hidden), buffer(tokens * hidden), buffer(tokens));
    let chunks = out.par_chunks_mut(hidden * ROWS).zip(values.par_chunks_mut(hidden * ROWS));
    let chunks = chunks.zip(inv_std.par_chunks_mut(ROWS)).zip(spec.rows.par_chunks(ROWS));
    chunks.enumerate().for_each(|(index, (((out, values), inv_std), ids))| {
        let rows = out.chunks_exact_mut(hidden).zip(values.chunks_exact_mut(hidden)).zip(inv_std);
        for (((out, sum), inv_std), ids) in rows.zip(ids) {
            let [word, token_type, position] =
                [(word, ids[0]), (token_type, ids[1]), (position, ids[2])]
                    .map(|(table, id)| row(table, id, hidden));
            sum.copy_from_slice(word);
            rows::add(sum, token_type);
            *inv_std = rows::layer_norm(sum, position, gamma, beta, out, spec.eps);
        }
        if spec.dropout.is_active() {
            rows::dropout_in_place(out, spec.dropout, (index * ROWS * hidden) as u32);
        }
    });
    (out, Normalised { values, inv_std })
}

fn row(table: &[f32], id: u32, hidden: usize) -> &[f32] {
    &table[id as usize * hidden..][..hidden]
}

/// The gradient of a table with `len` values: each token's row of `grad` added to the row that it
/// was taken from, in order.
fn table_gradient(
    grad: &[f32],
    ids: impl Iterator<Item = u32>,
    len: usize,
    hidden: usize,
) -> Vec<f32> {
    let mut table = buffer(len);
    table.par_chunks_mut(1 << 16).for_each(|chunk| chunk.fill(0.0));
    for (grad, id) in grad.chunks_exact(hidden).zip(ids) {
        rows::add(&mut table[id as usize * hidden..][..hidden], grad);
    }
    table
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

#[derive(Clone, Debug)]
struct State {
    shapes: [Vec<usize>; 5],
    gamma: FlexTensor,
    normalised: Arc<Normalised>,
    spec: EmbeddingSpec,
}

#[derive(Debug)]
struct EmbeddingsBackward;

impl Backward<Flex, 5> for EmbeddingsBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 5>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let State { shapes, gamma, normalised, spec } = ops.state;
        let mut grad = slice(&contiguous(grads.consume::<Flex>(&ops.node))).to_vec();
        let gamma = slice(&gamma);
        let hidden = gamma.len();
        if spec.dropout.is_active() {
            let chunks = grad.par_chunks_mut(1 << 14).enumerate();
            chunks.for_each(|(i, chunk)| {
                rows::dropout_in_place(chunk, spec.dropout, (i << 14) as u32)
            });
        }
        let (d_gamma, d_beta) =
            norm_backward(&mut grad, &normalised.values, &normalised.inv_std, gamma);
        let mut norm = [Some(d_gamma), Some(d_beta)];
        for (place, (parent, shape)) in ops.parents.into_iter().zip(shapes).enumerate() {
            let Some(node) = parent else { continue };
            let gradient = match place {
                3 | 4 => norm[place - 3].take().expect("each is registered once"),
                table => {
                    let ids = spec.rows.iter().map(|ids| ids[table]);
                    table_gradient(&grad, ids, shape[0] * hidden, hidden)
                }
            };
            grads.register::<Flex>(node.id, tensor(gradient, &shape));
        }
    }
}

impl<C: CheckpointStrategy> FusedEmbeddings for Autodiff<Flex, C> {
    fn fused_embeddings(
        word: FloatTensor<Self>,
        token_type: FloatTensor<Self>,
        position: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        spec: EmbeddingSpec,
    ) -> FloatTensor<Self> {
        let params = [word, token_type, position, gamma, beta];
        let nodes = params.each_ref().map(|param| param.node());
        let prepared = EmbeddingsBackward.prepare::<C>(nodes).compute_bound().stateful();
        let params = params.map(|param| contiguous(param.into_primitive()));
        let (out, normalised) = forward(params.each_ref().map(slice), &spec);
        let shapes = params.each_ref().map(|param| param.shape().to_vec());
        let [_, _, _, gamma, _] = params;
        let out = tensor(out, &[spec.rows.len(), shapes[3][0]]);
        match prepared {
            OpsKind::Tracked(prepared) => prepared
                .finish(State { shapes, gamma, normalised: Arc::new(normalised), spec }, out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }
}

/// Embeds packed tokens. Only for burn-flex devices, with or without autodiff.
///
/// # Shapes
/// - tables: word, token type, position, `[rows, hidden]`
/// - gamma, beta: `[hidden]`
/// - output: `[tokens, hidden]`
pub fn embeddings(
    tables: [Tensor<2>; 3],
    gamma: Tensor<1>,
    beta: Tensor<1>,
    spec: EmbeddingSpec,
) -> Tensor<2> {
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
