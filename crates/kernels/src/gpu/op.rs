//! The kernels as a burn backend extension, for every device of cubecl, with and without fusion.

use super::attention::Weighing;
use super::device::{NOTHING, flat};
use super::dropped::Drops;
use super::joined::{self, Parts};
use super::layer::{self, LayerKept, LayerPlan, LayerTensors};
use super::norm::{NormInputs, Norming};
use super::norm_gradient::NormGradientInputs;
use super::product::{product, product_over_rows, turned};
use super::reading::{self, Slot};
use super::rows::Taken;
use super::{activation, attention, columns, dropped, norm, norm_gradient, rows};
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
#[cfg(feature = "train")]
use {super::optimizer, crate::AdamWStep};

/// What the kernels compute, forward and backward. Shapes are those of the functions that launch
/// them.
#[backend_extension(Cube, Fusion)]
pub trait DeviceKernels: Backend {
    #[fusion(meta = |scores, _, weighing| (scores.clone(), whole_or_nothing(scores, weighing.drops.any())))]
    fn weights(
        scores: FloatTensor<Self>,
        is_hidden: FloatTensor<Self>,
        weighing: Weighing,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    #[fusion(dtype = probabilities, shape = probabilities)]
    fn weights_gradient(
        d_weights: FloatTensor<Self>,
        probabilities: FloatTensor<Self>,
        weighing: Weighing,
    ) -> FloatTensor<Self>;

    #[fusion(meta = |x, _, _, _, _, _| (x.clone(), x.clone(), of_rows(x)))]
    fn norm(
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norming: Norming,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// The gradients of the residual and of `x`, and those of gamma, beta and the bias.
    #[fusion(meta = |_, normalised, _, gamma, _| {
        let vectors = (gamma.clone(), gamma.clone(), gamma.clone());
        (normalised.clone(), normalised.clone(), vectors)
    })]
    #[allow(clippy::type_complexity, reason = "tuples are what fusion can describe")]
    fn norm_gradient(
        d_out: FloatTensor<Self>,
        normalised: FloatTensor<Self>,
        factors: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        norming: Norming,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>),
    );

    #[fusion(dtype = x, shape = row_of(x))]
    fn column_sums(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The product of two matrices, or of each of a batch, either of them turned, in f32.
    #[fusion(meta = |lhs, rhs, turns| multiplied(lhs, rhs, turns))]
    fn multiplied(
        lhs: FloatTensor<Self>,
        rhs: FloatTensor<Self>,
        turns: Turns,
    ) -> FloatTensor<Self>;

    /// lhsᵀ · rhs in f32, of matrices with many rows.
    #[fusion(meta = |lhs, rhs| {
        TensorSpec::new(Shape::new([lhs.shape[1], rhs.shape[1]]), DType::F32)
    })]
    fn multiplied_over_rows(lhs: FloatTensor<Self>, rhs: FloatTensor<Self>) -> FloatTensor<Self>;

    #[cfg(feature = "train")]
    #[fusion(meta = |_| TensorSpec::new(Shape::new([1]), DType::F32))]
    fn squares(x: FloatTensor<Self>) -> FloatTensor<Self>;

    #[cfg(feature = "train")]
    #[fusion(meta = |weights, _, _, _, _, _, _| (weights.clone(), weights.clone(), weights.clone()))]
    fn stepped(
        weights: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        gradients: FloatTensor<Self>,
        norm: FloatTensor<Self>,
        step: AdamWStep,
        max_norm: f32,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Takes so many bytes of the device's memory and leaves them again. Gives the tensor back.
    #[cfg(feature = "train")]
    #[fusion(dtype = x, shape = x)]
    fn with_room(x: FloatTensor<Self>, bytes: usize) -> FloatTensor<Self>;

    /// Begins to copy a tensor to the host, and gives it back.
    #[fusion(dtype = x, shape = x)]
    fn copied(x: FloatTensor<Self>, slot: Slot) -> FloatTensor<Self>;

    /// Writes `count` vectors into another, from `start` on.
    #[fusion(dtype = into, shape = into)]
    fn write_parts(
        into: FloatTensor<Self>,
        #[extension_type] parts: Parts<Self>,
        start: usize,
        count: usize,
    ) -> FloatTensor<Self>;

    #[fusion(meta = |x, _, tensors, plan| {
        layer::kept(&x.shape, tensors.intermediate.matrix.shape[1], plan)
    })]
    fn layer(
        x: FloatTensor<Self>,
        is_hidden: FloatTensor<Self>,
        #[extension_type] tensors: LayerTensors<Self>,
        plan: LayerPlan,
    ) -> (FloatTensor<Self>, LayerKept<Self>);

    #[fusion(meta = |d_out, kept, _, tensors, _| {
        let shape = layer::input_shape(&d_out.shape, &kept.key.shape);
        (TensorSpec::new(shape, DType::F32), tensors.clone())
    })]
    fn layer_gradient(
        d_out: FloatTensor<Self>,
        #[extension_type] kept: LayerKept<Self>,
        is_hidden: FloatTensor<Self>,
        #[extension_type] tensors: LayerTensors<Self>,
        plan: LayerPlan,
    ) -> (FloatTensor<Self>, LayerTensors<Self>);

    #[fusion(dtype = x, shape = x)]
    fn biased(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    #[fusion(dtype = x, shape = x)]
    fn biased_gelu(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    #[fusion(dtype = x, shape = x)]
    fn gelu_gradient(
        d_out: FloatTensor<Self>,
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    #[fusion(dtype = x, shape = x)]
    fn dropped(x: FloatTensor<Self>, drops: Drops) -> FloatTensor<Self>;

    #[fusion(dtype = d_taken, shape = Shape::new([*table_rows, d_taken[1]]))]
    fn rows_gradient(
        d_taken: FloatTensor<Self>,
        places: IntTensor<Self>,
        stretches: IntTensor<Self>,
        starts: IntTensor<Self>,
        rows: IntTensor<Self>,
        table_rows: usize,
    ) -> FloatTensor<Self>;
}

/// Which factors of a product are read turned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turns {
    pub lhs: bool,
    pub rhs: bool,
}

fn multiplied(lhs: &TensorSpec, rhs: &TensorSpec, turns: &Turns) -> TensorSpec {
    let last = lhs.shape.num_dims() - 1;
    let mut shape = lhs.shape.clone();
    shape[last - 1] = lhs.shape[if turns.lhs { last } else { last - 1 }];
    shape[last] = rhs.shape[if turns.rhs { last - 1 } else { last }];
    TensorSpec::new(shape, DType::F32)
}

/// The same shape, or that of a tensor that nobody reads.
fn whole_or_nothing(whole: &TensorSpec, is_whole: bool) -> TensorSpec {
    match is_whole {
        true => whole.clone(),
        false => TensorSpec::new(Shape::new([NOTHING]), whole.dtype),
    }
}

/// A number for each row.
fn of_rows(x: &TensorSpec) -> TensorSpec {
    let columns = x.shape[x.shape.num_dims() - 1];
    TensorSpec::new(Shape::new([x.shape.num_elements() / columns]), x.dtype)
}

/// A number for each column.
fn row_of(x: &Shape) -> Shape {
    Shape::new([x[x.num_dims() - 1]])
}

impl DeviceKernels for CubeBackend {
    fn weights(
        scores: CubeTensor,
        is_hidden: CubeTensor,
        weighing: Weighing,
    ) -> (CubeTensor, CubeTensor) {
        attention::weights(scores, is_hidden, weighing)
    }

    fn weights_gradient(
        d_weights: CubeTensor,
        probabilities: CubeTensor,
        weighing: Weighing,
    ) -> CubeTensor {
        attention::gradient(d_weights, probabilities, weighing)
    }

    fn norm(
        x: CubeTensor,
        bias: CubeTensor,
        residual: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        norming: Norming,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let out = norm::norm(NormInputs { x, bias, residual, gamma, beta }, norming);
        (out.out, out.normalised, out.factors)
    }

    fn norm_gradient(
        d_out: CubeTensor,
        normalised: CubeTensor,
        factors: CubeTensor,
        gamma: CubeTensor,
        norming: Norming,
    ) -> (CubeTensor, CubeTensor, (CubeTensor, CubeTensor, CubeTensor)) {
        let inputs = NormGradientInputs { d_out, more: None, normalised, factors, gamma };
        let gradients = norm_gradient::gradient(inputs, norming);
        (gradients.d_sum, gradients.d_x, gradients.d_vectors.into())
    }

    fn column_sums(x: CubeTensor) -> CubeTensor {
        columns::sums(x)
    }

    fn multiplied(lhs: CubeTensor, rhs: CubeTensor, turns: Turns) -> CubeTensor {
        let (lhs, rhs) = (flat(lhs), flat(rhs));
        let lhs = if turns.lhs { turned(lhs) } else { lhs };
        let rhs = if turns.rhs { turned(rhs) } else { rhs };
        product(lhs, rhs, DType::F32)
    }

    fn multiplied_over_rows(lhs: CubeTensor, rhs: CubeTensor) -> CubeTensor {
        let [out] = product_over_rows(flat(lhs), flat(rhs));
        out
    }

    #[cfg(feature = "train")]
    fn squares(x: CubeTensor) -> CubeTensor {
        optimizer::squares(x)
    }

    #[cfg(feature = "train")]
    fn stepped(
        weights: CubeTensor,
        first: CubeTensor,
        second: CubeTensor,
        gradients: CubeTensor,
        norm: CubeTensor,
        step: AdamWStep,
        max_norm: f32,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let state = [weights, first, second];
        optimizer::adamw(state, gradients, norm, (step, max_norm)).into()
    }

    #[cfg(feature = "train")]
    fn with_room(x: CubeTensor, bytes: usize) -> CubeTensor {
        drop(x.client.empty(bytes));
        x
    }

    fn copied(x: CubeTensor, slot: Slot) -> CubeTensor {
        reading::begin(x, &slot)
    }

    fn write_parts(into: CubeTensor, parts: Parts<Self>, start: usize, count: usize) -> CubeTensor {
        joined::write(into, parts, (start, count))
    }

    fn layer(
        x: CubeTensor,
        is_hidden: CubeTensor,
        tensors: LayerTensors<Self>,
        plan: LayerPlan,
    ) -> (CubeTensor, LayerKept<Self>) {
        layer::forward(x, is_hidden, tensors, plan)
    }

    fn layer_gradient(
        d_out: CubeTensor,
        kept: LayerKept<Self>,
        is_hidden: CubeTensor,
        tensors: LayerTensors<Self>,
        plan: LayerPlan,
    ) -> (CubeTensor, LayerTensors<Self>) {
        layer::backward(d_out, kept, is_hidden, tensors, plan)
    }

    fn biased(x: CubeTensor, bias: CubeTensor) -> CubeTensor {
        activation::biased(x, bias, false)
    }

    fn biased_gelu(x: CubeTensor, bias: CubeTensor) -> CubeTensor {
        activation::biased(x, bias, true)
    }

    fn gelu_gradient(d_out: CubeTensor, x: CubeTensor, bias: CubeTensor) -> CubeTensor {
        activation::gelu_gradient(d_out, x, bias, false).0
    }

    fn dropped(x: CubeTensor, drops: Drops) -> CubeTensor {
        dropped::dropped(x, drops)
    }

    fn rows_gradient(
        d_taken: CubeTensor,
        places: CubeTensor,
        stretches: CubeTensor,
        starts: CubeTensor,
        rows: CubeTensor,
        table_rows: usize,
    ) -> CubeTensor {
        rows::gradient(d_taken, Taken { places, stretches, starts, rows }, table_rows)
    }
}
