//! Matrix products in bfloat16 with f32 accumulation (`vdpbf16ps`), for CPUs with AVX-512 BF16.
//!
//! Both sides are packed. The right one goes, once for all rows, into panels of 64 columns whose
//! rows are interleaved in pairs; the left one into rows of pairs. Packing costs a few percent of
//! the product and doubles its speed.

mod pack;
#[cfg(test)]
mod tests;

use super::block::Block;
use super::gemm::View;
use pack::{Left, pack_columns};
use rayon::prelude::*;
use std::arch::x86_64::*;
use std::sync::OnceLock;

/// One kernel call computes this many rows and columns of C, in 6 × 4 accumulator registers.
const ROWS: usize = 6;
const COLS: usize = 64;
/// Pairs along the inner dimension per pass, so that a panel of 256 KiB stays in the L2 cache.
const PAIRS: usize = 1024;
/// Rows of the left side packed and multiplied by one task.
const TASK_ROWS: usize = 96;

/// Proves that this CPU has AVX-512 F, BW, VL and BF16, since only [`HasBf16::detect`] makes one.
#[derive(Clone, Copy)]
pub struct HasBf16(());

impl HasBf16 {
    /// Returns None if the CPU lacks any of them.
    pub fn detect() -> Option<Self> {
        static HAS: OnceLock<bool> = OnceLock::new();
        let has = HAS.get_or_init(|| {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bf16")
        });
        has.then_some(Self(()))
    }
}

/// C := A·B, or C += A·B, like [`super::gemm::gemm`], with inputs rounded to bfloat16.
pub fn gemm(cpu: HasBf16, c: Block, k: usize, a: View, b: View, accumulate: bool) {
    let right = Panels::new(cpu, c.cols(), k, b);
    c.row_chunks(TASK_ROWS).into_par_iter().enumerate().for_each_init(
        || Left::new(cpu),
        |left, (task, c)| {
            left.pack(task * TASK_ROWS, c.rows(), k, a);
            right.multiply(left, c, accumulate);
        },
    );
}

/// The right side of a product: panels of 64 columns, each `[pairs, 64]`, with zeros in the columns
/// beyond `n`.
pub struct Panels {
    cpu: HasBf16,
    panels: Vec<u32>,
    n: usize,
    k: usize,
}

impl Panels {
    /// Packs B, `[k, n]`; k is at least 1.
    pub fn new(cpu: HasBf16, n: usize, k: usize, b: View) -> Self {
        Self { cpu, panels: pack_columns(cpu, n, k, b), n, k }
    }

    /// C += A·B on the calling thread. A is row-major `[m, k]`, C `[m, n]`.
    pub fn add_product(&self, a: &[f32], c: &mut [f32]) {
        assert!(a.len() / self.k == c.len() / self.n, "as many rows on both sides");
        let mut left = Left::new(self.cpu);
        for (a, c) in a.chunks(TASK_ROWS * self.k).zip(c.chunks_mut(TASK_ROWS * self.n)) {
            left.pack(0, c.len() / self.n, self.k, View::rows(a, self.k));
            self.multiply(&left, Block::of(c, self.n), true);
        }
    }

    /// C := A·B, or C += A·B. `left` must hold as many packed rows as C.
    fn multiply(&self, left: &Left, c: Block, accumulate: bool) {
        assert!(c.cols() == self.n && left.fits(c.rows(), self.k), "the sides of a product fit");
        assert!(c.is_written() || !accumulate, "a sum begins with values");
        let pairs = self.k.div_ceil(2);
        let mut c = self.multiply_depth(left, 0..PAIRS.min(pairs), c, accumulate);
        for start in (PAIRS..pairs).step_by(PAIRS) {
            c = self.multiply_depth(left, start..pairs.min(start + PAIRS), c, true);
        }
    }

