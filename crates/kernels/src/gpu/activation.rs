//! A linear layer's bias, and the exact GELU after it.

use super::device::{columns, elem, empty_like, flat, own};
use super::lanes::{threads, wide, width};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// 1/√2π, the density of the standard normal distribution at 0.
const DENSITY: f32 = 0.398_942_3;

/// x + bias, or the GELU of that.
pub fn biased(x: CubeTensor, bias: CubeTensor, with_gelu: bool) -> CubeTensor {
    let (x, bias) = (flat(x), flat(bias));
    let (out, columns) = (empty_like(&x), columns(&x));
    let width = width(columns);
    let vectors = x.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let (client, dtype) = (x.client.clone(), elem(&x));
    biased_kernel::launch(
        &client,
        count,
        dim,
        width,
        x.into_tensor_arg(),
        bias.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        vectors,
        columns / width,
        with_gelu,
        dtype,
    );
    out
}

#[cube(launch)]
fn biased_kernel<T: Float, N: Size>(
    x: &Tensor<Vector<T, N>>,
    bias: &Tensor<Vector<f32, N>>,
    out: &mut Tensor<Vector<T, N>>,
    vectors: usize,
    columns: usize,
    #[comptime] with_gelu: bool,
    #[define(T)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < vectors {
        let mut value = wide(x[ABSOLUTE_POS]) + bias[ABSOLUTE_POS % columns];
        if with_gelu {
            value = value * below(value);
        }
        out[ABSOLUTE_POS] = Vector::cast_from(value);
    }
}

/// The share of a standard normal distribution that lies below a value.
#[cube]
fn below<N: Size>(value: Vector<f32, N>) -> Vector<f32, N> {
    let scaled = value * Vector::new(std::f32::consts::FRAC_1_SQRT_2);
    (scaled.erf() + Vector::new(1.0f32)) * Vector::new(0.5f32)
}

/// The gradient of x, whose columns' sums are that of the bias; and the GELU itself again, or x.
/// Both take the place of what they are computed from, if nobody else reads that.
pub fn gelu_gradient(
    d_out: CubeTensor,
    x: CubeTensor,
    bias: CubeTensor,
    with_gelu: bool,
) -> (CubeTensor, CubeTensor) {
    let (d_out, x, bias) = (own(flat(d_out)), flat(x), flat(bias));
    let x = if with_gelu { own(x) } else { x };
    let columns = columns(&x);
    let width = width(columns);
    let vectors = x.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let (client, dtype) = (x.client.clone(), elem(&x));
    gelu_gradient_kernel::launch(
        &client,
        count,
        dim,
        width,
        d_out.clone().into_tensor_arg(),
        x.clone().into_tensor_arg(),
        bias.into_tensor_arg(),
        vectors,
        columns / width,
        with_gelu,
        dtype,
    );
    (d_out, x)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn gelu_gradient_kernel<T: Float, N: Size>(
    gradients: &mut Tensor<Vector<T, N>>,
    x: &mut Tensor<Vector<T, N>>,
    bias: &Tensor<Vector<f32, N>>,
    vectors: usize,
    columns: usize,
    #[comptime] with_gelu: bool,
    #[define(T)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < vectors {
        let value = wide(x[ABSOLUTE_POS]) + bias[ABSOLUTE_POS % columns];
        let share = below(value);
        let density = (value * value * Vector::new(-0.5f32)).exp() * Vector::new(DENSITY);
        let gradient = wide(gradients[ABSOLUTE_POS]) * (share + value * density);
        gradients[ABSOLUTE_POS] = Vector::cast_from(gradient);
        if with_gelu {
            x[ABSOLUTE_POS] = Vector::cast_from(value * share);
        }
    }
}
