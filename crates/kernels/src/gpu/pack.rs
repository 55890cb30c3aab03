//! The matrices of a layer as its products read them, and tensors across precisions.

use super::device::{columns, elem, empty, flat, nothing, own};
use super::lanes::{LANES, ROWS, threads, wide, width};
use super::layer::{LayerTensors, Matrices};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Stores the matrices of a layer as `dtype`, those of query, key and value side by side.
pub fn matrices(tensors: &LayerTensors<CubeBackend>, dtype: DType) -> Matrices<CubeBackend> {
    let from = [
        &tensors.query,
        &tensors.key,
        &tensors.value,
        &tensors.attention_output,
        &tensors.intermediate,
        &tensors.output,
    ];
    let from = from.map(|linear| flat(linear.matrix.clone()));
    let like = |matrix: &CubeTensor| empty(matrix, matrix.meta.shape().clone(), dtype);
    let shape = from[0].meta.shape().clone();
    let qkv = empty(&from[0], Shape::new([shape[0], 3 * shape[1]]), dtype);
    let is_narrow = dtype != DType::F32;
    let others = [3, 4, 5]
        .map(|at: usize| if is_narrow { like(&from[at]) } else { nothing(&from[at], dtype) });
    let width = width(shape[1]);
    let len = from.iter().map(|matrix| matrix.meta.num_elements()).max().unwrap_or(0);
    let in_cube = LANES * ROWS;
    let parts = if is_narrow { 6 } else { 3 };
    let count = CubeCount::Static((len / width).div_ceil(in_cube as usize) as u32, parts, 1);
    let client = qkv.client.clone();
    let [query, key, value, attention_output, intermediate, output] =
        from.each_ref().map(|matrix| matrix.clone().into_tensor_arg());
    let [second, third, fourth] = others.each_ref().map(|matrix| matrix.clone().into_tensor_arg());
    let vectors = from.each_ref().map(|matrix| matrix.meta.num_elements() / width);
    pack_kernel::launch(
        &client,
        count,
        CubeDim::new_1d(in_cube),
        width,
        query,
        key,
        value,
        attention_output,
        intermediate,
        output,
        qkv.clone().into_tensor_arg(),
        second,
        third,
        fourth,
        vectors[0],
        vectors[4],
        shape[1] / width,
        elem(&qkv),
    );
    let [.., old_second, old_third, old_fourth] = from;
    let [second, third, fourth] = match is_narrow {
        true => others,
        false => [old_second, old_third, old_fourth],
    };
    Matrices { qkv, attention_output: second, intermediate: third, output: fourth }
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn pack_kernel<T: Float, N: Size>(
    query: &Tensor<Vector<f32, N>>,
    key: &Tensor<Vector<f32, N>>,
    value: &Tensor<Vector<f32, N>>,
    attention_output: &Tensor<Vector<f32, N>>,
    intermediate: &Tensor<Vector<f32, N>>,
    output: &Tensor<Vector<f32, N>>,
    qkv: &mut Tensor<Vector<T, N>>,
    narrow_attention_output: &mut Tensor<Vector<T, N>>,
    narrow_intermediate: &mut Tensor<Vector<T, N>>,
    narrow_output: &mut Tensor<Vector<T, N>>,
    square: usize,
    oblong: usize,
    columns: usize,
    #[define(T)] _dtype: ElemType,
) {
    let at = CUBE_POS_X as usize * CUBE_DIM_X as usize + UNIT_POS_X as usize;
    let part = CUBE_POS_Y;
    if part < 4 && at < square {
        let beside = (at / columns) * 3 * columns + at % columns;
        if part == 0 {
            qkv[beside] = Vector::cast_from(query[at]);
        } else if part == 1 {
            qkv[beside + columns] = Vector::cast_from(key[at]);
        } else if part == 2 {
            qkv[beside + 2 * columns] = Vector::cast_from(value[at]);
        } else {
            narrow_attention_output[at] = Vector::cast_from(attention_output[at]);
        }
    }
    if part >= 4 && at < oblong {
        if part == 4 {
            narrow_intermediate[at] = Vector::cast_from(intermediate[at]);
        } else {
            narrow_output[at] = Vector::cast_from(output[at]);
        }
    }
}

/// Stores f32 as `dtype`, without the gaps that burn's `cast` leaves between rows of some lengths.
pub fn narrow(x: CubeTensor, dtype: DType) -> CubeTensor {
    let x = flat(x);
    if dtype == x.dtype {
        return x;
    }
    let out = empty(&x, x.meta.shape().clone(), dtype);
    let width = width(columns(&x));
    let vectors = x.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let (client, dtype) = (x.client.clone(), elem(&out));
    let (from, to) = (x.into_tensor_arg(), out.clone().into_tensor_arg());
    narrow_kernel::launch(&client, count, dim, width, from, to, vectors, dtype);
    out
}

#[cube(launch)]
fn narrow_kernel<T: Float, N: Size>(
    x: &Tensor<Vector<f32, N>>,
    out: &mut Tensor<Vector<T, N>>,
    vectors: usize,
    #[define(T)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < vectors {
        out[ABSOLUTE_POS] = Vector::cast_from(x[ABSOLUTE_POS]);
    }
}

/// x + more in f32, whatever `more` is stored as; in the place of x, if nobody else reads that.
pub fn sum(x: CubeTensor, more: CubeTensor) -> CubeTensor {
    let (x, more) = (own(flat(x)), flat(more));
    let width = width(columns(&x));
    let vectors = x.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let (client, dtype) = (x.client.clone(), elem(&more));
    sum_kernel::launch(
        &client,
        count,
        dim,
        width,
        x.clone().into_tensor_arg(),
        more.into_tensor_arg(),
        vectors,
        dtype,
    );
    x
}

#[cube(launch)]
fn sum_kernel<T: Float, N: Size>(
    x: &mut Tensor<Vector<f32, N>>,
    more: &Tensor<Vector<T, N>>,
    vectors: usize,
    #[define(T)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < vectors {
        x[ABSOLUTE_POS] += wide(more[ABSOLUTE_POS]);
    }
}
