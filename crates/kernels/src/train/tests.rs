//! Tests the backward pass against differences of the layer in f64.

use super::layer::backward;
use crate::dropout::Dropout;
use crate::layer::{LayerSpec, forward};
use crate::reference::{Factors, Layer, numbers, spec};
use crate::simd::limit::at_each_level;
use crate::{AdamWStep, Precision};

/// Relative to the outputs, about 1, and to the largest gradient. Seen: 4.2e-7.
const TOLERANCE: f64 = 2e-6;
/// Inputs of products have a relative error of 2⁻⁹. Seen: 7.3e-3.
const BF16_TOLERANCE: f64 = 2e-2;

fn factors(spec: &LayerSpec, hidden: usize) -> Factors {
    let rows =
        if spec.first_only { spec.starts.len() - 1 } else { spec.starts[spec.starts.len() - 1] };
    let probabilities = |pair: &[usize]| {
        let len = pair[1] - pair[0];
        if spec.first_only { len } else { len * len }
    };
    let probabilities: usize = spec.starts.windows(2).map(probabilities).sum();
    let wide = |dropout: Dropout, len| {
        dropout.factors(len).iter().map(|&factor| f64::from(factor)).collect()
    };
    Factors {
        attention: wide(spec.attention_dropout, probabilities * spec.heads),
        output: wide(spec.output_dropout, rows * hidden),
        ffn: wide(spec.ffn_dropout, rows * hidden),
    }
}

/// Returns the gradients of Σ out·weight by differences: the input's, then the weights' in order.
/// `each` leaves out most of those of a large layer.
fn differences(
    layer: &Layer<f64>,
    spec: &LayerSpec,
    (factors, d_out): (&Factors, &[f32]),
    each: usize,
) -> Vec<(usize, f64)> {
    const STEP: f64 = 1e-5;
    let loss = |layer: &Layer<f64>| -> f64 {
        let out = layer.forward(spec, factors);
        out.iter().zip(d_out).map(|(out, weight)| out * f64::from(*weight)).sum()
    };
    let mut layer = layer.clone();
    let (mut gradients, mut before) = (Vec::new(), 0);
    for place in 0..17 {
        let len = if place == 0 { layer.x.len() } else { layer.weights[place - 1].len() };
        for i in (0..len).step_by(each) {
            let mut at = |change: f64| {
                let values = if place == 0 { &mut layer.x } else { &mut layer.weights[place - 1] };
                values[i] += change;
                loss(&layer)
            };
            let (above, below) = (at(STEP), at(-2.0 * STEP));
            at(STEP);
            gradients.push((before + i, (above - below) / (2.0 * STEP)));
        }
        before += len;
    }
    gradients
}

/// Hidden and feed-forward columns, heads, and the lengths of the sequences.
type Sizes = (usize, usize, usize, &'static [usize]);

const SMALL: Sizes = (12, 20, 3, &[1, 5, 3]);
/// A sequence whose attention is computed block by block of queries, and one of a single block.
const LONG: Sizes = (4, 3, 2, &[515, 3]);

fn check((hidden, ffn, heads, lengths): Sizes, each: usize, precision: Precision, tolerance: f64) {
    for (first_only, rate) in [(false, 0.0), (true, 0.0), (false, 0.3), (true, 0.3)] {
        let layer = Layer::new(hidden, ffn, lengths);
        let mut spec = spec(lengths, heads, first_only, precision);
        spec.attention_dropout = Dropout::new(rate, 7, 1);
        spec.output_dropout = Dropout::new(rate, 7, 2);
        spec.ffn_dropout = Dropout::new(rate, 7, 3);
        let rows = if first_only { lengths.len() } else { lengths.iter().sum() };
        let d_out = numbers(rows * hidden, 30);
        let factors = factors(&spec, hidden);
        let exact = differences(&layer.exact(), &spec, (&factors, &d_out), each);
        let out = layer.exact().forward(&spec, &factors);
        let runs = at_each_level(|| {
            let (found, saved) = forward(&layer.x, &layer.weights(), &spec, true);
            let saved = saved.expect("the steps were kept");
            let (d_x, d_weights) =
                backward(&layer.x, &layer.weights(), &saved, &spec, d_out.clone());
            (found, [&[d_x][..], &d_weights].concat().concat())
        });
        for (level, (found_out, found)) in runs {
            for (place, (exact, found)) in out.iter().zip(&found_out).enumerate() {
                let error = (exact - f64::from(*found)).abs();
                assert!(error < tolerance, "{level:?}, output {place}: {exact}, not {found}");
            }
            assert!(each > 1 || exact.len() == found.len());
            let largest = exact.iter().fold(1.0, |a: f64, (_, b)| a.max(b.abs()));
            for &(place, exact) in &exact {
                let (found, allowed) = (found[place], tolerance * largest);
                let error = (exact - f64::from(found)).abs();
                assert!(error < allowed, "{level:?}, gradient {place}: {exact}, not {found}");
            }
        }
    }
}

#[test]
fn every_level_computes_the_gradients_that_differences_give() {
    check(SMALL, 1, Precision::F32, TOLERANCE);
}

#[test]
fn every_level_computes_the_gradients_of_long_sequences_that_differences_give() {
    check(LONG, 97, Precision::F32, TOLERANCE);
}

#[test]
fn bfloat16_computes_the_gradients_to_its_precision() {
    check(SMALL, 1, Precision::Bf16, BF16_TOLERANCE);
}

#[test]
fn an_empty_batch_has_no_gradient() {
    for precision in [Precision::F32, Precision::Bf16] {
        let (layer, spec) = (Layer::new(12, 20, &[]), spec(&[], 3, false, precision));
        let saved = forward(&layer.x, &layer.weights(), &spec, true).1.expect("kept");
        let (d_x, d_weights) = backward(&layer.x, &layer.weights(), &saved, &spec, vec![]);
        assert!(d_x.is_empty());
        for (gradient, weight) in d_weights.iter().zip(&layer.weights) {
            assert_eq!(gradient.len(), weight.len());
            assert!(gradient.iter().all(|value| *value == 0.0));
        }
    }
}

#[test]
fn every_level_takes_the_same_step() {
    let step = AdamWStep {
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.01,
        correction1: 0.1,
        correction2_sqrt: 0.03,
        grad_scale: 0.5,
    };
    for len in [0, 1, 15, 16, 33, 100] {
        let runs = at_each_level(|| {
            let [mut w, g, mut m, mut v] = [1, 2, 3, 4].map(|salt| numbers(len, salt));
            v.iter_mut().for_each(|v| *v = v.abs());
            super::rows::adamw(&mut w, &g, &mut m, &mut v, step);
            let norm = super::rows::squared_norm(&g);
            [w, m, v, vec![norm]].concat()
        });
        for (level, values) in &runs {
            for (a, b) in values.iter().zip(&runs[0].1) {
                assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{level:?}: {a} and {b}");
            }
        }
    }
}
