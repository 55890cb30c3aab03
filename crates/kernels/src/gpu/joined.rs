//! Vectors one after the other. burn's own `cat` launches a kernel for each.

use super::device::{flat, own};
use super::lanes::{LANES, ROWS};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, ExtensionType};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// How many vectors one kernel takes.
pub const PARTS: usize = 8;

/// Vectors to be joined; those that are too many stand for nothing.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion)]
pub struct Parts<B: Backend> {
    pub first: FloatTensor<B>,
    pub second: FloatTensor<B>,
    pub third: FloatTensor<B>,
    pub fourth: FloatTensor<B>,
    pub fifth: FloatTensor<B>,
    pub sixth: FloatTensor<B>,
    pub seventh: FloatTensor<B>,
    pub eighth: FloatTensor<B>,
}

impl<B: Backend> Parts<B> {
    pub fn of(parts: [FloatTensor<B>; PARTS]) -> Self {
        let [first, second, third, fourth, fifth, sixth, seventh, eighth] = parts;
        Self { first, second, third, fourth, fifth, sixth, seventh, eighth }
    }
}

/// Writes `count` parts into a vector, from `start` on.
pub fn write(
    into: CubeTensor,
    parts: Parts<CubeBackend>,
    (start, count): (usize, usize),
) -> CubeTensor {
    let into = own(flat(into));
    let Parts { first, second, third, fourth, fifth, sixth, seventh, eighth } = parts;
    let parts = [first, second, third, fourth, fifth, sixth, seventh, eighth].map(flat);
    let lens = parts.each_ref().map(|part| part.meta.num_elements());
    let longest = lens[..count].iter().copied().max().unwrap_or(0);
    let width =
        if lens[..count].iter().chain([&start]).all(|len| len.is_multiple_of(4)) { 4 } else { 1 };
    let in_cube = LANES * ROWS;
    let cubes = (longest / width).div_ceil(in_cube as usize).max(1) as u32;
    let client = into.client.clone();
    let [first, second, third, fourth, fifth, sixth, seventh, eighth] =
        parts.map(|part| part.into_tensor_arg());
    let mut starts = SequenceArg::new();
    let mut at = start / width;
    for len in lens {
        starts.push(at);
        at += len / width;
    }
    starts.push(at);
    write_kernel::launch(
        &client,
        CubeCount::Static(cubes, count as u32, 1),
        CubeDim::new_1d(in_cube),
        width,
        first,
        second,
        third,
        fourth,
        fifth,
        sixth,
        seventh,
        eighth,
        into.clone().into_tensor_arg(),
        starts,
    );
    into
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn write_kernel<N: Size>(
    first: &Tensor<Vector<f32, N>>,
    second: &Tensor<Vector<f32, N>>,
    third: &Tensor<Vector<f32, N>>,
    fourth: &Tensor<Vector<f32, N>>,
    fifth: &Tensor<Vector<f32, N>>,
    sixth: &Tensor<Vector<f32, N>>,
    seventh: &Tensor<Vector<f32, N>>,
    eighth: &Tensor<Vector<f32, N>>,
    into: &mut Tensor<Vector<f32, N>>,
    starts: &Sequence<usize>,
) {
    let part = CUBE_POS_Y;
    if part == 0 {
        copy(first, into, starts[0], starts[1]);
    } else if part == 1 {
        copy(second, into, starts[1], starts[2]);
    } else if part == 2 {
        copy(third, into, starts[2], starts[3]);
    } else if part == 3 {
        copy(fourth, into, starts[3], starts[4]);
    } else if part == 4 {
        copy(fifth, into, starts[4], starts[5]);
    } else if part == 5 {
        copy(sixth, into, starts[5], starts[6]);
    } else if part == 6 {
        copy(seventh, into, starts[6], starts[7]);
    } else {
        copy(eighth, into, starts[7], starts[8]);
    }
}

#[cube]
fn copy<N: Size>(
    from: &Tensor<Vector<f32, N>>,
    into: &mut Tensor<Vector<f32, N>>,
    start: usize,
    end: usize,
) {
    let at = CUBE_POS_X as usize * CUBE_DIM_X as usize + UNIT_POS_X as usize;
    if start + at < end {
        into[start + at] = from[at];
    }
}
