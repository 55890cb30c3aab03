//! From the scores of attention to its weights: scale, hide, normalise, drop.

use super::device::{columns, elem, empty_like, flat, nothing, own};
use super::dropped::{DropArgs, Drops, kept, kept_by_marks, marked};
use super::lanes::{
    LANES, ROWS, cubes_of_rows, greatest, per_lane, run_in_step, sum, total, wide, width,
};
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

/// Below every score.
const HIDDEN: f32 = -1.0e30;

/// # Shapes
/// - scores: `[batch, heads, asking, seq]`, of the first tokens or all
/// - is_hidden: `[batch, seq]`, 1 for keys that nobody sees, else 0
/// - output: the probabilities, `[batch, heads, asking, seq]`, with a minus where dropout takes
///   them; and the same after dropout, or a tensor that nobody reads
pub fn weights(
    scores: CubeTensor,
    is_hidden: CubeTensor,
    weighing: Weighing,
) -> (CubeTensor, CubeTensor) {
    let scores = own(flat(scores));
    let has_drops = weighing.drops.any();
    let dropped = if has_drops { empty_like(&scores) } else { nothing(&scores, scores.dtype) };
    weigh(&scores, is_hidden, &dropped, (weighing, true));
    (scores, dropped)
}

/// The same after dropout alone.
pub fn dropped_weights(
    scores: CubeTensor,
    is_hidden: CubeTensor,
    weighing: Weighing,
) -> CubeTensor {
    let scores = own(flat(scores));
    weigh(&scores, is_hidden, &nothing(&scores, scores.dtype), (weighing, !weighing.drops.any()));
    scores
}

