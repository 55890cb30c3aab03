//! Integrates the pre-norm layer into autodiff.

use super::backward;
use crate::op::{contiguous, output_shape, slice, tensor};
use crate::pre_norm::op::{FusedPreNormLayer, PreNormParams, weights};
use crate::pre_norm::{PreNormSpec, Saved, forward};
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use burn_flex::FlexTensor;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    params: Arc<[FlexTensor; 6]>,
    /// None if the backward pass is to compute the layer again.
    saved: Option<Arc<Saved>>,
    spec: PreNormSpec,
}

#[derive(Debug)]
struct PreNormBackward;

impl Backward<Flex, 7> for PreNormBackward {
    type State = State;

    fn backward(self, ops: Ops<State, 7>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d_out = contiguous(grads.consume::<Flex>(&ops.node));
        let State { x, params, saved, spec } = ops.state;
        let (input, weights) = (slice(&x), weights(&params));
        let again = || forward(input, &weights, &spec, true).1.map(Arc::new);
        let saved = saved.or_else(again).expect("the steps were kept");
        let (d_x, d_params) = backward(input, &weights, &saved, &spec, slice(&d_out).to_vec());
        drop(saved);
        let shapes = std::iter::once(x.shape()).chain(params.iter().map(|param| param.shape()));
        let gradients = std::iter::once(d_x).chain(d_params);
        for ((parent, gradient), shape) in ops.parents.into_iter().zip(gradients).zip(shapes) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(gradient, &shape));
            }
        }
    }
}

impl<C: CheckpointStrategy> FusedPreNormLayer for Autodiff<Flex, C> {
    fn fused_pre_norm_layer(
        x: FloatTensor<Self>,
        params: PreNormParams<Self>,
        spec: PreNormSpec,
    ) -> FloatTensor<Self> {
        let params = params.into_array();
        let nodes = std::array::from_fn(|i| if i == 0 { x.node() } else { params[i - 1].node() });
        let prepared = PreNormBackward.prepare::<C>(nodes).compute_bound().stateful();
        let x = contiguous(x.into_primitive());
        let params = params.map(|param| contiguous(param.into_primitive()));
        let keep = matches!(prepared, OpsKind::Tracked(_)) && !spec.layer.recompute;
        let (out, saved) = forward(slice(&x), &weights(&params), &spec, keep);
        let shape = output_shape(&x, &out);
        let out = tensor(out, &shape);
        match prepared {
            OpsKind::Tracked(prepared) => {
                let (params, saved) = (Arc::new(params), saved.map(Arc::new));
                prepared.finish(State { x, params, saved, spec }, out)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }
}
