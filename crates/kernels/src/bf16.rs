//! Matrix products in bfloat16 with f32 accumulation (`vdpbf16ps`), for CPUs that have AVX-512
//! BF16.
//!
//! Both sides are packed: the right one, once for all rows, into panels of 64 columns whose rows
//! are interleaved in pairs, the left one into rows of pairs. Packing costs a few percent of the
//! product and doubles its speed.

use super::gemm::{Shared, View};
use rayon::prelude::*;
use std::arch::x86_64::*;
use std::sync::OnceLock;

/// Rows of C that one kernel call computes, and columns: 6 × 4 registers of accumulators.
const ROWS: usize = 6;
const COLS: usize = 64;
/// Pairs along the inner dimension that are multiplied before moving on: a panel of 256 KiB stays
/// in the L2 cache.
const PAIRS: usize = 1024;
/// Columns of the right side that are packed together where they are contiguous.
const LINES: usize = 16;
/// Rows of the left side that one task packs and multiplies.
const TASK_ROWS: usize = 96;

/// Whether this CPU has bfloat16 dot products.
pub fn is_supported() -> bool {
    static SUPPORTED: OnceLock<bool> = OnceLock::new();
    *SUPPORTED.get_or_init(|| {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bf16")
    })
}

/// f32 to bfloat16, ties to even; no NaN comes here.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    (bits + 0x7fff + ((bits >> 16) & 1)) >> 16
}

#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    round(low) | (round(high) << 16)
}

/// C := A·B, or C += A·B, as [`super::gemm::gemm`], with the inputs rounded to bfloat16.
///
/// # Panics
/// Where the CPU lacks the instructions: ask [`is_supported`] first.
pub fn gemm(m: usize, n: usize, k: usize, c: &mut [f32], a: View, b: View, accumulate: bool) {
    assert_eq!(c.len(), m * n);
    let right = Panels::new(n, k, b);
    c.par_chunks_mut(TASK_ROWS * n).enumerate().for_each_init(Left::default, |left, (task, c)| {
        left.pack(task * TASK_ROWS, c.len() / n, k, a);
        right.multiply(left, c, accumulate);
    });
}

/// The left side of a product: pair p of row r stands at r · `row_stride` + p · `pair_stride`.
#[derive(Default)]
struct Left {
    pairs: Vec<u32>,
    row_stride: usize,
    pair_stride: usize,
}

impl Left {
    /// Packs rows `first..first + rows` of A in the order in which they lie in memory.
    fn pack(&mut self, first: usize, rows: usize, k: usize, a: View) {
        let pairs = k.div_ceil(2);
        self.pairs.resize(rows * pairs, 0);
        if a.col_stride == 1 {
            (self.row_stride, self.pair_stride) = (pairs, 1);
            for (r, to) in self.pairs.chunks_exact_mut(pairs).enumerate() {
                pack_line(&a.data[(first + r) * a.row_stride..][..k], to);
            }
        } else {
            (self.row_stride, self.pair_stride) = (1, rows);
            let column = |k: usize| &a.data[k * a.col_stride + first * a.row_stride..][..rows];
            for (p, to) in self.pairs.chunks_exact_mut(rows).enumerate() {
                pack_two(column(2 * p), (2 * p + 1 < k).then(|| column(2 * p + 1)), to);
            }
        }
    }
}

/// The right side of a product: panels of 64 columns, each `[pairs, 64]`; columns beyond `n` are
/// zero.
pub struct Panels {
    panels: Vec<u32>,
    n: usize,
    k: usize,
}

impl Panels {
    /// Packs B, `[k, n]`.
    ///
    /// # Panics
    /// Where the CPU lacks the instructions: ask [`is_supported`] first.
    pub fn new(n: usize, k: usize, b: View) -> Self {
        assert!(is_supported(), "the caller has asked whether bfloat16 is supported");
        Self { panels: pack_columns(n, k, b), n, k }
    }

    /// C += A·B on the calling thread; A is row-major `[m, k]`, C `[m, n]`.
    pub fn add_product(&self, a: &[f32], c: &mut [f32]) {
        let mut left = Left::default();
        for (a, c) in a.chunks(TASK_ROWS * self.k).zip(c.chunks_mut(TASK_ROWS * self.n)) {
            left.pack(0, c.len() / self.n, self.k, View::rows(a, self.k));
            self.multiply(&left, c, true);
        }
    }

    /// C := A·B, or C += A·B, with as many packed rows in `left` as C has.
    fn multiply(&self, left: &Left, c: &mut [f32], accumulate: bool) {
        let (n, pairs, rows) = (self.n, self.k.div_ceil(2), c.len() / self.n);
        let target = Shared::new(c);
        for start in (0..pairs).step_by(PAIRS) {
            let depth = PAIRS.min(pairs - start);
            for (panel, right) in self.panels.chunks_exact(pairs * COLS).enumerate() {
                let cols = COLS.min(n - panel * COLS);
                for row in (0..rows).step_by(ROWS) {
                    let tile = Tile {
                        left: &left.pairs[row * left.row_stride + start * left.pair_stride..],
                        row_stride: left.row_stride,
                        pair_stride: left.pair_stride,
                        right: &right[start * COLS..(start + depth) * COLS],
                        rows: ROWS.min(rows - row),
                        cols,
                        add: accumulate || start > 0,
                    };
                    // SAFETY: C is borrowed for writing; the CPU was checked when B was packed.
                    unsafe { tile.multiply(target.at(row * n + panel * COLS), n) };
                }
            }
        }
    }
}

