//! One transformer layer with its norms after the sub-layers, forward and backward. A step asks a
//! device for hundreds of kernels; what burn does around each operation is longer than most of them
//! run.

use super::attention::{self, Weighing};
use super::columns::{split_sums, sums};
use super::device::{flat, shaped};
use super::dropped::Drops;
use super::heads::{Heads, merge, split};
use super::norm::{self, NormInputs, Norming};
use super::norm_gradient::{self, NormGradientInputs};
use super::product::{product, product_over_rows, turned};
use super::tokens::Tokens;
use super::{activation, pack};
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

/// The parameters of a linear layer, or their gradients.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion)]
pub struct LinearTensors<B: Backend> {
    /// `[in, out]`.
    pub matrix: FloatTensor<B>,
    /// `[out]`.
    pub bias: FloatTensor<B>,
}

/// Those of a norm.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion)]
pub struct NormTensors<B: Backend> {
    pub gamma: FloatTensor<B>,
    pub beta: FloatTensor<B>,
}

/// Those of a layer.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion)]
pub struct LayerTensors<B: Backend> {
    #[extension_type]
    pub query: LinearTensors<B>,
    #[extension_type]
    pub key: LinearTensors<B>,
    #[extension_type]
    pub value: LinearTensors<B>,
    #[extension_type]
    pub attention_output: LinearTensors<B>,
    #[extension_type]
    pub intermediate: LinearTensors<B>,
    #[extension_type]
    pub output: LinearTensors<B>,
    #[extension_type]
    pub attention_norm: NormTensors<B>,
    #[extension_type]
    pub output_norm: NormTensors<B>,
}

#[cfg(feature = "train")]
impl<B: Backend> LayerTensors<B> {
    /// In the order of the fields.
    pub fn in_turn(self) -> [FloatTensor<B>; 16] {
        let Self { query, key, value, attention_output, intermediate, output, .. } = self;
        let linears = [query, key, value, attention_output, intermediate, output];
        let norms = [self.attention_norm, self.output_norm];
        let linears = linears.into_iter().flat_map(|linear| [linear.matrix, linear.bias]);
        let norms = norms.into_iter().flat_map(|norm| [norm.gamma, norm.beta]);
        let mut all = linears.chain(norms);
        std::array::from_fn(|_| all.next().expect("a layer has 16 parameters"))
    }

    /// The same tensors of another backend.
    pub fn map<C: Backend>(self, to: impl Fn(FloatTensor<B>) -> FloatTensor<C>) -> LayerTensors<C> {
        let linear = |LinearTensors { matrix, bias }: LinearTensors<B>| LinearTensors {
            matrix: to(matrix),
            bias: to(bias),
        };
        let norm = |NormTensors { gamma, beta }: NormTensors<B>| NormTensors {
            gamma: to(gamma),
            beta: to(beta),
        };
        LayerTensors {
            query: linear(self.query),
            key: linear(self.key),
            value: linear(self.value),
            attention_output: linear(self.attention_output),
            intermediate: linear(self.intermediate),
            output: linear(self.output),
            attention_norm: norm(self.attention_norm),
            output_norm: norm(self.output_norm),
        }
    }
}

/// The matrices of a layer as its products read them, `[in, out]`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion)]
pub struct Matrices<B: Backend> {
    /// Those of query, key and value side by side.
    pub qkv: FloatTensor<B>,
    pub attention_output: FloatTensor<B>,
    pub intermediate: FloatTensor<B>,
    pub output: FloatTensor<B>,
}

/// What a layer's backward pass needs of its forward pass. Narrow tensors are stored as the products
/// read them.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion)]
pub struct LayerKept<B: Backend> {
    /// The input, narrow, `[batch · seq, hidden]`.
    pub x: FloatTensor<B>,
    /// Narrow, `[batch, heads, asking, size]`.
    pub query: FloatTensor<B>,
    /// Narrow, `[batch, heads, seq, size]`.
    pub key: FloatTensor<B>,
    pub value: FloatTensor<B>,
    /// What attention gave, narrow, `[out rows, hidden]`.
    pub attended: FloatTensor<B>,
    /// Of the norm after attention, narrow, `[out rows, hidden]`.
    pub attention_normalised: FloatTensor<B>,
    /// `[out rows]`.
    pub attention_factors: FloatTensor<B>,
    /// What the feed-forward part reads, narrow, `[out rows, hidden]`.
    pub middle: FloatTensor<B>,
    /// Before its bias and GELU, narrow, `[out rows, ffn]`.
    pub inner: FloatTensor<B>,
    /// Of the last norm, narrow, `[out rows, hidden]`.
    pub output_normalised: FloatTensor<B>,
    /// `[out rows]`.
    pub output_factors: FloatTensor<B>,
    #[extension_type]
    pub matrices: Matrices<B>,
}

