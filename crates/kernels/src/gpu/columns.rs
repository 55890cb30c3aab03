//! Sums over the rows of a matrix, in a fixed order: the gradients of biases and of norms, and of
//! products that were added up in parts.

use super::device::{columns, elem, empty, flat};
use super::lanes::{LANES, ROWS, shape, sum_of_rows, threads, width};
use super::thirds::{self, put};
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Rows that one cube adds up where there are many.
const STRETCH: usize = 256;
/// Rows that one cube adds up at most.
pub const MOST_ROWS: usize = 1024;

/// Returns the sums over the rows of `x`, `[columns]`.
pub fn sums(x: CubeTensor) -> CubeTensor {
    let [sums] = split_sums(x);
    sums
}

/// Returns the sums over the rows of `x`, one tensor for each `COUNT`th of the columns.
pub fn split_sums<const COUNT: usize>(x: CubeTensor) -> [CubeTensor; COUNT] {
    let mut x = flat(x);
    let columns = columns(&x);
    let mut rows = x.meta.num_elements() / columns;
    while rows > MOST_ROWS {
        let out = empty(&x, Shape::new([rows.div_ceil(STRETCH), columns]), DType::F32);
        add(&x, std::slice::from_ref(&out), [rows, STRETCH, columns]);
        (x, rows) = (out, rows.div_ceil(STRETCH));
    }
    let out = [(); COUNT].map(|()| empty(&x, Shape::new([columns / COUNT]), DType::F32));
    add(&x, &out, [rows, rows.max(1), columns / COUNT]);
    out
}

/// Adds up every `stretch` rows.
fn add(x: &CubeTensor, out: &[CubeTensor], [rows, stretch, columns_of_part]: [usize; 3]) {
    let (client, columns) = (x.client.clone(), columns(x));
    let dim = shape(&client);
    let stretches = rows.div_ceil(stretch).max(1);
    let count = CubeCount::Static((columns as u32).div_ceil(dim.x), stretches as u32, 1);
    let [first, second, third] = thirds::arguments(out);
    sums_kernel::launch(
        &client,
        count,
        dim,
        x.clone().into_tensor_arg(),
        first,
        second,
        third,
        rows,
        columns,
        stretch,
        columns_of_part,
        elem(x),
    );
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn sums_kernel<T: Float>(
    x: &Tensor<T>,
    first: &mut Tensor<f32>,
    second: &mut Tensor<f32>,
    third: &mut Tensor<f32>,
    rows: usize,
    columns: usize,
    stretch: usize,
    columns_of_part: usize,
    #[define(T)] _dtype: ElemType,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let lane = UNIT_POS_X as usize;
    let column = CUBE_POS_X as usize * CUBE_DIM_X as usize + lane;
    let place = CUBE_POS_Y as usize;
    let end = min(place * stretch + stretch, rows);
    let mut total = f32::new(0.0);
    if column < columns {
        let mut row = place * stretch + UNIT_POS_Y as usize;
        while row < end {
            total += f32::cast_from(x[row * columns + column]);
            row += CUBE_DIM_Y as usize;
        }
    }
    let all = sum_of_rows(total, &mut shared);
    if UNIT_POS_Y == 0 && column < columns {
        let part = column / columns_of_part;
        let at = place * columns + column % columns_of_part;
        put(all, part, at, first, second, third);
    }
}

/// Adds up parts of a matrix, `[parts, rows, columns]`. Returns one tensor for each `COUNT`th of the
/// columns.
pub fn join_parts<const COUNT: usize>(x: CubeTensor) -> [CubeTensor; COUNT] {
    let shape = x.meta.shape().clone();
    let [parts, rows, columns] = [shape[0], shape[1], shape[2]];
    let of_part = columns / COUNT;
    let out = [(); COUNT].map(|()| empty(&x, Shape::new([rows, of_part]), DType::F32));
    let width = width(of_part);
    let (count, dim) = threads(rows * columns / width);
    let client = x.client.clone();
    let [first, second, third] = thirds::arguments(&out);
    join_kernel::launch(
        &client,
        count,
        dim,
        width,
        x.into_tensor_arg(),
        first,
        second,
        third,
        parts,
        rows * columns / width,
        columns / width,
        of_part / width,
    );
    out
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn join_kernel<N: Size>(
    x: &Tensor<Vector<f32, N>>,
    first: &mut Tensor<Vector<f32, N>>,
    second: &mut Tensor<Vector<f32, N>>,
    third: &mut Tensor<Vector<f32, N>>,
    parts: usize,
    vectors: usize,
    columns: usize,
    columns_of_part: usize,
) {
    if ABSOLUTE_POS < vectors {
        let mut all = x[ABSOLUTE_POS];
        for part in 1..parts {
            all += x[part * vectors + ABSOLUTE_POS];
        }
        let column = ABSOLUTE_POS % columns;
        let part = column / columns_of_part;
        let at = (ABSOLUTE_POS / columns) * columns_of_part + column % columns_of_part;
        put(all, part, at, first, second, third);
    }
}