/// One block of C.
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
    /// The CPU has AVX-512 BF16, and `c` is valid for this tile's rows, `c_stride` apart.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn multiply(&self, c: *mut f32, c_stride: usize) {
        let mut sums = [[_mm512_setzero_ps(); COLS / 16]; ROWS];
        // The last rows of a task may be fewer: those above are computed from the last one again
        // and not stored.
        let row = |r: usize| self.left[r.min(self.rows - 1) * self.row_stride..].as_ptr();
        let rows: [*const u32; ROWS] = std::array::from_fn(row);
        for (p, columns) in self.right.chunks_exact(COLS).enumerate() {
            // SAFETY: a chunk is four registers long; every row has as many pairs as there are
            // chunks.
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
                // SAFETY: the mask keeps to the columns of C.
                unsafe {
                    let at = c.add(r * c_stride + j * 16);
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

/// Packs B as panels of 64 columns, each `[pairs, 64]`; columns beyond `n` are zero.
fn pack_columns(n: usize, k: usize, b: View) -> Vec<u32> {
    let pairs = k.div_ceil(2);
    let mut panels = vec![0u32; n.div_ceil(COLS) * pairs * COLS];
    panels.par_chunks_exact_mut(pairs * COLS).enumerate().for_each(|(panel, to)| {
        let cols = COLS.min(n - panel * COLS);
        if b.col_stride == 1 {
            for (p, to) in to.chunks_exact_mut(COLS).enumerate() {
                let row = |k: usize| &b.data[k * b.row_stride + panel * COLS..][..cols];
                pack_two(row(2 * p), (2 * p + 1 < k).then(|| row(2 * p + 1)), &mut to[..cols]);
            }
        } else {
            pack_across(cols, k, panel, b, to);
        }
    });
    panels
}

/// Packs a panel of B whose columns are contiguous along k: a few of them, then those side by side.
fn pack_across(cols: usize, k: usize, panel: usize, b: View, to: &mut [u32]) {
    let pairs = k.div_ceil(2);
    let mut lines = vec![0u32; LINES * pairs];
    for first in (0..cols).step_by(LINES) {
        let count = LINES.min(cols - first);
        for (col, line) in lines.chunks_exact_mut(pairs).enumerate().take(count) {
            pack_line(&b.data[(panel * COLS + first + col) * b.col_stride..][..k], line);
        }
        for (p, to) in to.chunks_exact_mut(COLS).enumerate() {
            let to = to[first..first + count].iter_mut().enumerate();
            to.for_each(|(col, to)| *to = lines[col * pairs + p]);
        }
    }
}

/// One row to pairs along itself.
fn pack_line(from: &[f32], to: &mut [u32]) {
    let (many, rest) = from.as_chunks::<32>();
    for (from, to) in many.iter().zip(to.as_chunks_mut::<16>().0) {
        // SAFETY: both sides hold as much as is read and written; the caller has asked whether
        // bfloat16 is supported.
        unsafe { pack_32(from, to) };
    }
    for (from, to) in rest.chunks(2).zip(&mut to[many.len() * 16..]) {
        *to = pair(from[0], from.get(1).copied().unwrap_or(0.0));
    }
}

/// # Safety
/// The CPU has AVX-512 BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn pack_32(from: &[f32; 32], to: &mut [u32; 16]) {
    // SAFETY: two registers are read and one is written.
    unsafe {
        let halves = [_mm512_loadu_ps(from.as_ptr()), _mm512_loadu_ps(from.as_ptr().add(16))];
        let packed =
            std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(halves[1], halves[0]));
        _mm512_storeu_si512(to.as_mut_ptr().cast(), packed);
    }
}

/// Two rows to pairs, column by column; without a second one, it counts as zeros.
fn pack_two(low: &[f32], high: Option<&[f32]>, to: &mut [u32]) {
    match high {
        Some(high) => interleave(low, high, to),
        None => to.iter_mut().zip(low).for_each(|(to, low)| *to = pair(*low, 0.0)),
    }
}

super::simd::simd! {
    fn interleave(low: &[f32], high: &[f32], to: &mut [u32]) {
        let _ = FMA;
        for ((to, low), high) in to.iter_mut().zip(low).zip(high) {
            *to = pair(*low, *high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm;

    #[test]
    fn products_are_those_of_f32_to_bfloat16_precision() {
        if !is_supported() {
            return;
        }
        let numbers = |len: usize, salt: usize| -> Vec<f32> {
            (0..len).map(|i| ((i * 7919 + salt * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
        };
        for [m, n, k] in [[1, 1, 1], [6, 64, 2], [97, 384, 385], [130, 33, 2100], [7, 100, 64]] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            for (a_transposed, b_transposed, accumulate) in
                [(false, false, false), (true, false, true), (false, true, true)]
            {
                let a =
                    if a_transposed { View::rows(&a, m).transposed() } else { View::rows(&a, k) };
                let b =
                    if b_transposed { View::rows(&b, k).transposed() } else { View::rows(&b, n) };
                let (mut exact, mut rounded) = (numbers(m * n, 3), numbers(m * n, 3));
                gemm::gemm(m, n, k, &mut exact, a, b, accumulate);
                super::gemm(m, n, k, &mut rounded, a, b, accumulate);
                if accumulate && !a_transposed {
                    let mut by_block = numbers(m * n, 3);
                    Panels::new(n, k, b).add_product(a.data, &mut by_block);
                    assert_eq!(by_block, rounded);
                }
                // Each product errs by 2⁻⁸ at most; their errors add up like a random walk.
                let tolerance = 2f32.powi(-8) * 2.0 * (k as f32).sqrt();
                for (exact, rounded) in exact.iter().zip(&rounded) {
                    assert!(
                        (exact - rounded).abs() < tolerance,
                        "[{m}, {n}, {k}]: {exact} {rounded}"
                    );
                }
            }
        }
    }
}
