//! Sums over the rows of a matrix, in a fixed order: the gradients of biases and of norms.

use super::device::{columns, empty, flat};
use super::lanes::{LANES, ROWS, shape, sum_of_rows};
use burn::tensor::Shape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Rows that one cube adds up.
const STRETCH: usize = 256;

/// Returns the sums over the rows of `a`, `[columns]`, or of its products with `b`.
pub fn sums(a: CubeTensor, b: CubeTensor, is_product: bool) -> CubeTensor {
    let (mut a, b) = (flat(a), flat(b));
    let columns = columns(&a);
    let mut rows = a.meta.num_elements() / columns;
    a = added(a, b.clone(), [rows, columns], is_product);
    rows = rows.div_ceil(STRETCH);
    while rows > 1 {
        a = added(a, b.clone(), [rows, columns], false);
        rows = rows.div_ceil(STRETCH);
    }
    let shape = Shape::new([columns]);
    CubeTensor::new_contiguous(a.client, a.device, shape, a.handle, a.dtype)
}

/// The sums of every [`STRETCH`] rows.
fn added(
    a: CubeTensor,
    b: CubeTensor,
    [rows, columns]: [usize; 2],
    is_product: bool,
) -> CubeTensor {
    let stretches = rows.div_ceil(STRETCH).max(1);
    let out = empty(&a, Shape::new([stretches, columns]));
    let client = a.client.clone();
    let dim = shape(&client);
    let count = CubeCount::Static((columns as u32).div_ceil(dim.x), stretches as u32, 1);
    sums_kernel::launch(
        &client,
        count,
        dim,
        a.into_tensor_arg(),
        b.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        rows,
        columns,
        is_product,
    );
    out
}

#[cube(launch)]
fn sums_kernel(
    a: &Tensor<f32>,
    b: &Tensor<f32>,
    out: &mut Tensor<f32>,
    rows: usize,
    columns: usize,
    #[comptime] is_product: bool,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let lane = UNIT_POS_X as usize;
    let column = CUBE_POS_X as usize * CUBE_DIM_X as usize + lane;
    let stretch = CUBE_POS_Y as usize;
    let end = min(stretch * STRETCH + STRETCH, rows);
    let mut total = f32::new(0.0);
    if column < columns {
        let mut row = stretch * STRETCH + UNIT_POS_Y as usize;
        while row < end {
            let at = row * columns + column;
            if is_product {
                total += a[at] * b[at];
            } else {
                total += a[at];
            }
            row += CUBE_DIM_Y as usize;
        }
    }
    let all = sum_of_rows(total, &mut shared);
    if UNIT_POS_Y == 0 && column < columns {
        out[stretch * columns + column] = all;
    }
}
