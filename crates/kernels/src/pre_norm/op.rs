//! The pre-norm layer as a burn backend extension, dispatched by the tensor's device.

use super::{PreNormSpec, PreNormWeights, forward};
use crate::op::{check_starts, contiguous, output_shape, slice, tensor};
use burn::backend::{Dispatch, ExtensionType, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

/// The weights of a pre-norm layer as backend primitives; matrices are `[in, out]`.
#[derive(ExtensionType)]
pub struct PreNormParams<B: burn::backend::Backend> {
    attention_gamma: FloatTensor<B>,
    qkv: FloatTensor<B>,
    attention_output: FloatTensor<B>,
    ffn_gamma: FloatTensor<B>,
    intermediate: FloatTensor<B>,
    output: FloatTensor<B>,
}

impl<B: burn::backend::Backend> PreNormParams<B> {
    pub(crate) fn into_array(self) -> [FloatTensor<B>; 6] {
        let Self { attention_gamma, qkv, attention_output, ffn_gamma, intermediate, output } = self;
        [attention_gamma, qkv, attention_output, ffn_gamma, intermediate, output]
    }
}

#[backend_extension(Flex, Autodiff: cfg(feature = "train"))]
pub trait FusedPreNormLayer: burn::backend::Backend {
    /// Takes packed `x`, `[tokens, hidden]`. Returns that shape, or `[sequences, hidden]` with
    /// `first_only`.
    fn fused_pre_norm_layer(
        x: FloatTensor<Self>,
        #[extension_type] params: PreNormParams<Self>,
        spec: PreNormSpec,
    ) -> FloatTensor<Self>;
}

pub(crate) fn weights(params: &[FlexTensor; 6]) -> PreNormWeights<'_> {
    PreNormWeights::from_array(params.each_ref().map(slice))
}

impl FusedPreNormLayer for Flex {
    fn fused_pre_norm_layer(
        x: FlexTensor,
        params: PreNormParams<Self>,
        spec: PreNormSpec,
    ) -> FlexTensor {
        let x = contiguous(x);
        let params = params.into_array().map(contiguous);
        let out = forward(slice(&x), &weights(&params), &spec, false).0;
        let shape = output_shape(&x, &out);
        tensor(out, &shape)
    }
}

/// The weights of a pre-norm layer; matrices are `[in, out]`.
pub struct PreNormTensors {
    /// Of the norm before attention, `[hidden]`; None leaves attention's input as it is.
    pub attention_gamma: Option<Tensor<1>>,
    /// Query, key and value side by side, `[hidden, 3 · hidden]`.
    pub qkv: Tensor<2>,
    /// `[hidden, hidden]`
    pub attention_output: Tensor<2>,
    /// Of the norm before the feed-forward part, `[hidden]`.
    pub ffn_gamma: Tensor<1>,
    /// What goes through GELU, then the gates, `[hidden, 2 · ffn]`.
    pub intermediate: Tensor<2>,
    /// `[ffn, hidden]`
    pub output: Tensor<2>,
}

/// Returns the output of one pre-norm layer for packed tokens: self-attention with rotary
/// positions, then a gated feed-forward part (ModernBERT: Warner et al. 2024). Each part reads its
/// input normalised and is added to it; nothing has a bias.
///
/// # Shapes
/// - x: `[tokens, hidden]`, the sequences of `spec.layer.starts` one after the other
/// - output: `[tokens, hidden]`, or `[sequences, hidden]` with `first_only`
///
/// # Panics
/// If the shapes do not match each other or `spec`, or the tensors are not f32 on burn-flex.
/// Autodiff needs the feature `train`.
pub fn pre_norm_layer(x: Tensor<2>, tensors: PreNormTensors, spec: PreNormSpec) -> Tensor<2> {
    check(x.dims(), &tensors, &spec);
    // An operation cannot leave out a tensor, so an empty one says that there is no norm.
    let none = || Tensor::<1>::zeros([0], &x.device());
    let params = PreNormParams::<Dispatch> {
        attention_gamma: tensors.attention_gamma.unwrap_or_else(none).into_dispatch(),
        qkv: tensors.qkv.into_dispatch(),
        attention_output: tensors.attention_output.into_dispatch(),
        ffn_gamma: tensors.ffn_gamma.into_dispatch(),
        intermediate: tensors.intermediate.into_dispatch(),
        output: tensors.output.into_dispatch(),
    };
    let x = x.into_dispatch();
    Tensor::from_dispatch(<Dispatch as FusedPreNormLayer>::fused_pre_norm_layer(x, params, spec))
}

fn check([tokens, hidden]: [usize; 2], tensors: &PreNormTensors, spec: &PreNormSpec) {
    let [ffn, _] = tensors.output.dims();
    assert!(hidden > 0 && ffn > 0, "a layer has hidden columns, got x of [{tokens}, {hidden}]");
    for (name, matrix, shape) in [
        ("qkv", &tensors.qkv, [hidden, 3 * hidden]),
        ("attention_output", &tensors.attention_output, [hidden, hidden]),
        ("intermediate", &tensors.intermediate, [hidden, 2 * ffn]),
        ("output", &tensors.output, [ffn, hidden]),
    ] {
        assert!(matrix.dims() == shape, "`{name}` is {:?}, not {shape:?}", matrix.dims());
    }
    for gamma in tensors.attention_gamma.iter().chain([&tensors.ffn_gamma]) {
        assert!(gamma.dims() == [hidden], "a norm is {:?}, not [{hidden}]", gamma.dims());
    }
    check_starts(tokens, hidden, &spec.layer);
    let (size, longest) = (hidden / spec.layer.heads, spec.rotation.positions());
    assert!(
        size == spec.rotation.size(),
        "a head has {size} columns, not {}",
        spec.rotation.size()
    );
    let is_long = spec.layer.starts.windows(2).all(|pair| pair[1] - pair[0] <= longest);
    assert!(is_long, "a sequence is longer than the {longest} positions of the rotation");
}
