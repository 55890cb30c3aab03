//! Integrates the encoder layer into autodiff.

use super::layer::{LayerGradients, backward};
use crate::layer::{LayerSpec, Saved, forward};
use crate::op::{FusedLayer, LayerParams, output_shape, slice, tensor, weights};
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
struct LayerState {
    x: FlexTensor,
    params: Arc<[FlexTensor; 16]>,
    /// None if the backward pass is to compute the layer again.
    saved: Option<Arc<Saved>>,
    spec: LayerSpec,
}

#[derive(Debug)]
struct LayerBackward;

impl Backward<Flex, 17> for LayerBackward {
    type State = LayerState;

    fn backward(
        self,
        ops: Ops<LayerState, 17>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d_out = grads.consume::<Flex>(&ops.node).to_contiguous();
        let LayerState { x, params, saved, spec } = ops.state;
        let (input, weights) = (slice(&x), weights(&params));
        let again = || forward(input, &weights, &spec, true).1.map(Arc::new);
        let saved = saved.or_else(again).expect("the steps were kept");
        let (d_x, d_params): (Vec<f32>, LayerGradients) =
            backward(input, &weights, &saved, &spec, slice(&d_out).to_vec());
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

impl<C: CheckpointStrategy> FusedLayer for Autodiff<Flex, C> {
    fn fused_layer(
        x: FloatTensor<Self>,
        params: LayerParams<Self>,
        spec: LayerSpec,
    ) -> FloatTensor<Self> {
        let params = params.into_array();
        let nodes = std::array::from_fn(|i| if i == 0 { x.node() } else { params[i - 1].node() });
        let prepared = LayerBackward.prepare::<C>(nodes).compute_bound().stateful();
        let x = x.into_primitive().to_contiguous();
        let params = params.map(|param| param.into_primitive().to_contiguous());
        let keep = matches!(prepared, OpsKind::Tracked(_)) && !spec.recompute;
        let (out, saved) = forward(slice(&x), &weights(&params), &spec, keep);
        let shape = output_shape(&x, &out);
        let out = tensor(out, &shape);
        match prepared {
            OpsKind::Tracked(prepared) => {
                let (params, saved) = (Arc::new(params), saved.map(Arc::new));
                prepared.finish(LayerState { x, params, saved, spec }, out)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }
}
