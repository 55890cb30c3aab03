//! Products with weights, in f32 or with both sides rounded to bfloat16.

use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};
use whetstone_kernels::Precision;

/// A linear layer. Weights, activations and gradients stay f32; in [`Precision::Bf16`] what is
/// multiplied is rounded, and so is each sum of products, as under PyTorch's autocast.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>, precision: Precision) -> Tensor<D> {
    match precision {
        Precision::F32 => layer.forward(x),
        Precision::Bf16 => {
            let weight = layer.weight.val().cast(FloatDType::BF16);
            let product = burn::tensor::module::linear(x.cast(FloatDType::BF16), weight, None);
            let product = product.cast(FloatDType::F32);
            match &layer.bias {
                Some(bias) => product + bias.val().unsqueeze(),
                None => product,
            }
        }
    }
}
