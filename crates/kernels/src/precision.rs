use super::gemm::{View, add_product, gemm};
use serde::{Deserialize, Serialize};

/// How the large matrix products of the fused layer are computed. Weights, activations and sums are
/// f32 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    #[default]
    F32,
    /// Inputs of a product rounded to bfloat16: about twice the speed, for CPUs with AVX-512 BF16.
    Bf16,
}

impl Precision {
    /// Whether this CPU has the instructions.
    pub fn is_supported(self) -> bool {
        match self {
            Precision::F32 => true,
            #[cfg(target_arch = "x86_64")]
            Precision::Bf16 => super::bf16::is_supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Precision::Bf16 => false,
        }
    }

    /// C := A·B, or C += A·B; C is row-major `[m, n]`.
    pub(super) fn gemm(
        self,
        [m, n, k]: [usize; 3],
        c: &mut [f32],
        a: View,
        b: View,
        accumulate: bool,
    ) {
        #[cfg(target_arch = "x86_64")]
        if self == Precision::Bf16 && self.is_supported() {
            return super::bf16::gemm(m, n, k, c, a, b, accumulate);
        }
        gemm(m, n, k, c, a, b, accumulate);
    }

    /// The right side `[k, n]` of products, made ready once.
    pub(super) fn right(self, b: View<'_>, [k, n]: [usize; 2]) -> Right<'_> {
        #[cfg(target_arch = "x86_64")]
        if self == Precision::Bf16 && self.is_supported() {
            return Right::Bf16(super::bf16::Panels::new(n, k, b));
        }
        Right::F32 { b, k, n }
    }
}

/// The right side of products on the calling thread.
pub(super) enum Right<'a> {
    F32 {
        b: View<'a>,
        k: usize,
        n: usize,
    },
    #[cfg(target_arch = "x86_64")]
    Bf16(super::bf16::Panels),
}

impl Right<'_> {
    /// C += A·B; A is row-major `[m, k]`, C `[m, n]`.
    pub(super) fn add_product(&self, a: &[f32], c: &mut [f32]) {
        match self {
            Right::F32 { b, k, n } => add_product(*b, [*k, *n], a, c),
            #[cfg(target_arch = "x86_64")]
            Right::Bf16(panels) => panels.add_product(a, c),
        }
    }
}