/// How a layer computes.
#[derive(Clone, Copy, Debug)]
pub struct LayerPlan {
    pub heads: usize,
    pub eps: f32,
    /// What the products read.
    pub dtype: DType,
    /// Whether only the first token of each sequence comes out.
    pub first_only: bool,
    pub(super) weighing: Weighing,
    pub(super) attention_drops: Drops,
    pub(super) output_drops: Drops,
}

impl LayerPlan {
    /// The tokens of an input `[batch, seq, hidden]`.
    fn tokens(&self, x: &Shape) -> Tokens {
        let [batch, seq, hidden] = [x[0], x[1], x[2]];
        let heads = Heads { batch, seq, heads: self.heads, size: hidden / self.heads };
        Tokens { heads, first_only: self.first_only }
    }

    fn norming(&self, drops: Drops) -> Norming {
        Norming { eps: self.eps, is_sum: true, has_beta: true, drops }
    }
}

/// What fusion must know of [`forward`] before it runs.
pub fn kept(x: &Shape, ffn: usize, plan: &LayerPlan) -> (TensorSpec, LayerKeptMetadata) {
    let [seq, hidden] = [x[1], x[2]];
    let tokens = plan.tokens(x);
    let narrow = |shape: Shape| TensorSpec::new(shape, plan.dtype);
    let rows = |columns| narrow(Shape::new([tokens.out_rows(), columns]));
    let of_heads = |count| narrow(tokens.of_heads(count));
    let factors = || TensorSpec::new(Shape::new([tokens.out_rows()]), DType::F32);
    let kept = LayerKeptMetadata {
        x: narrow(tokens.rows()),
        query: of_heads(tokens.asking()),
        key: of_heads(seq),
        value: of_heads(seq),
        attended: rows(hidden),
        attention_normalised: rows(hidden),
        attention_factors: factors(),
        middle: rows(hidden),
        inner: rows(ffn),
        output_normalised: rows(hidden),
        output_factors: factors(),
        matrices: MatricesMetadata {
            qkv: narrow(Shape::new([hidden, 3 * hidden])),
            attention_output: narrow(Shape::new([hidden, hidden])),
            intermediate: narrow(Shape::new([hidden, ffn])),
            output: narrow(Shape::new([ffn, hidden])),
        },
    };
    (TensorSpec::new(tokens.shape_out(), DType::F32), kept)
}

/// The shape of the input, from those of the output and of the keys that were kept.
pub fn input_shape(out: &Shape, key: &Shape) -> Shape {
    Shape::new([key[0], key[2], out[2]])
}

/// # Shapes
/// - x: `[batch, seq, hidden]`
/// - is_hidden: `[batch, seq]`
/// - output: `[batch, out, hidden]`
pub fn forward(
    x: CubeTensor,
    is_hidden: CubeTensor,
    tensors: LayerTensors<CubeBackend>,
    plan: LayerPlan,
) -> (CubeTensor, LayerKept<CubeBackend>) {
    let tokens = plan.tokens(x.meta.shape());
    let matrices = pack::matrices(&tensors, plan.dtype);
    let residual = shaped(flat(x), tokens.rows());
    let x = pack::narrow(residual.clone(), plan.dtype);
    let qkv = product(x.clone(), matrices.qkv.clone(), plan.dtype); // [batch · seq, 3 · hidden]
    let biases = [tensors.query, tensors.key, tensors.value].map(|linear| linear.bias);
    let [query, key, value] = split(qkv, Some(biases), tokens.heads);
    let query = tokens.queries(query);
    let scores = product(query.clone(), turned(key.clone()), plan.dtype); // [batch, heads, asking, seq]
    let weights = attention::dropped_weights(scores, is_hidden, plan.weighing);
    let attended = tokens.merged(product(weights, value.clone(), plan.dtype));
    let after_attention = norm::norm(
        NormInputs {
            x: product(attended.clone(), matrices.attention_output.clone(), plan.dtype),
            bias: tensors.attention_output.bias,
            residual: tokens.coming_out(residual),
            gamma: tensors.attention_norm.gamma,
            beta: tensors.attention_norm.beta,
        },
        plan.norming(plan.attention_drops),
    );
    let middle = after_attention.narrow;
    let inner = product(middle.clone(), matrices.intermediate.clone(), plan.dtype); // [out rows, ffn]
    let activated = activation::biased(inner.clone(), tensors.intermediate.bias, true);
    let last = norm::norm(
        NormInputs {
            x: product(activated, matrices.output.clone(), plan.dtype),
            bias: tensors.output.bias,
            residual: after_attention.out,
            gamma: tensors.output_norm.gamma,
            beta: tensors.output_norm.beta,
        },
        plan.norming(plan.output_drops),
    );
    let kept = LayerKept {
        x,
        query,
        key,
        value,
        attended,
        attention_normalised: after_attention.normalised,
        attention_factors: after_attention.factors,
        middle,
        inner,
        output_normalised: last.normalised,
        output_factors: last.factors,
        matrices,
    };
    (tokens.without_filling(last.out), kept)
}

