//! From the scores of attention to its weights: scale, hide, normalise, drop.

use super::device::{columns, empty, empty_like, flat};
use super::dropped::{DropArgs, Drops, factor};
use super::lanes::{LANES, ROWS, cubes_of_rows, greatest, run_in_step, sum};
use burn::tensor::Shape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// How attention weighs its scores.
#[derive(Clone, Copy, Debug)]
pub struct Weighing {
    /// Factor on every score.
    pub scale: f32,
    /// How far a token sees; at least the length of a sequence for all of it.
    pub reach: usize,
    pub(super) drops: Drops,
}

/// # Shapes
/// - scores: `[batch, heads, seq, seq]`
/// - is_hidden: `[batch, seq]`, 1 for keys that nobody sees, else 0
/// - output: the probabilities, `[batch, heads, seq, seq]`; and the same after dropout, or `[1]`
///   without
pub fn weights(
    scores: CubeTensor,
    is_hidden: CubeTensor,
    weighing: Weighing,
) -> (CubeTensor, CubeTensor) {
    let (scores, is_hidden) = (flat(scores), flat(is_hidden));
    let probabilities = empty_like(&scores);
    let dropped = match weighing.drops.any() {
        true => empty_like(&scores),
        false => empty(&scores, Shape::new([1])),
    };
    let seq = columns(&scores);
    let heads = scores.meta.shape()[1];
    let rows = scores.meta.num_elements() / seq.max(1);
    let client = scores.client.clone();
    let (count, dim) = cubes_of_rows(rows, &client);
    let in_step = run_in_step(&client);
    weights_kernel::launch(
        &client,
        count,
        dim,
        scores.into_tensor_arg(),
        is_hidden.into_tensor_arg(),
        probabilities.clone().into_tensor_arg(),
        dropped.clone().into_tensor_arg(),
        weighing.scale,
        rows,
        seq,
        heads * seq,
        weighing.reach,
        weighing.drops.args(),
        weighing.drops.any(),
        in_step,
    );
    (probabilities, dropped)
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn weights_kernel(
    scores: &Tensor<f32>,
    is_hidden: &Tensor<f32>,
    probabilities: &mut Tensor<f32>,
    dropped: &mut Tensor<f32>,
    scale: f32,
    rows: usize,
    seq: usize,
    rows_of_sequence: usize,
    reach: usize,
    drops: DropArgs,
    #[comptime] has_drops: bool,
    #[comptime] in_step: bool,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let place = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    // Threads beyond the last row go along with it and write nothing.
    let row = min(place, rows - 1);
    let first = row * seq;
    let keys = (row / rows_of_sequence) * seq;
    let token = row % seq;
    let mut most = f32::new(-1.0e30);
    let mut key = UNIT_POS_X as usize;
    while key < seq {
        if sees(token, key, reach) && is_hidden[keys + key] < 0.5 {
            most = max(most, scores[first + key] * scale);
        }
        key += CUBE_DIM_X as usize;
    }
    let most = greatest(most, &mut shared, in_step);
    let mut total = f32::new(0.0);
    let mut key = UNIT_POS_X as usize;
    while key < seq {
        if sees(token, key, reach) && is_hidden[keys + key] < 0.5 {
            total += (scores[first + key] * scale - most).exp();
        }
        key += CUBE_DIM_X as usize;
    }
    let total = sum(total, &mut shared, in_step);
    // A token that sees nothing takes in nothing.
    let mut share = f32::new(0.0);
    if total > 0.0 {
        share = 1.0 / total;
    }
    if place < rows {
        let mut key = UNIT_POS_X as usize;
        while key < seq {
            let mut probability = f32::new(0.0);
            if sees(token, key, reach) && is_hidden[keys + key] < 0.5 {
                probability = (scores[first + key] * scale - most).exp() * share;
            }
            probabilities[first + key] = probability;
            if has_drops {
                dropped[first + key] = probability * factor(first + key, &drops);
            }
            key += CUBE_DIM_X as usize;
        }
    }
}

/// Whether a key is near enough to a token.
#[cube]
fn sees(token: usize, key: usize, reach: usize) -> bool {
    key <= token + reach && token <= key + reach
}

/// The gradient of the scores.
pub fn gradient(
    d_weights: CubeTensor,
    probabilities: CubeTensor,
    weighing: Weighing,
) -> CubeTensor {
    let (d_weights, probabilities) = (flat(d_weights), flat(probabilities));
    let d_scores = empty_like(&probabilities);
    let seq = columns(&probabilities);
    let rows = probabilities.meta.num_elements() / seq.max(1);
    let client = probabilities.client.clone();
    let (count, dim) = cubes_of_rows(rows, &client);
    let in_step = run_in_step(&client);
    gradient_kernel::launch(
        &client,
        count,
        dim,
        d_weights.into_tensor_arg(),
        probabilities.into_tensor_arg(),
        d_scores.clone().into_tensor_arg(),
        weighing.scale,
        rows,
        seq,
        weighing.drops.args(),
        weighing.drops.any(),
        in_step,
    );
    d_scores
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn gradient_kernel(
    d_weights: &Tensor<f32>,
    probabilities: &Tensor<f32>,
    d_scores: &mut Tensor<f32>,
    scale: f32,
    rows: usize,
    seq: usize,
    drops: DropArgs,
    #[comptime] has_drops: bool,
    #[comptime] in_step: bool,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let place = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let first = min(place, rows - 1) * seq;
    let end = first + seq;
    let mut total = f32::new(0.0);
    let mut at = first + UNIT_POS_X as usize;
    while at < end {
        total += probabilities[at] * kept(d_weights[at], at, &drops, has_drops);
        at += CUBE_DIM_X as usize;
    }
    let total = sum(total, &mut shared, in_step);
    if place < rows {
        let mut at = first + UNIT_POS_X as usize;
        while at < end {
            let d_weight = kept(d_weights[at], at, &drops, has_drops);
            d_scores[at] = probabilities[at] * (d_weight - total) * scale;
            at += CUBE_DIM_X as usize;
        }
    }
}

/// A value after dropout.
#[cube]
pub fn kept(value: f32, at: usize, drops: &DropArgs, #[comptime] has_drops: bool) -> f32 {
    let mut kept = value;
    if has_drops {
        kept = value * factor(at, drops);
    }
    kept
}