    /// Multiplies a range of the pairs along the inner dimension. Returns C.
    fn multiply_depth<'c>(
        &self,
        left: &Left,
        depth: std::ops::Range<usize>,
        mut c: Block<'c>,
        add: bool,
    ) -> Block<'c> {
        let (rows, stride) = (c.rows(), c.stride());
        let panels = self.panels.chunks_exact(self.k.div_ceil(2) * COLS);
        for (panel, right) in panels.enumerate() {
            let cols = COLS.min(self.n - panel * COLS);
            for row in (0..rows).step_by(ROWS) {
                let tile = Tile {
                    left: &left.pairs[row * left.row_stride + depth.start * left.pair_stride..],
                    row_stride: left.row_stride,
                    pair_stride: left.pair_stride,
                    right: &right[depth.start * COLS..depth.end * COLS],
                    rows: ROWS.min(rows - row),
                    cols,
                    add,
                };
                let at = c.as_mut_ptr().wrapping_add(row * stride + panel * COLS);
                // SAFETY: `cpu` proves the instructions. `row` and `panel` with the tile's rows and
                // columns stay inside C, to which the block has sole access, and which is written
                // where `add` is set, as `multiply` checked.
                unsafe { tile.multiply(at, stride) };
            }
        }
        // SAFETY: the panels cover all columns, and the tiles of each cover all rows.
        unsafe { c.assume_written() }
    }
}

/// One block of C, computed by one kernel call.
struct Tile<'a> {
    left: &'a [u32],
    row_stride: usize,
    pair_stride: usize,
    right: &'a [u32],
    rows: usize,
    cols: usize,
    add: bool,
}

impl Tile<'_> {
    /// # Safety
    /// The CPU has AVX-512 BF16. `c` is valid for writing this tile's rows and columns, the rows
    /// `c_stride` apart, and for reading them with `add`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn multiply(&self, c: *mut f32, c_stride: usize) {
        let depth = self.right.len() / COLS;
        assert!((1..=ROWS).contains(&self.rows) && self.cols <= COLS && depth > 0);
        let last_row = (self.rows - 1).saturating_mul(self.row_stride);
        let last = last_row.saturating_add((depth - 1).saturating_mul(self.pair_stride));
        assert!(last < self.left.len(), "the left side has all pairs");
        let mut sums = [[_mm512_setzero_ps(); COLS / 16]; ROWS];
        // A task's last tile may have fewer rows. The missing ones repeat the last row and are not
        // stored.
        let row = |r: usize| self.left[r.min(self.rows - 1) * self.row_stride..].as_ptr();
        let rows: [*const u32; ROWS] = std::array::from_fn(row);
        for (p, columns) in self.right.chunks_exact(COLS).enumerate() {
            // SAFETY: 64 columns are four registers. `last`, checked above, is the furthest of
            // the pairs read from the left side. Both types of register have the same bits.
            unsafe {
                let b: [__m512bh; COLS / 16] = std::array::from_fn(|j| {
                    std::mem::transmute::<__m512i, __m512bh>(_mm512_loadu_si512(
                        columns.as_ptr().add(j * 16).cast(),
                    ))
                });
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let a = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(
                        *row.add(p * self.pair_stride) as i32,
                    ));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = _mm512_dpbf16_ps(*sum, a, b);
                    }
                }
            }
        }
        for (r, sums) in sums.iter().enumerate().take(self.rows) {
            for (j, sum) in sums.iter().enumerate() {
                let left = self.cols.saturating_sub(j * 16).min(16);
                let mask = ((1u32 << left) - 1) as __mmask16;
                let at = c.wrapping_add(r * c_stride + j * 16);
                // SAFETY: the mask keeps to the tile's columns, `r` to its rows; they may be
                // written, and read with `add`.
                unsafe {
                    let sum = if self.add {
                        _mm512_add_ps(*sum, _mm512_maskz_loadu_ps(mask, at))
                    } else {
                        *sum
                    };
                    _mm512_mask_storeu_ps(at, mask, sum);
                }
            }
        }
    }
}
