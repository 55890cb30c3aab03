//! From rows of all heads to the rows of each, and back.

use super::device::{elem, empty, flat, nothing};
use super::lanes::{threads, wide, width};
use super::thirds::{self, pick, put};
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// How rows lie: `[batch, seq, heads, size]`.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    pub batch: usize,
    pub seq: usize,
    pub heads: usize,
    pub size: usize,
}

impl Heads {
    pub fn hidden(&self) -> usize {
        self.heads * self.size
    }

    /// Of one head after the other, `[batch, heads, seq, size]`.
    fn shape(&self) -> Shape {
        Shape::new([self.batch, self.heads, self.seq, self.size])
    }
}

/// Splits `[batch · seq, COUNT · hidden]` into `COUNT` tensors, `[batch, heads, seq, size]`, and adds
/// a bias to each, `[hidden]`, where there are any.
pub fn split<const COUNT: usize>(
    x: CubeTensor,
    biases: Option<[CubeTensor; COUNT]>,
    heads: Heads,
) -> [CubeTensor; COUNT] {
    let x = flat(x);
    let out = [(); COUNT].map(|()| empty(&x, heads.shape(), x.dtype));
    let has_bias = biases.is_some();
    let biases = biases.map(|biases| biases.map(flat));
    let width = width(heads.size);
    let vectors = x.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let (client, dtype) = (x.client.clone(), elem(&x));
    let [first_bias, second_bias, third_bias] = [0, 1, 2].map(|index| {
        let bias = biases.as_ref().and_then(|biases| biases.get(index).cloned());
        bias.unwrap_or_else(|| nothing(&x, DType::F32)).into_tensor_arg()
    });
    let [first, second, third] = thirds::arguments(&out);
    split_kernel::launch(
        &client,
        count,
        dim,
        width,
        x.into_tensor_arg(),
        first_bias,
        second_bias,
        third_bias,
        first,
        second,
        third,
        vectors,
        heads.seq,
        heads.heads,
        heads.size / width,
        COUNT,
        has_bias,
        dtype,
    );
    out
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn split_kernel<T: Float, N: Size>(
    x: &Tensor<Vector<T, N>>,
    first_bias: &Tensor<Vector<f32, N>>,
    second_bias: &Tensor<Vector<f32, N>>,
    third_bias: &Tensor<Vector<f32, N>>,
    first: &mut Tensor<Vector<T, N>>,
    second: &mut Tensor<Vector<T, N>>,
    third: &mut Tensor<Vector<T, N>>,
    vectors: usize,
    seq: usize,
    heads: usize,
    size: usize,
    #[comptime] parts: usize,
    #[comptime] has_bias: bool,
    #[define(T)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < vectors {
        let hidden = heads * size;
        let part = (ABSOLUTE_POS / hidden) % parts;
        let column = ABSOLUTE_POS % hidden;
        let at = place(ABSOLUTE_POS / (hidden * parts), column, seq, heads, size);
        let mut value = wide(x[ABSOLUTE_POS]);
        if has_bias {
            value += pick(part, column, first_bias, second_bias, third_bias);
        }
        put(Vector::cast_from(value), part, at, first, second, third);
    }
}

/// Where a column of a row lies among the rows of its head.
#[cube]
fn place(row: usize, column: usize, seq: usize, heads: usize, size: usize) -> usize {
    let head = (row / seq) * heads + column / size;
    (head * seq + row % seq) * size + column % size
}

/// Puts tensors of `[batch, heads, seq, size]` side by side, `[batch · seq, COUNT · hidden]`.
pub fn merge<const COUNT: usize>(parts: [CubeTensor; COUNT], heads: Heads) -> CubeTensor {
    let parts = parts.map(flat);
    let shape = Shape::new([heads.batch * heads.seq, COUNT * heads.hidden()]);
    let out = empty(&parts[0], shape, parts[0].dtype);
    let width = width(heads.size);
    let vectors = out.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let (client, dtype) = (out.client.clone(), elem(&out));
    let [first, second, third] = thirds::arguments(&parts);
    merge_kernel::launch(
        &client,
        count,
        dim,
        width,
        first,
        second,
        third,
        out.clone().into_tensor_arg(),
        vectors,
        heads.seq,
        heads.heads,
        heads.size / width,
        COUNT,
        dtype,
    );
    out
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn merge_kernel<T: Float, N: Size>(
    first: &Tensor<Vector<T, N>>,
    second: &Tensor<Vector<T, N>>,
    third: &Tensor<Vector<T, N>>,
    out: &mut Tensor<Vector<T, N>>,
    vectors: usize,
    seq: usize,
    heads: usize,
    size: usize,
    #[comptime] parts: usize,
    #[define(T)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < vectors {
        let hidden = heads * size;
        let part = (ABSOLUTE_POS / hidden) % parts;
        let column = ABSOLUTE_POS % hidden;
        let at = place(ABSOLUTE_POS / (hidden * parts), column, seq, heads, size);
        out[ABSOLUTE_POS] = pick(part, at, first, second, third);
    }
}
