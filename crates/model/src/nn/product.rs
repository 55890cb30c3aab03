//! Products with weights, in f32 or with both sides rounded to bfloat16.

use super::fused::add_bias;
use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};
use whetstone_kernels::Precision;

/// A linear layer without its bias. Weights, activations and gradients stay f32; in
/// [`Precision::Bf16`] what is multiplied is rounded, and so is each sum of products, as under
/// PyTorch's autocast.
///
/// # Shapes
/// - x: `[rows, in]`. Rows are flat, since a batch of matrices would be a batch of products.
/// - output: `[rows, out]`
pub fn product(layer: &Linear, x: Tensor<2>, precision: Precision) -> Tensor<2> {
    let weight = layer.weight.val();
    match precision {
        Precision::F32 => x.matmul(weight),
        Precision::Bf16 => {
            let weight = weight.cast(FloatDType::BF16);
            x.cast(FloatDType::BF16).matmul(weight).cast(FloatDType::F32)
        }
    }
}

/// A linear layer.
pub fn linear(layer: &Linear, x: Tensor<2>, precision: Precision) -> Tensor<2> {
    add_bias(layer, product(layer, x, precision))
}
