//! Packs both sides of a product in bfloat16, two values along the inner dimension per u32.

use super::{COLS, HasBf16};
use crate::gemm::View;
use crate::simd::simd;
use rayon::prelude::*;
use std::arch::x86_64::*;

/// Columns of the right side packed together if they are contiguous.
const LINES: usize = 16;

/// Rounds f32 to bfloat16, ties to even. The NaN that arithmetic produces stays NaN; another may
/// become infinite or zero.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16
}

#[inline(always)]
fn pair(low: f32, high: f32) -> u32 {
    round(low) | (round(high) << 16)
}

/// The left side of a product. Pair p of row r is at r · `row_stride` + p · `pair_stride`.
pub struct Left {
    cpu: HasBf16,
    pub pairs: Vec<u32>,
    pub row_stride: usize,
    pub pair_stride: usize,
}

impl Left {
    pub fn new(cpu: HasBf16) -> Self {
        Self { cpu, pairs: Vec::new(), row_stride: 0, pair_stride: 0 }
    }

    /// Packs rows `first..first + rows` of A in their memory order.
    pub fn pack(&mut self, first: usize, rows: usize, k: usize, a: View) {
        let pairs = k.div_ceil(2);
        self.pairs.resize(rows * pairs, 0);
        if a.is_transposed() {
            (self.row_stride, self.pair_stride) = (1, rows);
            let column = |k: usize| a.skip_rows(first).line(k, rows);
            for (p, to) in self.pairs.chunks_exact_mut(rows).enumerate() {
                pack_two(column(2 * p), (2 * p + 1 < k).then(|| column(2 * p + 1)), to);
            }
        } else {
            (self.row_stride, self.pair_stride) = (pairs, 1);
            for (r, to) in self.pairs.chunks_exact_mut(pairs).enumerate() {
                pack_line(self.cpu, a.line(first + r, k), to);
            }
        }
    }

    /// Returns whether this has the size that [`Left::pack`] gives `rows` rows of `k` values.
    pub fn fits(&self, rows: usize, k: usize) -> bool {
        self.pairs.len() == rows * k.div_ceil(2)
    }
}

/// Packs B as panels of 64 columns, each `[pairs, 64]`, with zeros in the columns beyond `n`.
pub fn pack_columns(cpu: HasBf16, n: usize, k: usize, b: View) -> Vec<u32> {
    let pairs = k.div_ceil(2);
    let mut panels = vec![0u32; n.div_ceil(COLS) * pairs * COLS];
    panels.par_chunks_exact_mut(pairs * COLS).enumerate().for_each(|(panel, to)| {
        let cols = COLS.min(n - panel * COLS);
        if b.is_transposed() {
            pack_across(cpu, [cols, k], b.skip_cols(panel * COLS), to);
        } else {
            let b = b.skip_cols(panel * COLS);
            for (p, to) in to.chunks_exact_mut(COLS).enumerate() {
                let row = |k: usize| b.line(k, cols);
                pack_two(row(2 * p), (2 * p + 1 < k).then(|| row(2 * p + 1)), &mut to[..cols]);
            }
        }
    });
    panels
}

/// Packs a panel of B whose columns are contiguous along k: a few columns, then those side by side.
fn pack_across(cpu: HasBf16, [cols, k]: [usize; 2], b: View, to: &mut [u32]) {
    let pairs = k.div_ceil(2);
    let mut lines = vec![0u32; LINES * pairs];
    for first in (0..cols).step_by(LINES) {
        let count = LINES.min(cols - first);
        for (col, line) in lines.chunks_exact_mut(pairs).enumerate().take(count) {
            pack_line(cpu, b.line(first + col, k), line);
        }
        for (p, to) in to.chunks_exact_mut(COLS).enumerate() {
            let to = to[first..first + count].iter_mut().enumerate();
            to.for_each(|(col, to)| *to = lines[col * pairs + p]);
        }
    }
}

/// Packs one row as pairs along itself.
fn pack_line(_cpu: HasBf16, from: &[f32], to: &mut [u32]) {
    let (many, rest) = from.as_chunks::<32>();
    for (from, to) in many.iter().zip(to.as_chunks_mut::<16>().0) {
        // SAFETY: `HasBf16` exists only where the CPU has these features.
        unsafe { pack_32(from, to) };
    }
    for (from, to) in rest.chunks(2).zip(&mut to[many.len() * 16..]) {
        *to = pair(from[0], from.get(1).copied().unwrap_or(0.0));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn pack_32(from: &[f32; 32], to: &mut [u32; 16]) {
    // SAFETY: two registers are read, which is all of `from`, and one is written, all of `to`. Both
    // types of register have the same bits.
    unsafe {
        let halves = [_mm512_loadu_ps(from.as_ptr()), _mm512_loadu_ps(from.as_ptr().add(16))];
        let packed =
            std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(halves[1], halves[0]));
        _mm512_storeu_si512(to.as_mut_ptr().cast(), packed);
    }
}

/// Packs two rows as pairs, column by column. A missing second row counts as zeros.
fn pack_two(low: &[f32], high: Option<&[f32]>, to: &mut [u32]) {
    match high {
        Some(high) => interleave(low, high, to),
        None => to.iter_mut().zip(low).for_each(|(to, low)| *to = pair(*low, 0.0)),
    }
}

simd! {
    fn interleave(low: &[f32], high: &[f32], to: &mut [u32]) {
        let _ = FMA;
        for ((to, low), high) in to.iter_mut().zip(low).zip(high) {
            *to = pair(*low, *high);
        }
    }
}
