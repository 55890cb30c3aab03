//! Matrix products over slices, split over rayon's threads by rows or columns of the result.

use rayon::prelude::*;

/// Tasks for each thread: a few, so that one whose core is busy with something else leaves work to
/// the others.
const TASKS: usize = 4;
/// Rows or columns of a task at least, unless threads would go without: each task packs the other
/// side anew.
const LEAST: usize = 384;

/// How many of `total` rows or columns a task has: as many tasks for each thread, so that none
/// waits for the last.
pub fn share(total: usize, multiple: usize) -> usize {
    let threads = rayon::current_num_threads();
    let tasks = (total / (threads * LEAST)).clamp(1, TASKS) * threads;
    total.div_ceil(tasks).next_multiple_of(multiple)
}

/// A matrix in a slice: strides in elements.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub data: &'a [f32],
    pub row_stride: usize,
    pub col_stride: usize,
}

impl<'a> View<'a> {
    /// Row-major with `cols` columns.
    pub fn rows(data: &'a [f32], cols: usize) -> Self {
        Self { data, row_stride: cols, col_stride: 1 }
    }

    pub fn transposed(self) -> Self {
        Self { data: self.data, row_stride: self.col_stride, col_stride: self.row_stride }
    }

    fn offset(&self, row: usize, col: usize) -> *const f32 {
        let index = row * self.row_stride + col * self.col_stride;
        debug_assert!(index <= self.data.len());
        // SAFETY: the index is inside the slice (or one past it, for empty results).
        unsafe { self.data.as_ptr().add(index) }
    }

    fn check(&self, rows: usize, cols: usize) {
        assert!(
            (rows - 1) * self.row_stride + (cols - 1) * self.col_stride < self.data.len(),
            "view out of bounds"
        );
    }
}

/// A pointer that several threads write through, each to rows and columns of its own.
#[derive(Clone, Copy)]
pub struct Shared(*mut f32);

// SAFETY: every user splits the target into disjoint parts before it writes.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Shared {
    pub fn new(target: &mut [f32]) -> Self {
        Self(target.as_mut_ptr())
    }

    /// # Safety
    /// `index` must lie in the slice that this was made from.
    pub unsafe fn at(self, index: usize) -> *mut f32 {
        unsafe { self.0.add(index) }
    }
}

/// C := A·B (+ C), on the calling thread. `m, n, k` are the rows and columns of C and the inner
/// length.
///
/// # Safety
/// `c` must be valid for `m` rows of `n` values, `c_stride` apart, that no other thread touches
/// meanwhile.
pub unsafe fn gemm_one(
    [m, n, k]: [usize; 3],
    c: *mut f32,
    c_stride: usize,
    a: (*const f32, usize, usize),
    b: (*const f32, usize, usize),
    accumulate: bool,
) {
    let s = |stride: usize| stride as isize;
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c,
            1,
            s(c_stride),
            accumulate,
            a.0,
            s(a.2),
            s(a.1),
            b.0,
            s(b.2),
            s(b.1),
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// C += A·B on the calling thread; A is row-major `[m, k]`, B `[k, n]`, C row-major `[m, n]`.
pub fn add_product(b: View, [k, n]: [usize; 2], a: &[f32], c: &mut [f32]) {
    let m = c.len() / n;
    assert!(c.len() == m * n && a.len() == m * k, "the sides of a product fit");
    b.check(k, n);
    let right = (b.offset(0, 0), b.row_stride, b.col_stride);
    // SAFETY: C is borrowed for writing, and the lengths of A and C were checked.
    unsafe { gemm_one([m, n, k], c.as_mut_ptr(), n, (a.as_ptr(), k, 1), right, true) };
}

/// C := A·B, or C += A·B; C is row-major `[m, n]`.
pub fn gemm(m: usize, n: usize, k: usize, c: &mut [f32], a: View, b: View, accumulate: bool) {
    if m == 0 || n == 0 {
        return;
    }
    assert_eq!(c.len(), m * n);
    a.check(m, k);
    b.check(k, n);
    let target = Shared::new(c);
    if m >= n {
        let rows = share(m, 12);
        (0..m.div_ceil(rows)).into_par_iter().for_each(|part| {
            let first = part * rows;
            let left = (a.offset(first, 0), a.row_stride, a.col_stride);
            let right = (b.offset(0, 0), b.row_stride, b.col_stride);
            // SAFETY: each part writes its own rows of C.
            unsafe {
                gemm_one(
                    [rows.min(m - first), n, k],
                    target.at(first * n),
                    n,
                    left,
                    right,
                    accumulate,
                )
            };
        });
    } else {
        let cols = share(n, 64);
        (0..n.div_ceil(cols)).into_par_iter().for_each(|part| {
            let first = part * cols;
            let left = (a.offset(0, 0), a.row_stride, a.col_stride);
            let right = (b.offset(0, first), b.row_stride, b.col_stride);
            // SAFETY: each part writes its own columns of C.
            unsafe {
                gemm_one([m, cols.min(n - first), k], target.at(first), n, left, right, accumulate)
            };
        });
    }
}
