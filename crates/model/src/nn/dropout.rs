//! Dropout in operations of the device, so that the host neither hashes a mask nor sends one.

use burn::tensor::{DType, Device, Int, Tensor};
use whetstone_kernels::{Dropout, Mask};

/// Drops the values that the kernels would drop in a tensor of this shape, and scales the others.
///
/// The backward pass keeps one flag a value, neither `x` nor a factor.
pub fn drop(x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
    let Some(mask) = dropout.mask() else { return x };
    // Unsigned numbers compare as signed ones do once the highest bit of each is flipped.
    let hash = hash(x.dims(), mask.key, &x.device()).bitwise_xor_scalar(i32::MIN);
    let is_dropped = hash.lower_elem(mask.threshold as i32 ^ i32::MIN);
    x.mask_fill(is_dropped, 0.0) * mask.scale
}

/// Returns the hash of every value's index, `[rows, cols]`, its bits as i32: not every device takes
/// constants beyond that. The indices themselves, as large as the tensor, are never stored: rows
/// and columns meet in the first sum.
fn hash([rows, cols]: [usize; 2], key: u32, device: &Device) -> Tensor<2, Int> {
    let count = |len: usize| Tensor::<1, Int>::arange(0..len as i64, (device, DType::I32));
    let row = count(rows).reshape([rows, 1]) * Mask::STRIDE.wrapping_mul(cols as u32) as i32;
    let col = count(cols).reshape([1, cols]) * Mask::STRIDE as i32 + key as i32;
    let mut x = row + col; // [rows, cols]
    let fold = |x: Tensor<2, Int>, shift: u32| {
        let shifted = x.clone().bitwise_right_shift_scalar(shift as i32);
        // What the sign filled up is not there in a shift of unsigned numbers.
        x.bitwise_xor(shifted.bitwise_and_scalar((u32::MAX >> shift) as i32))
    };
    for (shift, product) in Mask::ROUNDS {
        x = fold(x, shift) * product as i32;
    }
    fold(x, Mask::LAST_SHIFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_drops_the_values_that_the_kernels_drop() {
        let dims = [300, 129];
        for (rate, seed, place) in [(0.1, 7, 3), (0.5, u64::MAX, 40), (0.9, 0, 0)] {
            let dropout = Dropout::new(rate, seed, place);
            let ones = Tensor::<2>::ones(dims, &Device::flex());
            let found: Vec<f32> = drop(ones, dropout).into_data().try_into_vec().unwrap();
            assert_eq!(found, dropout.factors(dims[0] * dims[1]), "rate {rate}");
        }
    }

    #[test]
    fn the_gradient_of_dropout_is_its_factors() {
        let dropout = Dropout::new(0.3, 5, 1);
        let x = Tensor::<2>::ones([8, 16], &Device::flex().autodiff()).require_grad();
        let gradients = drop(x.clone(), dropout).sum().backward();
        let found: Vec<f32> = x.grad(&gradients).unwrap().into_data().try_into_vec().unwrap();
        assert_eq!(found, dropout.factors(8 * 16));
    }
}
