//! Tests the backward pass against differences of the layer in f64.

use super::backward;
use crate::Precision;
use crate::dropout::Dropout;
use crate::pre_norm::PreNormSpec;
use crate::pre_norm::forward;
use crate::pre_norm::reference::{Case, PreNormLayer};
use crate::reference::numbers;
use crate::simd::limit::at_each_level;

/// Relative to the largest gradient.
const TOLERANCE: f64 = 5e-6;
/// Inputs of products have a relative error of 2⁻⁹.
const BF16_TOLERANCE: f64 = 3e-2;

/// Returns the gradients of Σ out·weight by differences: the input's, then the weights' in order.
/// `each` leaves out most of those of a large layer.
fn differences(
    layer: &PreNormLayer<f64>,
    spec: &PreNormSpec,
    d_out: &[f32],
    each: usize,
) -> Vec<(usize, f64)> {
    const STEP: f64 = 1e-5;
    let loss = |layer: &PreNormLayer<f64>| -> f64 {
        let out = layer.forward(spec);
        out.iter().zip(d_out).map(|(out, weight)| out * f64::from(*weight)).sum()
    };
    let mut layer = layer.clone();
    let (mut gradients, mut before) = (Vec::new(), 0);
    for place in 0..7 {
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

fn check(case: Case, each: usize, precision: Precision, tolerance: f64) {
    for (first_only, rate) in [(false, 0.0), (true, 0.0), (false, 0.3), (true, 0.3)] {
        let layer = PreNormLayer::new(&case);
        let mut spec = case.spec(first_only, precision);
        spec.layer.attention_dropout = Dropout::new(rate, 7, 1);
        spec.layer.output_dropout = Dropout::new(rate, 7, 2);
        spec.layer.ffn_dropout = Dropout::new(rate, 7, 3);
        let rows = if first_only { case.lengths.len() } else { case.tokens() };
        let d_out = numbers(rows * case.hidden, 30);
        let exact = differences(&layer.exact(), &spec, &d_out, each);
        let out = layer.exact().forward(&spec);
        let runs = at_each_level(|| {
            let (found, saved) = forward(&layer.x, &layer.weights(), &spec, true);
            let saved = saved.expect("the steps were kept");
            let (d_x, d_weights) =
                backward(&layer.x, &layer.weights(), &saved, &spec, d_out.clone());
            (found, [&[d_x][..], &d_weights].concat().concat())
        });
        for (level, (found_out, found)) in runs {
            for (place, (exact, found)) in out.iter().zip(&found_out).enumerate() {
                let error = (exact - f64::from(*found)).abs() / exact.abs().max(1.0);
                assert!(error < tolerance, "{level:?}, output {place}: {exact}, not {found}");
            }
            let largest = exact.iter().fold(1.0, |a: f64, (_, b)| a.max(b.abs()));
            for &(place, exact) in &exact {
                let error = (exact - f64::from(found[place])).abs();
                assert!(
                    error < tolerance * largest,
                    "{level:?}, first {first_only}, rate {rate}, gradient {place}: {exact}, not {}",
                    found[place]
                );
            }
        }
    }
}

const SMALL: Case =
    Case { hidden: 12, ffn: 10, heads: 3, lengths: &[1, 5, 3], reach: Some(1), is_normed: true };
/// Three blocks of queries, whose windows overlap.
const LONG: Case =
    Case { hidden: 4, ffn: 3, heads: 1, lengths: &[130, 3], reach: Some(20), is_normed: false };
const GLOBAL: Case =
    Case { hidden: 4, ffn: 3, heads: 2, lengths: &[70], reach: None, is_normed: true };

#[test]
fn every_level_computes_the_gradients_of_the_pre_norm_layer_that_differences_give() {
    check(SMALL, 1, Precision::F32, TOLERANCE);
    check(LONG, 17, Precision::F32, TOLERANCE);
    check(GLOBAL, 7, Precision::F32, TOLERANCE);
}

#[test]
fn bfloat16_computes_the_gradients_of_the_pre_norm_layer_to_its_precision() {
    check(SMALL, 1, Precision::Bf16, BF16_TOLERANCE);
}

#[test]
fn an_empty_batch_has_no_gradient_in_a_pre_norm_layer() {
    let case = Case { lengths: &[], ..SMALL };
    for precision in [Precision::F32, Precision::Bf16] {
        let (layer, spec) = (PreNormLayer::new(&case), case.spec(false, precision));
        let saved = forward(&layer.x, &layer.weights(), &spec, true).1.expect("kept");
        let (d_x, d_weights) = backward(&layer.x, &layer.weights(), &saved, &spec, vec![]);
        assert!(d_x.is_empty());
        for (gradient, weight) in d_weights.iter().zip(&layer.weights) {
            assert_eq!(gradient.len(), weight.len());
            assert!(gradient.iter().all(|value| *value == 0.0));
        }
    }
}
