//! Dropout by the hash of the CPU's kernels.

use super::device::{empty_like, flat};
use crate::dropout::Dropout;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// What decides which values are dropped: see the mask of the CPU's kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drops {
    key: u32,
    threshold: u32,
    scale: f32,
}

impl Drops {
    pub fn of(dropout: Dropout) -> Self {
        #[cfg(feature = "train")]
        if let Some(mask) = dropout.mask() {
            return Self { key: mask.key, threshold: mask.threshold, scale: mask.scale };
        }
        let _ = dropout;
        Self::default()
    }

    /// Whether anything is dropped.
    pub fn any(self) -> bool {
        self.threshold > 0
    }

    /// The factor of the values that stay.
    pub fn scale(self) -> f32 {
        self.scale
    }

    /// The arguments of a kernel.
    pub fn args(self) -> DropArgsLaunch {
        DropArgsLaunch::new(self.key, self.threshold, self.scale)
    }
}

/// The same within a kernel.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub struct DropArgs {
    key: u32,
    threshold: u32,
    scale: f32,
}

/// The factor of the value at `index`: 0 or `1 / (1 - rate)`.
#[cube]
pub fn factor(index: usize, drops: &DropArgs) -> f32 {
    // lowbias32, as on the CPU.
    let mut x = (index as u32) * 0x9e37_79b9u32 + drops.key;
    x = (x ^ (x >> 16u32)) * 0x21f0_aaadu32;
    x = (x ^ (x >> 15u32)) * 0x735a_2d97u32;
    x = x ^ (x >> 15u32);
    let mut factor = f32::new(0.0);
    if x >= drops.threshold {
        factor = drops.scale;
    }
    factor
}

/// A vector after dropout; its first value is at `index`.
#[cube]
pub fn kept<N: Size>(
    values: Vector<f32, N>,
    index: usize,
    drops: &DropArgs,
    #[comptime] has_drops: bool,
) -> Vector<f32, N> {
    let mut kept = values;
    if has_drops {
        #[unroll]
        for at in 0..N::value() {
            kept.insert(at, values.extract(at) * factor(index + at, drops));
        }
    }
    kept
}

/// Values of at least 0, with a minus where dropout took them: `kept` is what it left.
#[cube]
pub fn marked<N: Size>(values: Vector<f32, N>, kept: Vector<f32, N>) -> Vector<f32, N> {
    select_many(kept.greater_than(&Vector::new(0.0f32)), values, -values)
}

/// A vector after the dropout that took the values which `marks` has a minus for.
#[cube]
pub fn kept_by_marks<N: Size>(
    values: Vector<f32, N>,
    marks: Vector<f32, N>,
    scale: f32,
) -> Vector<f32, N> {
    let stays = marks.greater_than(&Vector::new(0.0f32));
    select_many(stays, values * Vector::new(scale), Vector::new(0.0f32))
}

#[cube(launch)]
fn dropped_kernel(x: &Tensor<f32>, out: &mut Tensor<f32>, drops: DropArgs) {
    if ABSOLUTE_POS < out.len() {
        out[ABSOLUTE_POS] = x[ABSOLUTE_POS] * factor(ABSOLUTE_POS, &drops);
    }
}

pub fn dropped(x: CubeTensor, drops: Drops) -> CubeTensor {
    let x = flat(x);
    let out = empty_like(&x);
    let (count, dim) = super::lanes::threads(x.meta.num_elements());
    let client = x.client.clone();
    let (x, result) = (x.into_tensor_arg(), out.clone().into_tensor_arg());
    dropped_kernel::launch(&client, count, dim, x, result, drops.args());
    out
}
