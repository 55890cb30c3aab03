//! The encoder layer as a burn backend extension, dispatched by the tensor's device.

use super::layer::{LayerSpec, LayerWeights, forward};
use burn::backend::{
    Dispatch, ExtensionType, Flex, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;

/// The sixteen weights of an encoder layer as backend primitives; matrices are `[in, out]`.
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
    pub(crate) fn into_array(self) -> [FloatTensor<B>; 16] {
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

#[backend_extension(Flex, Autodiff: cfg(feature = "train"))]
pub trait FusedLayer: burn::backend::Backend {
    /// Takes packed `x`, `[tokens, hidden]`. Returns that shape, or `[sequences, hidden]` with
    /// `first_only`.
    fn fused_layer(
        x: FloatTensor<Self>,
        #[extension_type] params: LayerParams<Self>,
        spec: LayerSpec,
    ) -> FloatTensor<Self>;
}

pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("tensors are made contiguous and f32 before they come here")
}

/// Returns a contiguous tensor as it is. `to_contiguous` would add a second handle, and a write
/// would then copy.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

pub(crate) fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

pub(crate) fn weights(params: &[FlexTensor; 16]) -> LayerWeights<'_> {
    LayerWeights::from_array(params.each_ref().map(slice))
}

/// Returns `[rows, hidden]`, with a row per token of `x` or per sequence.
pub(crate) fn output_shape(x: &FlexTensor, out: &[f32]) -> [usize; 2] {
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

/// The weights of an encoder layer; matrices are `[in, out]`.
pub struct LayerTensors {
    /// Query, key, value and attention output, `[hidden, hidden]` each; intermediate, `[hidden,
    /// ffn]`; output, `[ffn, hidden]`.
    pub matrices: [Tensor<2>; 6],
    /// `[hidden]` each, but for the intermediate bias, `[ffn]`: the biases of query, key, value and
    /// attention output; gamma and beta of the LayerNorm after attention; the biases of
    /// intermediate and output; gamma and beta of the last LayerNorm.
    pub vectors: [Tensor<1>; 10],
}

/// Returns the output of one encoder layer for packed tokens: self-attention, then two linear maps
/// with GELU between them. Each part is added to its input and normalised (post-norm: Vaswani et
/// al. 2017, Devlin et al. 2019).
///
/// # Shapes
/// - x: `[tokens, hidden]`, the sequences of `spec.starts` one after the other
/// - output: `[tokens, hidden]`, or `[sequences, hidden]` with `first_only`
///
/// # Panics
/// If the shapes do not match each other or `spec`, or the tensors are not f32 on burn-flex.
/// Autodiff needs the feature `train`.
///
/// # Example
/// Two sequences, of three tokens and one, through a layer whose weights are all zero: it only
/// normalises each token twice.
/// ```
/// use burn::tensor::{Device, Tensor};
/// use whetstone_kernels::{Dropout, LayerSpec, LayerTensors, Precision, encoder_layer};
///
/// let (hidden, ffn, device) = (4, 8, Device::flex());
/// let zeros = |rows, cols| Tensor::<2>::zeros([rows, cols], &device);
/// let square = || zeros(hidden, hidden);
/// let vector = |value: f32, len| Tensor::<1>::full([len], value, &device);
/// let tensors = LayerTensors {
///     matrices: [
///         square(), square(), square(), square(), zeros(hidden, ffn), zeros(ffn, hidden),
///     ],
///     // The biases are 0, gamma is 1, beta 0.
///     vectors: std::array::from_fn(|i| match i {
///         4 | 8 => vector(1.0, hidden),
///         6 => vector(0.0, ffn),
///         _ => vector(0.0, hidden),
///     }),
/// };
/// let spec = LayerSpec {
///     starts: [0, 3, 4].into(),
///     heads: 2,
///     eps: 1e-12,
///     first_only: true,
///     precision: Precision::F32,
///     recompute: false,
///     attention_dropout: Dropout::default(),
///     output_dropout: Dropout::default(),
///     ffn_dropout: Dropout::default(),
/// };
/// let x = Tensor::from_data([[1., 3., 1., 3.], [0.; 4], [0.; 4], [5., 5., 9., 9.]], &device);
/// let first = encoder_layer(x, tensors, spec); // [sequences, hidden]
/// let first: Vec<f32> = first.into_data().try_into_vec().unwrap();
/// assert_eq!(first, [-1., 1., -1., 1., -1., -1., 1., 1.]);
/// ```
pub fn encoder_layer(x: Tensor<2>, tensors: LayerTensors, spec: LayerSpec) -> Tensor<2> {
    check(x.dims(), &tensors, &spec);
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

fn check([tokens, hidden]: [usize; 2], tensors: &LayerTensors, spec: &LayerSpec) {
    let LayerTensors { matrices, vectors } = tensors;
    let ffn = vectors[6].dims()[0];
    assert!(hidden > 0 && ffn > 0, "a layer has hidden columns, got x of [{tokens}, {hidden}]");
    let square = [hidden, hidden];
    let shapes = [square, square, square, square, [hidden, ffn], [ffn, hidden]];
    for (i, (matrix, shape)) in matrices.iter().zip(shapes).enumerate() {
        assert!(matrix.dims() == shape, "matrix {i} is {:?}, not {shape:?}", matrix.dims());
    }
    for (i, vector) in vectors.iter().enumerate() {
        let len = if i == 6 { ffn } else { hidden };
        assert!(vector.dims() == [len], "vector {i} is {:?}, not [{len}]", vector.dims());
    }
    check_starts(tokens, hidden, spec);
}

/// Checks what every kind of layer asks of its sequences and heads.
pub(crate) fn check_starts(tokens: usize, hidden: usize, spec: &LayerSpec) {
    let LayerSpec { starts, heads, .. } = spec;
    assert!(
        *heads > 0 && hidden.is_multiple_of(*heads),
        "{hidden} columns do not divide into {heads} heads"
    );
    let rises = starts.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(
        rises && starts.first() == Some(&0) && starts.last() == Some(&tokens),
        "`starts` must rise from 0 to the number of tokens, {tokens}, got {starts:?}"
    );
}
