//! Dot products of many vectors at once.

use gemm::{Parallelism, gemm};

/// Puts the dot product of every row of `left` with every row of `right` into `products`. All three
/// are row-major: `[rows, hidden]`, `[columns, hidden]` and `[rows, columns]`.
pub fn dot_products(left: &[f32], right: &[f32], hidden: usize, products: &mut [f32]) {
    let (rows, columns) = (left.len() / hidden, right.len() / hidden);
    assert_eq!(left.len(), rows * hidden);
    assert_eq!(right.len(), columns * hidden);
    assert_eq!(products.len(), rows * columns);
    let (row_stride, product_stride) = (hidden as isize, columns as isize);
    // SAFETY: gemm touches element (i, j) of a matrix at `i * row stride + j * column stride`:
    // - `products`, i < rows, j < columns, at `i * columns + j`, at most `rows * columns - 1`;
    // - `left`, i < rows, j < hidden, at `i * hidden + j`, at most `rows * hidden - 1`;
    // - `right`, transposed, i < hidden, j < columns, at `j * hidden + i`, at most
    //   `columns * hidden - 1`.
    // The assertions above say that the slices are that long. All elements are initialised f32, and
    // `products` is borrowed mutably, so that it overlaps neither of the others. gemm finds out
    // itself which instructions the CPU has.
    unsafe {
        gemm(
            rows,
            columns,
            hidden,
            products.as_mut_ptr(),
            1,
            product_stride,
            false,
            left.as_ptr(),
            1,
            row_stride,
            right.as_ptr(),
            row_stride,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
