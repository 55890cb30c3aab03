//! The fused operations as a burn backend extension: dispatched by the tensor's device, tracked by
//! autodiff.

use super::backward::backward;
use super::layer::{LayerGradients, LayerSpec, LayerWeights, Saved, forward};
use super::rows::{self, AdamWStep};
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{
    Dispatch, ExtensionType, Flex, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use rayon::prelude::*;
use std::sync::Arc;

/// The sixteen weights of an encoder layer as backend primitives; matrices `[in, out]`.
#[derive(ExtensionType)]
pub struct LayerParams<B: burn::backend::Backend> {
    query: FloatTensor<B>,
    query_bias: FloatTensor<B>,
    key: FloatTensor<B>,
    key_bias: FloatTensor<B>,
    value: FloatTensor<B>,
    value_bias: FloatTensor<B>,
    attention_output: FloatTensor<B>,
    attention_output_bias: FloatTensor<B>,
    attention_gamma: FloatTensor<B>,
    attention_beta: FloatTensor<B>,
    intermediate: FloatTensor<B>,
    intermediate_bias: FloatTensor<B>,
    output: FloatTensor<B>,
    output_bias: FloatTensor<B>,
    output_gamma: FloatTensor<B>,
    output_beta: FloatTensor<B>,
}

impl<B: burn::backend::Backend> LayerParams<B> {
    fn into_array(self) -> [FloatTensor<B>; 16] {
        [
            self.query,
            self.query_bias,
            self.key,
            self.key_bias,
            self.value,
            self.value_bias,
            self.attention_output,
            self.attention_output_bias,
            self.attention_gamma,
            self.attention_beta,
            self.intermediate,
            self.intermediate_bias,
            self.output,
            self.output_bias,
            self.output_gamma,
            self.output_beta,
        ]
    }
}

#[backend_extension(Flex, Autodiff)]
pub trait FusedLayer: burn::backend::Backend {
    /// `x` is `[tokens, hidden]`, packed; so is the output, or `[sequences, hidden]` with
    /// `first_only`.
    fn fused_layer(
        x: FloatTensor<Self>,
        #[extension_type] params: LayerParams<Self>,
        spec: LayerSpec,
    ) -> FloatTensor<Self>;
}

#[backend_extension(Flex)]
pub trait FusedOptimizer: burn::backend::Backend {
    /// Returns (weight, first moment, second moment) after one step; all of the same shape.
    fn fused_adamw(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Returns `[1]`: the sum of squares.
    fn fused_squared_norm(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

pub(super) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("tensors are made contiguous and f32 before they come here")
}

/// The tensor itself where it is contiguous: `to_contiguous` makes a second handle, and a write
/// then copies.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

pub(super) fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn weights(params: &[FlexTensor; 16]) -> LayerWeights<'_> {
    let p = |i: usize| slice(&params[i]);
    LayerWeights {
        query: p(0),
        query_bias: p(1),
        key: p(2),
        key_bias: p(3),
        value: p(4),
        value_bias: p(5),
        attention_output: p(6),
        attention_output_bias: p(7),
        attention_gamma: p(8),
        attention_beta: p(9),
        intermediate: p(10),
        intermediate_bias: p(11),
        output: p(12),
        output_bias: p(13),
        output_gamma: p(14),
        output_beta: p(15),
    }
}

/// `[rows, hidden]`: a row for each token of `x`, or for each sequence.
fn output_shape(x: &FlexTensor, out: &[f32]) -> [usize; 2] {
    let hidden = x.shape()[1];
    [out.len() / hidden, hidden]
}

impl FusedLayer for Flex {
    fn fused_layer(x: FlexTensor, params: LayerParams<Self>, spec: LayerSpec) -> FlexTensor {
        let x = x.to_contiguous();
        let params = params.into_array().map(|param| param.to_contiguous());
        let out = forward(slice(&x), &weights(&params), &spec, false).0;
        let shape = output_shape(&x, &out);
        tensor(out, &shape)
    }
}

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

impl FusedOptimizer for Flex {
    fn fused_adamw(
        weight: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        const CHUNK: usize = 1 << 15;
        let [mut weight, mut first, mut second] = [weight, first, second].map(contiguous);
        let gradient = contiguous(gradient);
        // In place where nobody else holds the tensor; burn-flex copies on write otherwise.
        weight
            .storage_mut::<f32>()
            .par_chunks_mut(CHUNK)
            .zip(first.storage_mut::<f32>().par_chunks_mut(CHUNK))
            .zip(second.storage_mut::<f32>().par_chunks_mut(CHUNK))
            .zip(slice(&gradient).par_chunks(CHUNK))
            .for_each(|(((w, m), v), g)| rows::adamw(w, g, m, v, step));
        (weight, first, second)
    }

    fn fused_squared_norm(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        // Partial sums in order and in f64: the same on any number of threads.
        let parts: Vec<f32> = slice(&x).par_chunks(1 << 15).map(rows::squared_norm).collect();
        let total: f64 = parts.iter().map(|&part| f64::from(part)).sum();
        tensor(vec![total as f32], &[1])
    }
}

/// The weights of an encoder layer as tensors: matrices `[in, out]`, and vectors.
pub struct LayerTensors {
    pub matrices: [Tensor<2>; 6],
    pub vectors: [Tensor<1>; 10],
}

/// Runs one encoder layer on packed tokens. Only for burn-flex devices, with or without autodiff.
///
/// # Shapes
/// - x: `[tokens, hidden]`
/// - matrices: query, key, value, attention output, intermediate, output
/// - vectors: their biases interleaved with the LayerNorm weights, as the code below names them
/// - output: `[tokens, hidden]`, or `[sequences, hidden]` with `first_only`
pub fn encoder_layer(x: Tensor<2>, tensors: LayerTensors, spec: LayerSpec) -> Tensor<2> {
    let [query, key, value, attention_output, intermediate, output] =
        tensors.matrices.map(Tensor::into_dispatch);
    let [
        query_bias,
        key_bias,
        value_bias,
        attention_output_bias,
        attention_gamma,
        attention_beta,
        intermediate_bias,
        output_bias,
        output_gamma,
        output_beta,
    ] = tensors.vectors.map(Tensor::into_dispatch);
    let params = LayerParams::<Dispatch> {
        query,
        query_bias,
        key,
        key_bias,
        value,
        value_bias,
        attention_output,
        attention_output_bias,
        attention_gamma,
        attention_beta,
        intermediate,
        intermediate_bias,
        output,
        output_bias,
        output_gamma,
        output_beta,
    };
    Tensor::from_dispatch(<Dispatch as FusedLayer>::fused_layer(x.into_dispatch(), params, spec))
}

/// One AdamW step on burn-flex: returns (weight, first moment, second moment).
pub fn adamw<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    first: Tensor<D>,
    second: Tensor<D>,
    step: AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let (weight, first, second) = <Dispatch as FusedOptimizer>::fused_adamw(
        weight.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        step,
    );
    (Tensor::from_dispatch(weight), Tensor::from_dispatch(first), Tensor::from_dispatch(second))
}

/// Returns Σ x² of a tensor on burn-flex.
pub fn squared_norm<const D: usize>(x: Tensor<D>) -> f32 {
    let sum: Tensor<1> =
        Tensor::from_dispatch(<Dispatch as FusedOptimizer>::fused_squared_norm(x.into_dispatch()));
    sum.into_scalar()
}
