//! Products of matrices by kernels that are known to be fast. burn would try out a dozen for each
//! shape, which takes a first run a minute.

use super::columns::join_parts;
use super::device::{columns, elem, empty, shaped};
use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::launch_ref;
use cubek::matmul::multi_level::Strategy;
use cubek::matmul::multi_level::components::tile::TileMatmulKind;
use cubek::matmul::multi_level::routines::batch::ordered_double_buffering::OrderedSelectionArgs;
use cubek::matmul::multi_level::routines::batch::simple::SimpleArgs;
use cubek::matmul::routine::BlueprintStrategy::Inferred;
use cubek::std::InputBinding;

/// Rows that a product over them adds up in one part, at least.
const ROWS_OF_PART: usize = 1024;
/// Parts of such a product, at most.
const MOST_PARTS: usize = 32;

/// Reads a tensor's matrices turned.
pub fn turned(mut x: CubeTensor) -> CubeTensor {
    let last = x.meta.num_dims() - 1;
    x.meta.swap(last - 1, last);
    x
}

/// The product of two matrices, or of each of a batch, stored as `dtype`. Each matrix lies in memory
/// row after row or, turned, column after column.
///
/// # Shapes
/// - lhs: `[.., m, k]`
/// - rhs: `[.., k, n]`
/// - output: `[.., m, n]`
pub fn product(lhs: CubeTensor, rhs: CubeTensor, dtype: DType) -> CubeTensor {
    let mut shape = lhs.meta.shape().clone();
    let last = shape.num_dims() - 1;
    shape[last] = columns(&rhs);
    let out = empty(&lhs, shape, dtype);
    let globals = MatmulGlobalElems { lhs: elem(&lhs), rhs: elem(&rhs), out: elem(&out) };
    let [left, right] = [&lhs, &rhs].map(|x| InputBinding::new(x.clone().binding(), elem(x)));
    let mut elems = MatmulElems::from_globals(&globals);
    let (strategy, to) = (fastest(&lhs, &rhs).into(), out.clone().binding());
    match launch_ref(&strategy, &lhs.client, left, right, to, &mut elems) {
        Ok(()) => out,
        // Without tensor cores, or of a shape that they do not take.
        Err(_) => matmul(lhs, rhs, Some(out), MatmulStrategy::default(), dtype)
            .expect("burn multiplies matrices of any shape"),
    }
}

/// The kernel that was the fastest on an H100 and an H200 for a small transformer's products of this
/// kind.
fn fastest(lhs: &CubeTensor, rhs: &CubeTensor) -> Strategy {
    use TileMatmulKind::{Cmma, Mma};
    let is_turned = |x: &CubeTensor| x.meta.strides()[x.meta.num_dims() - 1] != 1;
    let is_narrow = lhs.dtype != DType::F32;
    let simple = |multi_rows, tile_matmul| SimpleArgs { multi_rows, tile_matmul };
    let ordered = |row_count, tile_matmul| OrderedSelectionArgs {
        partition_k: Some(2),
        row_count: Some(row_count),
        rows_per_plane: Some(2),
        tile_matmul,
    };
    let simple_mma = |multi_rows| Strategy::SimpleCyclicMma(Inferred(simple(multi_rows, Mma)));
    let simple_cmma = |multi_rows| Strategy::SimpleCyclicCmma(Inferred(simple(multi_rows, Cmma)));
    let ordered_mma = |rows| Strategy::OrderedDoubleMma(Inferred(ordered(rows, Mma)));
    let ordered_cmma = || Strategy::OrderedDoubleCmma(Inferred(ordered(8, Cmma)));
    match (lhs.meta.num_dims(), is_turned(lhs), is_turned(rhs), is_narrow) {
        // Of activations and weights, and back.
        (2, _, true, true) => ordered_mma(8),
        (2, ..) => ordered_cmma(),
        // Over rows in parts, which gives the gradients of weights.
        (3, _, _, true) => ordered_mma(8),
        (3, _, _, false) => simple_mma(true),
        // Of attention's heads.
        (_, false, true, is_narrow) => simple_cmma(is_narrow),
        (_, false, false, true) => ordered_mma(4),
        (_, true, _, true) => simple_mma(false),
        (_, _, _, false) => simple_cmma(true),
    }
}

/// lhsᵀ · rhs in f32, one tensor for each `COUNT`th of the columns. The rows are added up in parts,
/// since such a product has few values to share among the multiprocessors.
///
/// # Shapes
/// - lhs: `[rows, m]`
/// - rhs: `[rows, n]`
/// - output: `[m, n / COUNT]` each
pub fn product_over_rows<const COUNT: usize>(
    lhs: CubeTensor,
    rhs: CubeTensor,
) -> [CubeTensor; COUNT] {
    let rows = lhs.meta.shape()[0];
    let parts = (1..=MOST_PARTS)
        .rev()
        .find(|parts| rows.is_multiple_of(*parts) && rows / parts >= ROWS_OF_PART)
        .unwrap_or(1);
    let split = |x: CubeTensor| {
        let shape = Shape::new([parts, rows / parts, columns(&x)]);
        shaped(x, shape)
    };
    join_parts(product(turned(split(lhs)), split(rhs), DType::F32))
}