/// Returns the gradient of the input, `[batch, seq, hidden]`, and those of the parameters. `d_out` is
/// `[batch, out, hidden]`.
pub fn backward(
    d_out: CubeTensor,
    kept: LayerKept<CubeBackend>,
    is_hidden: CubeTensor,
    tensors: LayerTensors<CubeBackend>,
    plan: LayerPlan,
) -> (CubeTensor, LayerTensors<CubeBackend>) {
    let shape = input_shape(d_out.meta.shape(), kept.key.meta.shape());
    let tokens = plan.tokens(&shape);
    let back = |d: CubeTensor, matrix: CubeTensor| product(d, turned(matrix), plan.dtype);
    let last = norm_gradient::gradient(
        NormGradientInputs {
            d_out: tokens.filled(d_out),
            more: None,
            normalised: kept.output_normalised,
            factors: kept.output_factors,
            gamma: tensors.output_norm.gamma,
        },
        plan.norming(plan.output_drops),
    );
    let d_activated = back(last.d_x.clone(), kept.matrices.output); // [out rows, ffn]
    let (d_inner, activated) =
        activation::gelu_gradient(d_activated, kept.inner, tensors.intermediate.bias, true);
    let [output] = product_over_rows(activated, last.d_x);
    let [intermediate] = product_over_rows(kept.middle, d_inner.clone());
    let intermediate_bias = sums(d_inner.clone());
    let middle = norm_gradient::gradient(
        NormGradientInputs {
            d_out: last.d_sum,
            more: Some(back(d_inner, kept.matrices.intermediate)),
            normalised: kept.attention_normalised,
            factors: kept.attention_factors,
            gamma: tensors.attention_norm.gamma,
        },
        plan.norming(plan.attention_drops),
    );
    let [attention_output] = product_over_rows(kept.attended, middle.d_x.clone());
    let d_attended = tokens.split(back(middle.d_x, kept.matrices.attention_output));
    let parts = [kept.query, kept.key, kept.value];
    let d_qkv = merge(d_heads(d_attended, parts, is_hidden, (plan, tokens)), tokens.heads);
    let d_x = pack::sum(tokens.spread(middle.d_sum), back(d_qkv.clone(), kept.matrices.qkv));

    let (attention_norm, attention_output_bias) = vectors(middle.d_vectors);
    let (output_norm, output_bias) = vectors(last.d_vectors);
    let [query, key, value] = linears(product_over_rows(kept.x, d_qkv.clone()), split_sums(d_qkv));
    let matrices = [attention_output, intermediate, output];
    let biases = [attention_output_bias, intermediate_bias, output_bias];
    let [attention_output, intermediate, output] = linears(matrices, biases);
    let gradients = LayerTensors {
        query,
        key,
        value,
        attention_output,
        intermediate,
        output,
        attention_norm,
        output_norm,
    };
    (shaped(d_x, shape), gradients)
}

/// The gradients of a norm's own vectors, and of the bias before it.
fn vectors([gamma, beta, bias]: [CubeTensor; 3]) -> (NormTensors<CubeBackend>, CubeTensor) {
    (NormTensors { gamma, beta }, bias)
}

/// Three linear layers of their matrices and biases.
fn linears(
    [first, second, third]: [CubeTensor; 3],
    biases: [CubeTensor; 3],
) -> [LinearTensors<CubeBackend>; 3] {
    let [first_bias, second_bias, third_bias] = biases;
    [(first, first_bias), (second, second_bias), (third, third_bias)]
        .map(|(matrix, bias)| LinearTensors { matrix, bias })
}

/// The gradients of queries, keys and values, `[batch, heads, seq, size]` all. That of what attention
/// gave is `[batch, heads, asking, size]`.
fn d_heads(
    d_attended: CubeTensor,
    [query, key, value]: [CubeTensor; 3],
    is_hidden: CubeTensor,
    (plan, tokens): (LayerPlan, Tokens),
) -> [CubeTensor; 3] {
    let scores = product(query.clone(), turned(key.clone()), plan.dtype); // [batch, heads, asking, seq]
    let (probabilities, dropped) = attention::weights(scores, is_hidden, plan.weighing);
    let weights = if plan.weighing.drops.any() { dropped } else { probabilities.clone() };
    let d_value = product(turned(weights), d_attended.clone(), plan.dtype);
    let d_weights = product(d_attended, turned(value), plan.dtype);
    let d_scores = attention::gradient(d_weights, probabilities, plan.weighing);
    let d_query = product(d_scores.clone(), key, plan.dtype);
    let d_key = product(turned(d_scores), query, plan.dtype);
    [tokens.spread_queries(d_query), d_key, d_value]
}
