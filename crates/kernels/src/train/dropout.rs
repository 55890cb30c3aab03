//! The masks of dropout, computed where they are needed and never stored.

use crate::dropout::Dropout;
use crate::simd::simd;

/// Which values dropout keeps: a pure function of a key and the value's index. So the backward pass
/// and a resumed run find the same mask, and so does a GPU that computes the same hash.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mask {
    pub key: u32,
    /// Values whose hash lies below are dropped.
    pub threshold: u32,
    /// Factor of the values that are kept.
    pub scale: f32,
}

impl Dropout {
    /// Keeps each value with probability `1 - rate` and scales it by `1 / (1 - rate)`. `rate` is in
    /// [0, 1). `site` is the place in the network; each has its own mask.
    pub fn new(rate: f32, seed: u64, site: u64) -> Self {
        let mixed =
            (seed ^ site.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let key = (mixed ^ (mixed >> 32)) as u32;
        let threshold = (f64::from(rate) * 4_294_967_296.0) as u32;
        Self { mask: Mask { key, threshold, scale: 1.0 / (1.0 - rate) } }
    }

    /// Returns the mask, to compute it elsewhere; None if everything is kept.
    pub fn mask(&self) -> Option<Mask> {
        self.mask.is_active().then_some(self.mask)
    }

    /// Returns the factors for values 0..len: 0 or `1 / (1 - rate)`.
    pub fn factors(&self, len: usize) -> Vec<f32> {
        (0..len as u32).map(|index| self.mask.factor(index)).collect()
    }
}

impl Mask {
    /// The hash of a value starts from its index times this, plus the key.
    pub const STRIDE: u32 = 0x9e37_79b9;
    /// The rounds of lowbias32 from Chris Wellons' hash prospector: x ^= x >> shift, then a product.
    pub const ROUNDS: [(u32, u32); 2] = [(16, 0x21f0_aaad), (15, 0x735a_2d97)];
    /// One more x ^= x >> shift ends it.
    pub const LAST_SHIFT: u32 = 15;

    pub fn is_active(self) -> bool {
        self.threshold > 0
    }

    pub fn apply(self, x: &mut [f32], first: usize) {
        if self.is_active() {
            dropout_in_place(x, self, first as u32);
        }
    }

    pub fn of<'a>(self, x: &[f32], first: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        if scratch.len() < x.len() {
            scratch.resize(x.len(), 0.0);
        }
        let y = &mut scratch[..x.len()];
        dropout(x, y, self, first as u32);
        y
    }

    #[inline(always)]
    fn factor(&self, index: u32) -> f32 {
        let mut x = index.wrapping_mul(Self::STRIDE).wrapping_add(self.key);
        for (shift, product) in Self::ROUNDS {
            x = (x ^ (x >> shift)).wrapping_mul(product);
        }
        x ^= x >> Self::LAST_SHIFT;
        if x >= self.threshold { self.scale } else { 0.0 }
    }
}

simd! {
    /// y := dropout(x). `first` is the index of x[0] in the whole tensor.
    fn dropout(x: &[f32], y: &mut [f32], mask: Mask, first: u32) {
        let _ = FMA;
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            *y = x * mask.factor(first.wrapping_add(i as u32));
        }
    }

    /// x := dropout(x).
    fn dropout_in_place(x: &mut [f32], mask: Mask, first: u32) {
        let _ = FMA;
        for (i, x) in x.iter_mut().enumerate() {
            *x *= mask.factor(first.wrapping_add(i as u32));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_keeps_the_stated_share_and_the_mean() {
        let ones = vec![1f32; 1 << 16];
        let (mut scratch, mut other) = (Vec::new(), Vec::new());
        let y = Dropout::new(0.1, 7, 3).of(&ones, 5, &mut scratch);
        let kept = y.iter().filter(|v| **v > 0.0).count() as f64 / y.len() as f64;
        assert!((kept - 0.9).abs() < 0.005, "kept {kept}");
        let mean = y.iter().sum::<f32>() / y.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "mean {mean}");
        assert_ne!(y, Dropout::new(0.1, 8, 3).of(&ones, 5, &mut other));
    }

    #[test]
    fn a_part_of_a_tensor_gets_the_part_of_the_mask_that_is_its_own() {
        let dropout = Dropout::new(0.4, 1, 2);
        let factors = dropout.factors(100);
        let mut x = vec![1f32; 60];
        dropout.apply(&mut x, 40);
        assert_eq!(x, factors[40..]);
    }
}
