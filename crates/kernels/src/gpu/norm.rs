//! Layer normalisation of a sum: of a linear layer's output with its bias, dropped, and a residual.

use super::device::{columns, elem, empty, empty_like, flat, nothing};
use super::dropped::{DropArgs, Drops, kept};
use super::lanes::{LANES, ROWS, cubes_of_rows, per_lane, run_in_step, sum, total, wide, width};
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// What is normalised, and how.
#[derive(Clone, Copy, Debug)]
pub struct Norming {
    pub eps: f32,
    /// Whether a bias and a residual are added.
    pub is_sum: bool,
    /// Whether the normalised values are shifted.
    pub has_beta: bool,
    pub(super) drops: Drops,
}

/// The rows that a norm takes in; without a sum or a beta, any tensor stands in for those.
pub struct NormInputs {
    /// `[rows, columns]`, in f32 or 16 bits.
    pub x: CubeTensor,
    /// `[columns]`, as gamma and beta.
    pub bias: CubeTensor,
    /// `[rows, columns]`.
    pub residual: CubeTensor,
    pub gamma: CubeTensor,
    pub beta: CubeTensor,
}

/// What a norm gives.
pub struct Normed {
    /// `[rows, columns]`, in f32.
    pub out: CubeTensor,
    /// The same stored as `x` is; in f32 it is the same tensor.
    pub narrow: CubeTensor,
    /// The values before gamma and beta, stored as `x` is.
    pub normalised: CubeTensor,
    /// What each row was multiplied with, `[rows]`.
    pub factors: CubeTensor,
}

pub fn norm(inputs: NormInputs, norming: Norming) -> Normed {
    let NormInputs { x, bias, residual, gamma, beta } = inputs;
    let [x, bias, residual, gamma, beta] = [x, bias, residual, gamma, beta].map(flat);
    let columns = columns(&x);
    let rows = x.meta.num_elements() / columns;
    let out = empty(&x, x.meta.shape().clone(), DType::F32);
    let is_narrow = x.dtype != DType::F32;
    let narrow = if is_narrow { empty_like(&x) } else { nothing(&x, x.dtype) };
    let normalised = empty_like(&x);
    let factors = empty(&x, Shape::new([rows]), DType::F32);
    let (client, dtype) = (x.client.clone(), elem(&x));
    let (count, dim) = cubes_of_rows(rows, &client);
    let in_step = run_in_step(&client);
    let width = width(columns);
    norm_kernel::launch(
        &client,
        count,
        dim,
        width,
        x.into_tensor_arg(),
        bias.into_tensor_arg(),
        residual.into_tensor_arg(),
        gamma.into_tensor_arg(),
        beta.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        narrow.clone().into_tensor_arg(),
        normalised.clone().into_tensor_arg(),
        factors.clone().into_tensor_arg(),
        rows,
        columns / width,
        norming.eps,
        norming.drops.args(),
        NormKind {
            per_lane: per_lane(columns / width, dim),
            has_drops: norming.drops.any(),
            is_sum: norming.is_sum,
            has_beta: norming.has_beta,
            is_narrow,
            in_step,
        },
        dtype,
    );
    let narrow = if is_narrow { narrow } else { out.clone() };
    Normed { out, narrow, normalised, factors }
}

/// What a norm's kernel is compiled for.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct NormKind {
    per_lane: usize,
    has_drops: bool,
    is_sum: bool,
    has_beta: bool,
    is_narrow: bool,
    in_step: bool,
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn norm_kernel<T: Float, N: Size>(
    x: &Tensor<Vector<T, N>>,
    bias: &Tensor<Vector<f32, N>>,
    residual: &Tensor<Vector<f32, N>>,
    gamma: &Tensor<Vector<f32, N>>,
    beta: &Tensor<Vector<f32, N>>,
    out: &mut Tensor<Vector<f32, N>>,
    narrow: &mut Tensor<Vector<T, N>>,
    normalised: &mut Tensor<Vector<T, N>>,
    factors: &mut Tensor<f32>,
    rows: usize,
    vectors: usize,
    eps: f32,
    drops: DropArgs,
    #[comptime] kind: NormKind,
    #[define(T)] _dtype: ElemType,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let place = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    // Threads beyond the last row go along with it and write nothing.
    let first = min(place, rows - 1) * vectors;
    let columns = f32::cast_from(vectors * N::value());
    let mut values = Array::<Vector<f32, N>>::new(kind.per_lane);
    let mut all = f32::new(0.0);
    #[unroll]
    for step in 0..kind.per_lane {
        let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
        if vector < vectors {
            let mut value = wide(x[first + vector]);
            if kind.is_sum {
                let index = (first + vector) * N::value();
                value = kept(value + bias[vector], index, &drops, kind.has_drops);
                value += residual[first + vector];
            }
            all += total(value);
            values[step] = value;
        }
    }
    let mean = sum(all, &mut shared, kind.in_step) / columns;
    let squares = centre(&mut values, mean, vectors, kind.per_lane);
    let factor = 1.0 / (sum(squares, &mut shared, kind.in_step) / columns + eps).sqrt();
    if place < rows {
        #[unroll]
        for step in 0..kind.per_lane {
            let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
            if vector < vectors {
                let value = values[step] * Vector::new(factor);
                let scaled = scale(value, vector, gamma, beta, kind.has_beta);
                normalised[first + vector] = Vector::cast_from(value);
                out[first + vector] = scaled;
                if kind.is_narrow {
                    narrow[first + vector] = Vector::cast_from(scaled);
                }
            }
        }
        if UNIT_POS_X == 0 {
            factors[place] = factor;
        }
    }
}

/// Gamma and beta after a norm.
#[cube]
fn scale<N: Size>(
    value: Vector<f32, N>,
    vector: usize,
    gamma: &Tensor<Vector<f32, N>>,
    beta: &Tensor<Vector<f32, N>>,
    #[comptime] has_beta: bool,
) -> Vector<f32, N> {
    let mut scaled = value * gamma[vector];
    if has_beta {
        scaled += beta[vector];
    }
    scaled
}

/// Takes the mean from a lane's share of a row, and returns the sum of what are its squares then.
#[cube]
fn centre<N: Size>(
    values: &mut Array<Vector<f32, N>>,
    mean: f32,
    vectors: usize,
    #[comptime] per_lane: usize,
) -> f32 {
    let mut squares = f32::new(0.0);
    #[unroll]
    for step in 0..per_lane {
        if UNIT_POS_X as usize + step * (CUBE_DIM_X as usize) < vectors {
            let off = values[step] - Vector::new(mean);
            squares += total(off * off);
            values[step] = off;
        }
    }
    squares
}
