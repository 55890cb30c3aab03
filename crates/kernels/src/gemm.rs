//! Matrix products over slices, split by rows or columns of the result over rayon's threads.

use super::block::Block;
use rayon::prelude::*;

/// Tasks per thread. A few of them let other threads take over from one that is busy elsewhere.
const TASKS: usize = 4;
/// Fewest rows or columns per task, unless threads would idle. Each task packs the other side anew,
/// so small tasks are costly.
const LEAST: usize = 384;

/// Returns how many of `total` rows or columns a task gets. All threads get as many tasks, so that
/// none waits for the last.
pub fn share(total: usize, multiple: usize) -> usize {
    let threads = rayon::current_num_threads();
    let tasks = (total / (threads * LEAST)).clamp(1, TASKS) * threads;
    total.div_ceil(tasks).max(1).next_multiple_of(multiple)
}

/// A matrix in a slice. Its rows (its columns, if transposed) lie `stride` values apart.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    stride: usize,
    is_transposed: bool,
}

impl<'a> View<'a> {
    /// Rows of `stride` values each, of which a product may use fewer.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self { data, stride, is_transposed: false }
    }

    pub fn transposed(self) -> Self {
        Self { is_transposed: !self.is_transposed, ..self }
    }

    pub fn is_transposed(&self) -> bool {
        self.is_transposed
    }

    /// Returns the strides (from row to row, from column to column).
    fn strides(&self) -> (usize, usize) {
        if self.is_transposed { (1, self.stride) } else { (self.stride, 1) }
    }

    /// Returns the rows from `row` on.
    pub fn skip_rows(self, row: usize) -> Self {
        self.skip(row * self.strides().0)
    }

    /// Returns the columns from `col` on.
    pub fn skip_cols(self, col: usize) -> Self {
        self.skip(col * self.strides().1)
    }

    fn skip(self, start: usize) -> Self {
        Self { data: self.data.get(start..).unwrap_or_default(), ..self }
    }

    /// Returns the first `count` values of row `line`, or of column `line` of a transposed view.
    pub fn line(&self, line: usize, count: usize) -> &'a [f32] {
        &self.data[line * self.stride..][..count]
    }

    /// # Panics
    /// If the slice has too few values for that many rows and columns.
    fn check(&self, rows: usize, cols: usize) {
        if rows == 0 || cols == 0 {
            return;
        }
        let (row, col) = self.strides();
        let last = (rows - 1).saturating_mul(row).saturating_add((cols - 1).saturating_mul(col));
        assert!(
            last < self.data.len(),
            "a [{rows}, {cols}] matrix, {row} and {col} apart, in {} values",
            self.data.len()
        );
    }
}

/// C := A·B, or C += A·B, on the calling thread; `k` is the inner length. Returns C.
///
/// # Panics
/// If A or B is too small, or C is unwritten and to be added to.
pub fn product<'c>(mut c: Block<'c>, k: usize, a: View, b: View, accumulate: bool) -> Block<'c> {
    let (m, n) = (c.rows(), c.cols());
    a.check(m, k);
    b.check(k, n);
    assert!(c.is_written() || !accumulate, "a sum begins with values");
    let s = |stride: usize| stride as isize;
    let ((a_row, a_col), (b_row, b_col)) = (a.strides(), b.strides());
    // SAFETY: A holds [m, k] values at its strides and B [k, n], as checked above. The block has
    // sole access to [m, n] values, `stride` apart. `gemm` reads C only where `accumulate` is set,
    // and writes all of it otherwise, also for k = 0.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            s(c.stride()),
            accumulate,
            a.data.as_ptr(),
            s(a_col),
            s(a_row),
            b.data.as_ptr(),
            s(b_col),
            s(b_row),
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
        c.assume_written()
    }
}

/// C := A·B, or C += A·B; `k` is the inner length.
///
/// # Panics
/// Like [`product`].
pub fn gemm(c: Block, k: usize, a: View, b: View, accumulate: bool) {
    let (m, n) = (c.rows(), c.cols());
    a.check(m, k);
    b.check(k, n);
    if m >= n {
        let rows = share(m, 12);
        c.row_chunks(rows).into_par_iter().enumerate().for_each(|(part, c)| {
            product(c, k, a.skip_rows(part * rows), b, accumulate);
        });
    } else {
        let cols = share(n, 64);
        c.col_chunks(cols).into_par_iter().enumerate().for_each(|(part, c)| {
            product(c, k, a, b.skip_cols(part * cols), accumulate);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Growing;
    use crate::reference::numbers;

    fn naive([m, n, k]: [usize; 3], at: impl Fn(usize, usize, usize) -> f32) -> Vec<f64> {
        let cell = |i: usize, j: usize| (0..k).map(|l| f64::from(at(i, j, l))).sum();
        (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| cell(i, j)).collect()
    }

    #[test]
    fn products_are_the_sums_that_they_stand_for() {
        for [m, n, k] in [[1, 1, 1], [3, 5, 7], [97, 40, 33], [2, 900, 65], [900, 2, 1], [4, 4, 0]]
        {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let row_major = [View::rows(&a, k), View::rows(&b, n)];
            let [left, right] = [View::rows(&a, m), View::rows(&b, k)].map(View::transposed);
            let exact = naive([m, n, k], |i, j, l| a[i * k + l] * b[l * n + j]);
            let turned = naive([m, n, k], |i, j, l| a[l * m + i] * b[j * k + l]);
            for ([a, b], exact) in [(row_major, exact), ([left, right], turned)] {
                let mut c = Growing::new(m, n);
                gemm(c.block(), k, a, b, false);
                let once = c.finish();
                let mut twice = once.clone();
                gemm(Block::of(&mut twice, n), k, a, b, true);
                for ((exact, once), twice) in exact.iter().zip(&once).zip(&twice) {
                    // Sums of 65 products of numbers up to 1.
                    assert!((exact - f64::from(*once)).abs() < 1e-5, "{exact} {once}");
                    assert!((2.0 * exact - f64::from(*twice)).abs() < 2e-5, "{exact} {twice}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a [4, 5] matrix, 5 and 1 apart, in 19 values")]
    fn a_side_that_is_too_small_is_refused() {
        let (a, b) = (numbers(19, 1), numbers(5, 2));
        gemm(Growing::new(4, 1).block(), 5, View::rows(&a, 5), View::rows(&b, 1), false);
    }

    #[test]
    #[should_panic(expected = "matrix")]
    fn sizes_that_overflow_are_refused() {
        let (a, b) = (numbers(4, 1), numbers(4, 2));
        let a = View::rows(&a, usize::MAX / 2);
        product(Growing::new(4, 1).block(), 1, a, View::rows(&b, 1), false);
    }

    #[test]
    #[should_panic(expected = "a sum begins with values")]
    fn nothing_is_added_to_what_was_not_written() {
        let (a, b) = (numbers(4, 1), numbers(4, 2));
        product(Growing::new(2, 2).block(), 2, View::rows(&a, 2), View::rows(&b, 2), true);
    }
}
