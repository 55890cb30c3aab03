//! Products with weights, in f32 or with both sides rounded to 16 bits.

use super::fused::add_bias;
use burn::nn::Linear;
use burn::tensor::{FloatDType, Tensor};
use whetstone_kernels::Precision;
#[cfg(feature = "gpu")]
use whetstone_kernels::gpu;

/// A linear layer without its bias. Weights, activations and gradients stay f32; in 16 bits what is
/// multiplied is rounded, and so is each sum of products, as under PyTorch's autocast.
///
/// # Shapes
/// - x: `[rows, in]`. Rows are flat, since a batch of matrices would be a batch of products.
/// - output: `[rows, out]`
pub fn product(layer: &Linear, x: Tensor<2>, precision: Precision) -> Tensor<2> {
    let (weight, rounded) = (layer.weight.val(), float_dtype(precision));
    #[cfg(feature = "gpu")]
    if gpu::serves(&x.device()) {
        return gpu::multiply(x, weight, rounded);
    }
    match precision {
        Precision::F32 => x.matmul(weight),
        _ => x.cast(rounded).matmul(weight.cast(rounded)).cast(FloatDType::F32),
    }
}

/// What the factors of products are stored as.
pub fn float_dtype(precision: Precision) -> FloatDType {
    match precision {
        Precision::F32 => FloatDType::F32,
        Precision::Bf16 => FloatDType::BF16,
        Precision::F16 => FloatDType::F16,
    }
}

/// A linear layer.
pub fn linear(layer: &Linear, x: Tensor<2>, precision: Precision) -> Tensor<2> {
    add_bias(layer, product(layer, x, precision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::LinearConfig;
    use burn::tensor::{DType, Device};

    #[test]
    fn sixteen_bits_round_what_is_multiplied_and_return_f32() {
        let device = Device::flex();
        let layer = LinearConfig::new(3, 2).init(&device);
        let x = Tensor::<2>::from_floats([[1.0, -0.3, 0.7], [0.001, 2.5, -1.1]], &device);
        let exact = linear(&layer, x.clone(), Precision::F32);
        // Half of the last of 8 and of 11 bits, of either factor and of sums of up to 4.
        for (precision, tolerance) in [(Precision::Bf16, 4e-2), (Precision::F16, 5e-3)] {
            let rounded = linear(&layer, x.clone(), precision);
            assert_eq!(rounded.dtype(), DType::F32);
            let error = (rounded - exact.clone()).abs().max().into_scalar::<f32>();
            assert!(error > 0.0 && error < tolerance, "{precision}: {error}");
        }
    }

    #[test]
    fn what_f16_cannot_hold_becomes_infinite() {
        let device = Device::flex();
        let layer = LinearConfig::new(1, 1).with_bias(false).init(&device);
        let x = Tensor::<2>::from_floats([[1e9]], &device);
        let scalar = |precision| linear(&layer, x.clone(), precision).into_scalar::<f32>();
        assert!(scalar(Precision::Bf16).is_finite() && !scalar(Precision::F16).is_finite());
    }
}
