//! The kernels as a burn backend extension, for every device of cubecl, with and without fusion.

use super::attention::Weighing;
use super::dropped::Drops;
use super::norm::{NormInputs, Norming};
use super::rows::Taken;
use super::{activation, attention, columns, dropped, norm, rows};
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

/// What the kernels compute, forward and backward. Shapes are those of the functions that launch
/// them.
#[backend_extension(Cube, Fusion)]
pub trait DeviceKernels: Backend {
    #[fusion(meta = |scores, _, weighing| (scores.clone(), whole_or_one(scores, weighing.drops.any())))]
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

    #[fusion(meta = |_, normalised, _, _, norming| {
        (normalised.clone(), whole_or_one(normalised, norming.drops.any()))
    })]
    fn norm_gradient(
        d_out: FloatTensor<Self>,
        normalised: FloatTensor<Self>,
        factors: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        norming: Norming,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    #[fusion(dtype = a, shape = row_of(a))]
    fn column_sums(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        is_product: bool,
    ) -> FloatTensor<Self>;

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

    #[fusion(dtype = d_taken, shape = Shape::new([table_rows.clone(), d_taken[1]]))]
    fn rows_gradient(
        d_taken: FloatTensor<Self>,
        places: IntTensor<Self>,
        stretches: IntTensor<Self>,
        starts: IntTensor<Self>,
        rows: IntTensor<Self>,
        table_rows: usize,
    ) -> FloatTensor<Self>;
}

/// The same shape, or one number that nobody reads.
fn whole_or_one(whole: &TensorSpec, is_whole: bool) -> TensorSpec {
    match is_whole {
        true => whole.clone(),
        false => TensorSpec::new(Shape::new([1]), DType::F32),
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
        norm::norm(NormInputs { x, bias, residual, gamma, beta }, norming).into()
    }

    fn norm_gradient(
        d_out: CubeTensor,
        normalised: CubeTensor,
        factors: CubeTensor,
        gamma: CubeTensor,
        norming: Norming,
    ) -> (CubeTensor, CubeTensor) {
        norm::gradient([d_out, normalised, factors, gamma], norming)
    }

    fn column_sums(a: CubeTensor, b: CubeTensor, is_product: bool) -> CubeTensor {
        columns::sums(a, b, is_product)
    }

    fn biased(x: CubeTensor, bias: CubeTensor) -> CubeTensor {
        activation::biased(x, bias, false)
    }

    fn biased_gelu(x: CubeTensor, bias: CubeTensor) -> CubeTensor {
        activation::biased(x, bias, true)
    }

    fn gelu_gradient(d_out: CubeTensor, x: CubeTensor, bias: CubeTensor) -> CubeTensor {
        activation::gelu_gradient(d_out, x, bias)
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
