//! Computes products with weights in f32 or bfloat16; GPUs also know f16.

#[cfg(target_arch = "x86_64")]
use super::bf16::{self, HasBf16};
use super::block::Block;
use super::gemm::{View, gemm, product};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Precision of an encoder layer's products with its weights. Weights, activations and sums are f32
/// either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    #[default]
    F32,
    /// Rounds the inputs of products to bfloat16: about twice the speed on CPUs with AVX-512 BF16.
    Bf16,
    /// Rounds them to f16, for GPUs without bfloat16. No kernel does. A config of training cannot
    /// name it: small gradients would vanish, as no loss is scaled up.
    #[serde(skip_deserializing)]
    F16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        })
    }
}

impl Precision {
    /// Returns whether this CPU has the instructions. Without them, products are computed in f32.
    pub fn is_supported(self) -> bool {
        match self {
            Precision::F32 => true,
            #[cfg(target_arch = "x86_64")]
            Precision::Bf16 => HasBf16::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Precision::Bf16 => false,
            Precision::F16 => false,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn bf16(self) -> Option<HasBf16> {
        if self == Precision::Bf16 { HasBf16::detect() } else { None }
    }

    /// C := A·B, or C += A·B; `k` is the inner length.
    pub(super) fn gemm(self, c: Block, k: usize, a: View, b: View, accumulate: bool) {
        #[cfg(target_arch = "x86_64")]
        if let (Some(cpu), true) = (self.bf16(), k > 0) {
            return bf16::gemm(cpu, c, k, a, b, accumulate);
        }
        gemm(c, k, a, b, accumulate);
    }

    /// Prepares the right side `[k, n]` of products once. Neither k nor n is 0.
    pub(super) fn right(self, b: View<'_>, [k, n]: [usize; 2]) -> Right<'_> {
        #[cfg(target_arch = "x86_64")]
        if let Some(cpu) = self.bf16() {
            return Right::Bf16(bf16::Panels::new(cpu, n, k, b));
        }
        Right::F32 { b, k, n }
    }
}

/// The right side of products, for use on the calling thread.
pub(super) enum Right<'a> {
    F32 {
        b: View<'a>,
        k: usize,
        n: usize,
    },
    #[cfg(target_arch = "x86_64")]
    Bf16(bf16::Panels),
}

impl Right<'_> {
    /// C += A·B. A is row-major `[m, k]`, C `[m, n]`.
    pub(super) fn add_product(&self, a: &[f32], c: &mut [f32]) {
        match self {
            Right::F32 { b, k, n } => {
                product(Block::of(c, *n), *k, View::rows(a, *k), *b, true);
            }
            #[cfg(target_arch = "x86_64")]
            Right::Bf16(panels) => panels.add_product(a, c),
        }
    }
}
