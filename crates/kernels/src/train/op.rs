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
    saved: Arc<Saved>,
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
        let (d_x, d_params): (Vec<f32>, LayerGradients) =
            backward(slice(&x), &weights(&params), &saved, &spec, slice(&d_out).to_vec());
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
        let tracked = matches!(prepared, OpsKind::Tracked(_));
        let (out, saved) = forward(slice(&x), &weights(&params), &spec, tracked);
        let shape = output_shape(&x, &out);
        let out = tensor(out, &shape);
        match (prepared, saved) {
            (OpsKind::Tracked(prepared), Some(saved)) => {
                let state =
                    LayerState { x, params: Arc::new(params), saved: Arc::new(saved), spec };
                prepared.finish(state, out)
            }
            (OpsKind::UnTracked(prepared), _) => prepared.finish(out),
            (OpsKind::Tracked(_), None) => unreachable!("a tracked forward pass always saves"),
        }
    }
}
