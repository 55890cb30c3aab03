//! The backward pass of a norm.

use super::columns::{MOST_ROWS, split_sums};
use super::device::{columns, elem, empty, empty_like, flat, nothing, own};
use super::dropped::{DropArgs, kept};
use super::lanes::{LANES, ROWS, cubes_of_rows, per_lane, run_in_step, sum, total, wide, width};
use super::norm::Norming;
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

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
