//! A linear layer's bias, and the exact GELU after it.

use super::device::{columns, empty_like, flat};
use super::lanes::threads;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// x + bias, or the GELU of that.
pub fn biased(x: CubeTensor, bias: CubeTensor, with_gelu: bool) -> CubeTensor {
    let (x, bias) = (flat(x), flat(bias));
    let (out, columns) = (empty_like(&x), columns(&x));
    let (count, dim) = threads(x.meta.num_elements());
    let client = x.client.clone();
    let (x, bias) = (x.into_tensor_arg(), bias.into_tensor_arg());
    let to = out.clone().into_tensor_arg();
    biased_kernel::launch(&client, count, dim, x, bias, to, columns, with_gelu);
    out
}

#[cube(launch)]
fn biased_kernel(
    x: &Tensor<f32>,
    bias: &Tensor<f32>,
    out: &mut Tensor<f32>,
    columns: usize,
    #[comptime] with_gelu: bool,
) {
    if ABSOLUTE_POS < out.len() {
        let mut value = x[ABSOLUTE_POS] + bias[ABSOLUTE_POS % columns];
        if with_gelu {
            value = value * below(value);
        }
        out[ABSOLUTE_POS] = value;
    }
}

/// The share of a standard normal distribution that lies below a value.
#[cube]
fn below(value: f32) -> f32 {
    f32::new(0.5) * (f32::new(1.0) + Erf::erf(value * f32::new(std::f32::consts::FRAC_1_SQRT_2)))
}

/// The gradient of x; its columns' sums are that of the bias.
pub fn gelu_gradient(d_out: CubeTensor, x: CubeTensor, bias: CubeTensor) -> CubeTensor {
    let [d_out, x, bias] = [d_out, x, bias].map(flat);
    let (d_x, columns) = (empty_like(&x), columns(&x));
    let (count, dim) = threads(x.meta.num_elements());
    let client = x.client.clone();
    gelu_gradient_kernel::launch(
        &client,
        count,
        dim,
        d_out.into_tensor_arg(),
        x.into_tensor_arg(),
        bias.into_tensor_arg(),
        d_x.clone().into_tensor_arg(),
        columns,
    );
    d_x
}

#[cube(launch)]
fn gelu_gradient_kernel(
    d_out: &Tensor<f32>,
    x: &Tensor<f32>,
    bias: &Tensor<f32>,
    d_x: &mut Tensor<f32>,
    columns: usize,
) {
    if ABSOLUTE_POS < d_x.len() {
        let value = x[ABSOLUTE_POS] + bias[ABSOLUTE_POS % columns];
        // 1/√2π is the density of the standard normal distribution at 0.
        let density = (value * value * f32::new(-0.5)).exp() * f32::new(0.398_942_28);
        d_x[ABSOLUTE_POS] = d_out[ABSOLUTE_POS] * (below(value) + value * density);
    }
}
