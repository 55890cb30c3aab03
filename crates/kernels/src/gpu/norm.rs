//! Layer normalisation of a sum: of a linear layer's output with its bias, dropped, and a residual.

use super::columns::{MOST_ROWS, split_sums};
use super::device::{columns, elem, empty, empty_like, flat, nothing, own};
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

/// What a norm's gradient is computed from.
pub struct NormGradientInputs {
    /// `[rows, columns]`, in f32.
    pub d_out: CubeTensor,
    /// What is added to it, stored as `normalised` is.
    pub more: Option<CubeTensor>,
    pub normalised: CubeTensor,
    pub factors: CubeTensor,
    pub gamma: CubeTensor,
}

/// The gradients of a norm.
pub struct NormGradients {
    /// Of the residual, in f32, in the place of `d_out` if nobody else reads that.
    pub d_sum: CubeTensor,
    /// Of `x`, stored as it is.
    pub d_x: CubeTensor,
    /// Of gamma, beta and the bias, `[columns]`.
    pub d_vectors: [CubeTensor; 3],
}

pub fn gradient(inputs: NormGradientInputs, norming: Norming) -> NormGradients {
    let NormGradientInputs { d_out, more, normalised, factors, gamma } = inputs;
    let [d_out, normalised, factors, gamma] = [d_out, normalised, factors, gamma].map(flat);
    let d_sum = own(d_out);
    let has_more = more.is_some();
    let more = more.map_or(normalised.clone(), flat);
    let columns = columns(&normalised);
    let rows = normalised.meta.num_elements() / columns;
    let has_x = norming.drops.any() || normalised.dtype != DType::F32;
    let d_x = if has_x { empty_like(&normalised) } else { nothing(&normalised, normalised.dtype) };
    let (client, dtype) = (normalised.client.clone(), elem(&normalised));
    let stretch = rows.div_ceil(MOST_ROWS).max(1);
    let (count, dim) = cubes_of_rows(rows.div_ceil(stretch), &client);
    let partial = rows.div_ceil(stretch).next_multiple_of(dim.y as usize);
    let sums = empty(&d_sum, Shape::new([partial, 3 * columns]), DType::F32);
    let in_step = run_in_step(&client);
    let width = width(columns);
    gradient_kernel::launch(
        &client,
        count,
        dim,
        width,
        d_sum.clone().into_tensor_arg(),
        more.into_tensor_arg(),
        normalised.into_tensor_arg(),
        factors.into_tensor_arg(),
        gamma.into_tensor_arg(),
        d_x.clone().into_tensor_arg(),
        sums.clone().into_tensor_arg(),
        rows,
        columns / width,
        stretch,
        norming.drops.args(),
        GradientKind {
            per_lane: per_lane(columns / width, dim),
            has_drops: norming.drops.any(),
            has_more,
            has_x,
            in_step,
        },
        dtype,
    );
    let d_x = if has_x { d_x } else { d_sum.clone() };
    NormGradients { d_sum, d_x, d_vectors: split_sums(sums) }
}

/// What the kernel of a norm's gradients is compiled for.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
struct GradientKind {
    per_lane: usize,
    has_drops: bool,
    has_more: bool,
    has_x: bool,
    in_step: bool,
}