/// Writes the probabilities over their scores, or else what dropout leaves of them.
fn weigh(
    scores: &CubeTensor,
    is_hidden: CubeTensor,
    dropped: &CubeTensor,
    (weighing, keeps): (Weighing, bool),
) {
    let is_hidden = flat(is_hidden);
    let seq = columns(scores);
    let [heads, asking] = [1, 2].map(|dim| scores.meta.shape()[dim]);
    let rows = scores.meta.num_elements() / seq.max(1);
    let (client, dtype) = (scores.client.clone(), elem(scores));
    let (count, dim) = cubes_of_rows(rows, &client);
    let in_step = run_in_step(&client);
    let width = width(seq);
    weights_kernel::launch(
        &client,
        count,
        dim,
        width,
        scores.clone().into_tensor_arg(),
        is_hidden.into_tensor_arg(),
        dropped.clone().into_tensor_arg(),
        weighing.scale,
        rows,
        seq / width,
        asking,
        heads,
        weighing.reach,
        weighing.drops.args(),
        per_lane(seq / width, dim),
        weighing.drops.any(),
        keeps,
        in_step,
        dtype,
    );
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn weights_kernel<T: Float, N: Size>(
    scores: &mut Tensor<Vector<T, N>>,
    is_hidden: &Tensor<Vector<f32, N>>,
    dropped: &mut Tensor<Vector<T, N>>,
    scale: f32,
    rows: usize,
    vectors: usize,
    asking: usize,
    heads: usize,
    reach: usize,
    drops: DropArgs,
    #[comptime] per_lane: usize,
    #[comptime] has_drops: bool,
    #[comptime] keeps: bool,
    #[comptime] in_step: bool,
    #[define(T)] _dtype: ElemType,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let place = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    // Threads beyond the last row go along with it and write nothing.
    let row = min(place, rows - 1);
    let first = row * vectors;
    let keys = (row / (heads * asking)) * vectors;
    let token = row % asking;
    let mut values = Array::<Vector<f32, N>>::new(per_lane);
    #[unroll]
    for step in 0..per_lane {
        let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
        values[step] = Vector::new(HIDDEN);
        if vector < vectors {
            let scores = wide(scores[first + vector]) * Vector::new(scale);
            let key = vector * N::value();
            values[step] = seen(scores, is_hidden[keys + vector], token, key, reach);
        }
    }
    let most = greatest(most_of(&values, per_lane), &mut shared, in_step);
    let all = exponentials(&mut values, most, per_lane);
    // A token that sees nothing takes in nothing.
    let share = 1.0 / max(sum(all, &mut shared, in_step), f32::MIN_POSITIVE);
    if place < rows {
        #[unroll]
        for step in 0..per_lane {
            let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
            if vector < vectors {
                let at = first + vector;
                let mut probability = values[step] * Vector::new(share);
                let kept = kept(probability, at * N::value(), &drops, has_drops);
                if keeps {
                    if has_drops {
                        probability = marked(probability, kept);
                        dropped[at] = Vector::cast_from(kept);
                    }
                    scores[at] = Vector::cast_from(probability);
                } else {
                    scores[at] = Vector::cast_from(kept);
                }
            }
        }
    }
}

/// Scores of the keys from `key` on that a token sees, and [`HIDDEN`] of the others.
#[cube]
fn seen<N: Size>(
    scores: Vector<f32, N>,
    is_hidden: Vector<f32, N>,
    token: usize,
    key: usize,
    reach: usize,
) -> Vector<f32, N> {
    let mut seen = Vector::<f32, N>::new(HIDDEN);
    #[unroll]
    for at in 0..N::value() {
        if sees(token, key + at, reach) && is_hidden.extract(at) < 0.5 {
            seen.insert(at, scores.extract(at));
        }
    }
    seen
}

/// The greatest of a lane's values.
#[cube]
fn most_of<N: Size>(values: &Array<Vector<f32, N>>, #[comptime] per_lane: usize) -> f32 {
    let mut most = f32::new(HIDDEN);
    #[unroll]
    for step in 0..per_lane {
        #[unroll]
        for at in 0..N::value() {
            most = max(most, values[step].extract(at));
        }
    }
    most
}

/// Replaces scores by their exponentials, less the greatest, and returns the sum.
#[cube]
fn exponentials<N: Size>(
    values: &mut Array<Vector<f32, N>>,
    most: f32,
    #[comptime] per_lane: usize,
) -> f32 {
    let mut all = f32::new(0.0);
    #[unroll]
    for step in 0..per_lane {
        let mut value = values[step];
        #[unroll]
        for at in 0..N::value() {
            let mut share = f32::new(0.0);
            if value.extract(at) > 0.5 * HIDDEN {
                share = (value.extract(at) - most).exp();
            }
            value.insert(at, share);
        }
        values[step] = value;
        all += total(value);
    }
    all
}

/// Whether a key is near enough to a token.
#[cube]
fn sees(token: usize, key: usize, reach: usize) -> bool {
    key <= token + reach && token <= key + reach
}

/// The gradient of the scores. `probabilities` have a minus where dropout took them.
pub fn gradient(
    d_weights: CubeTensor,
    probabilities: CubeTensor,
    weighing: Weighing,
) -> CubeTensor {
    let (d_weights, probabilities) = (own(flat(d_weights)), flat(probabilities));
    let seq = columns(&probabilities);
    let rows = probabilities.meta.num_elements() / seq.max(1);
    let (client, dtype) = (probabilities.client.clone(), elem(&probabilities));
    let (count, dim) = cubes_of_rows(rows, &client);
    let in_step = run_in_step(&client);
    let width = width(seq);
    gradient_kernel::launch(
        &client,
        count,
        dim,
        width,
        d_weights.clone().into_tensor_arg(),
        probabilities.into_tensor_arg(),
        weighing.scale,
        rows,
        seq / width,
        weighing.drops.scale(),
        per_lane(seq / width, dim),
        weighing.drops.any(),
        in_step,
        dtype,
    );
    d_weights
}

/// Writes the gradients of scores over those of weights.
#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn gradient_kernel<T: Float, N: Size>(
    d_weights: &mut Tensor<Vector<T, N>>,
    probabilities: &Tensor<Vector<T, N>>,
    scale: f32,
    rows: usize,
    vectors: usize,
    kept_scale: f32,
    #[comptime] per_lane: usize,
    #[comptime] has_drops: bool,
    #[comptime] in_step: bool,
    #[define(T)] _dtype: ElemType,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let place = CUBE_POS * CUBE_DIM_Y as usize + UNIT_POS_Y as usize;
    let first = min(place, rows - 1) * vectors;
    let mut gradients = Array::<Vector<f32, N>>::new(per_lane);
    let mut shares = Array::<Vector<f32, N>>::new(per_lane);
    let mut along = f32::new(0.0);
    #[unroll]
    for step in 0..per_lane {
        let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
        if vector < vectors {
            let at = first + vector;
            let marks = wide(probabilities[at]);
            let mut gradient = wide(d_weights[at]);
            if has_drops {
                gradient = kept_by_marks(gradient, marks, kept_scale);
            }
            let share = marks.abs();
            along += total(gradient * share);
            gradients[step] = gradient;
            shares[step] = share;
        }
    }
    let along = sum(along, &mut shared, in_step);
    if place < rows {
        #[unroll]
        for step in 0..per_lane {
            let vector = UNIT_POS_X as usize + step * CUBE_DIM_X as usize;
            if vector < vectors {
                let gradient = shares[step] * (gradients[step] - Vector::new(along));
                d_weights[first + vector] = Vector::cast_from(gradient * Vector::new(scale));
            }
        }
    }
}
