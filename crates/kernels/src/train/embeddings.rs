//! The backward pass of the embeddings, and their integration into autodiff.

use super::layer::norm_backward;
use crate::block::Growing;
use crate::embeddings::{EmbeddingSpec, FusedEmbeddings, Normalised, forward};
use crate::op::{contiguous, slice, tensor};
use crate::rows::add;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::sync::Arc;

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
        grad.par_chunks_mut(1 << 14)
            .enumerate()
            .for_each(|(i, chunk)| spec.dropout.apply(chunk, i << 14));
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

/// Returns the gradient of a table with `len` values. Each token's row of `grad` is added, in
/// order, to the row from which it was taken.
fn table_gradient(
    grad: &[f32],
    ids: impl Iterator<Item = u32>,
    len: usize,
    hidden: usize,
) -> Vec<f32> {
    let mut table = Growing::new(len / hidden, hidden);
    table.block().row_chunks(128).into_par_iter().for_each(|rows| {
        rows.fill_rows(|_, _| ());
    });
    let mut table = table.finish();
    for (grad, id) in grad.chunks_exact(hidden).zip(ids) {
        add(&mut table[id as usize * hidden..][..hidden], grad);
    }
    table
}