/// Every row of lanes takes `stretch` rows, and writes their share of the vectors' gradients.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn gradient_kernel<T: Float, N: Size>(
    rows_gradients: &mut Tensor<Vector<f32, N>>,
    more: &Tensor<Vector<T, N>>,
    normalised: &Tensor<Vector<T, N>>,
    factors: &Tensor<f32>,
    gamma: &Tensor<Vector<f32, N>>,
    d_x: &mut Tensor<Vector<T, N>>,
    sums: &mut Tensor<Vector<f32, N>>,
    rows: usize,
    vectors: usize,
    stretch: usize,
    drops: DropArgs,
    #[comptime] kind: GradientKind,
    #[define(T)] _dtype: ElemType,
) {
    let place = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let mut gammas = Array::<Vector<f32, N>>::new(kind.per_lane);
    let mut betas = Array::<Vector<f32, N>>::new(kind.per_lane);
    let mut biases = Array::<Vector<f32, N>>::new(kind.per_lane);
    let mut gradients = Array::<Vector<f32, N>>::new(kind.per_lane);
    let mut normed = Array::<Vector<f32, N>>::new(kind.per_lane);
    for index in 0..stretch {
        // Threads beyond the last row go along with it and write nothing.
        let is_real = place * stretch + index < rows;
        let row = min(place * stretch + index, rows - 1);
        #[unroll]
        for step in 0..kind.per_lane {
            let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
            if vector < vectors {
                let mut gradient = rows_gradients[row * vectors + vector];
                if kind.has_more {
                    gradient += wide(more[row * vectors + vector]);
                }
                normed[step] = wide(normalised[row * vectors + vector]);
                if is_real {
                    gammas[step] += gradient * normed[step];
                    betas[step] += gradient;
                }
                gradients[step] = gradient * gamma[vector];
            }
        }
        centre_gradients(&mut gradients, &normed, &mut shared, vectors, kind);
        if is_real {
            #[unroll]
            for step in 0..kind.per_lane {
                let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
                if vector < vectors {
                    let gradient = gradients[step] * Vector::new(factors[row]);
                    let at = row * vectors + vector;
                    biases[step] += give(gradient, at, rows_gradients, d_x, &drops, kind);
                }
            }
        }
    }
    write(&gammas, sums, 3 * place * vectors, vectors, kind.per_lane);
    write(&betas, sums, (3 * place + 1) * vectors, vectors, kind.per_lane);
    write(&biases, sums, (3 * place + 2) * vectors, vectors, kind.per_lane);
}

/// Writes gradients of a sum and of what was dropped in it. Returns the latter.
#[cube]
fn give<T: Float, N: Size>(
    gradient: Vector<f32, N>,
    at: usize,
    d_sum: &mut Tensor<Vector<f32, N>>,
    d_x: &mut Tensor<Vector<T, N>>,
    drops: &DropArgs,
    #[comptime] kind: GradientKind,
) -> Vector<f32, N> {
    d_sum[at] = gradient;
    let gradient = kept(gradient, at * N::value(), drops, kind.has_drops);
    if kind.has_x {
        d_x[at] = Vector::cast_from(gradient);
    }
    gradient
}

/// Takes from a lane's share of a row's gradients what goes along their mean and along the normalised
/// values, which a norm takes out. All threads of a cube must come here.
#[cube]
fn centre_gradients<N: Size>(
    gradients: &mut Array<Vector<f32, N>>,
    normed: &Array<Vector<f32, N>>,
    shared: &mut Shared<[f32]>,
    vectors: usize,
    #[comptime] kind: GradientKind,
) {
    let columns = f32::cast_from(vectors * N::value());
    let mut all = f32::new(0.0);
    let mut along = f32::new(0.0);
    #[unroll]
    for step in 0..kind.per_lane {
        if UNIT_POS_X as usize + step * (CUBE_DIM_X as usize) < vectors {
            all += total(gradients[step]);
            along += total(gradients[step] * normed[step]);
        }
    }
    let mean = sum(all, shared, kind.in_step) / columns;
    let along = sum(along, shared, kind.in_step) / columns;
    #[unroll]
    for step in 0..kind.per_lane {
        let taken = Vector::new(mean) + normed[step] * Vector::new(along);
        gradients[step] -= taken;
    }
}

/// Writes a lane's share of a row that begins at `first`.
#[cube]
fn write<N: Size>(
    values: &Array<Vector<f32, N>>,
    rows: &mut Tensor<Vector<f32, N>>,
    first: usize,
    vectors: usize,
    #[comptime] per_lane: usize,
) {
    #[unroll]
    for step in 0..per_lane {
        let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
        if vector < vectors {
            rows[first + vector] = values[step];
        }
    }
}
