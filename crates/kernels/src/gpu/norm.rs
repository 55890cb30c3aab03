//! Layer normalisation of a sum: of a linear layer's output with its bias, dropped, and a residual.

use super::attention::kept;
use super::device::{columns, empty, empty_like, flat};
use super::dropped::{DropArgs, Drops};
use super::lanes::{LANES, ROWS, cubes_of_rows, run_in_step, sum};
use burn::tensor::Shape;
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
    /// `[rows, columns]`.
    pub x: CubeTensor,
    /// `[columns]`, as gamma and beta.
    pub bias: CubeTensor,
    /// `[rows, columns]`.
    pub residual: CubeTensor,
    pub gamma: CubeTensor,
    pub beta: CubeTensor,
}

/// Returns the output, the values before gamma and beta, and what each row was multiplied with,
/// `[rows]`.
pub fn norm(inputs: NormInputs, norming: Norming) -> [CubeTensor; 3] {
    let NormInputs { x, bias, residual, gamma, beta } = inputs;
    let [x, bias, residual, gamma, beta] = [x, bias, residual, gamma, beta].map(flat);
    let columns = columns(&x);
    let rows = x.meta.num_elements() / columns;
    let (out, normalised) = (empty_like(&x), empty_like(&x));
    let factors = empty(&x, Shape::new([rows]));
    let client = x.client.clone();
    let (count, dim) = cubes_of_rows(rows, &client);
    let in_step = run_in_step(&client);
    norm_kernel::launch(
        &client,
        count,
        dim,
        x.into_tensor_arg(),
        bias.into_tensor_arg(),
        residual.into_tensor_arg(),
        gamma.into_tensor_arg(),
        beta.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        normalised.clone().into_tensor_arg(),
        factors.clone().into_tensor_arg(),
        rows,
        columns,
        norming.eps,
        norming.drops.args(),
        norming.drops.any(),
        norming.is_sum,
        norming.has_beta,
        in_step,
    );
    [out, normalised, factors]
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn norm_kernel(
    x: &Tensor<f32>,
    bias: &Tensor<f32>,
    residual: &Tensor<f32>,
    gamma: &Tensor<f32>,
    beta: &Tensor<f32>,
    out: &mut Tensor<f32>,
    normalised: &mut Tensor<f32>,
    factors: &mut Tensor<f32>,
    rows: usize,
    columns: usize,
    eps: f32,
    drops: DropArgs,
    #[comptime] has_drops: bool,
    #[comptime] is_sum: bool,
    #[comptime] has_beta: bool,
    #[comptime] in_step: bool,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let place = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let is_real = place < rows;
    // Threads beyond the last row go along with it and write nothing.
    let row = min(place, rows - 1);
    let first = row * columns;
    let lane = UNIT_POS_X as usize;
    let mut total = f32::new(0.0);
    let mut column = lane;
    while column < columns {
        let at = first + column;
        let mut value = x[at];
        if is_sum {
            value = kept(value + bias[column], at, &drops, has_drops) + residual[at];
        }
        if is_real {
            normalised[at] = value;
        }
        total += value;
        column += CUBE_DIM_X as usize;
    }
    let mean = sum(total, &mut shared, in_step) / f32::cast_from(columns);
    let squares = squares(normalised, first, columns, mean);
    let variance = sum(squares, &mut shared, in_step) / f32::cast_from(columns);
    let factor = 1.0 / (variance + eps).sqrt();
    if is_real {
        let mut column = lane;
        while column < columns {
            let at = first + column;
            let value = (normalised[at] - mean) * factor;
            normalised[at] = value;
            let mut scaled = value * gamma[column];
            if has_beta {
                scaled += beta[column];
            }
            out[at] = scaled;
            column += CUBE_DIM_X as usize;
        }
        if lane == 0 {
            factors[row] = factor;
        }
    }
}

/// A lane's share of the squared distances of a row from its mean.
#[cube]
fn squares(row: &mut Tensor<f32>, first: usize, columns: usize, mean: f32) -> f32 {
    let mut total = f32::new(0.0);
    let mut column = UNIT_POS_X as usize;
    while column < columns {
        let off = row[first + column] - mean;
        total += off * off;
        column += CUBE_DIM_X as usize;
    }
    total
}

/// Returns the gradient of the residual, and that of `x` where it differs, else `[1]`.
pub fn gradient(
    [d_out, normalised, factors, gamma]: [CubeTensor; 4],
    norming: Norming,
) -> (CubeTensor, CubeTensor) {
    let [d_out, normalised, factors, gamma] = [d_out, normalised, factors, gamma].map(flat);
    let columns = columns(&normalised);
    let rows = normalised.meta.num_elements() / columns;
    let d_sum = empty_like(&normalised);
    let d_x = match norming.drops.any() {
        true => empty_like(&normalised),
        false => empty(&normalised, Shape::new([1])),
    };
    let client = normalised.client.clone();
    let (count, dim) = cubes_of_rows(rows, &client);
    let in_step = run_in_step(&client);
    gradient_kernel::launch(
        &client,
        count,
        dim,
        d_out.into_tensor_arg(),
        normalised.into_tensor_arg(),
        factors.into_tensor_arg(),
        gamma.into_tensor_arg(),
        d_sum.clone().into_tensor_arg(),
        d_x.clone().into_tensor_arg(),
        rows,
        columns,
        norming.drops.args(),
        norming.drops.any(),
        in_step,
    );
    (d_sum, d_x)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn gradient_kernel(
    d_out: &Tensor<f32>,
    normalised: &Tensor<f32>,
    factors: &Tensor<f32>,
    gamma: &Tensor<f32>,
    d_sum: &mut Tensor<f32>,
    d_x: &mut Tensor<f32>,
    rows: usize,
    columns: usize,
    drops: DropArgs,
    #[comptime] has_drops: bool,
    #[comptime] in_step: bool,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let place = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let row = min(place, rows - 1);
    let first = row * columns;
    let lane = UNIT_POS_X as usize;
    let mut total = f32::new(0.0);
    let mut along = f32::new(0.0);
    let mut column = lane;
    while column < columns {
        let value = d_out[first + column] * gamma[column];
        total += value;
        along += value * normalised[first + column];
        column += CUBE_DIM_X as usize;
    }
    let mean = sum(total, &mut shared, in_step) / f32::cast_from(columns);
    let along = sum(along, &mut shared, in_step) / f32::cast_from(columns);
    if place < rows {
        let mut column = lane;
        while column < columns {
            let at = first + column;
            let value = d_out[at] * gamma[column] - mean - normalised[at] * along;
            let value = value * factors[row];
            d_sum[at] = value;
            if has_drops {
                d_x[at] = kept(value, at, &drops, has_drops);
            }
            column += CUBE_DIM_X as usize;
        }
    }
}
