//! Turns logits into probabilities.

use crate::reliability::{Bin, expected_calibration_error, log_loss, reliability};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A pair of dev with the model's logit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Number of the query; cross-fitting keeps the pairs of a query together.
    pub query: usize,
    pub logit: f64,
    pub relevant: bool,
}

/// Maps a logit to the probability that the passage is relevant. The map rises, so it keeps the
/// order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Scaling {
    /// σ(a · logit + b), a > 0 (Platt 1999).
    Platt { a: f64, b: f64 },
    /// σ(logit / temperature), temperature > 0 (Guo et al. 2017).
    Temperature { temperature: f64 },
}

impl Scaling {
    /// Leaves the logit as it is: σ(logit).
    pub const IDENTITY: Scaling = Scaling::Temperature { temperature: 1.0 };

    /// Returns the probability, in 0..=1.
    pub fn probability(self, logit: f64) -> f64 {
        match self {
            Scaling::Platt { a, b } => sigmoid(a * logit + b),
            Scaling::Temperature { temperature } => sigmoid(logit / temperature),
        }
    }
}

impl fmt::Display for Scaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scaling::Platt { a, b } => write!(f, "Platt scaling, a = {a:.4}, b = {b:.4}"),
            Scaling::Temperature { temperature } => write!(f, "temperature {temperature:.4}"),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    // Written so that neither branch overflows.
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Why no calibration is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncalibrated {
    /// All dev pairs are relevant, or none is.
    OneClass { relevant: usize, pairs: usize },
    /// Cross-fitting needs two queries with a relevant pair.
    FewQueries { queries: usize },
    /// The logits do not rise with relevance.
    Inverted,
}

impl fmt::Display for Uncalibrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uncalibrated::OneClass { relevant, pairs } => {
                write!(
                    f,
                    "no calibration: {relevant} of {pairs} dev pairs are relevant, and both kinds are needed"
                )
            }
            Uncalibrated::FewQueries { queries } => {
                write!(
                    f,
                    "no calibration: {queries} dev queries with a relevant candidate, at least 2 are needed"
                )
            }
            Uncalibrated::Inverted => {
                f.write_str("no calibration: on dev the model's logits do not rise with relevance")
            }
        }
    }
}

/// Fits Platt scaling to Platt's smoothed targets, by Newton's method with a line search (Lin, Lin
/// and Weng, A note on Platt's probabilistic outputs, 2007). The problem is convex.
///
/// # Errors
/// All pairs are of one class, or the slope is not positive and would reverse the order.
pub fn platt(pairs: &[Judged]) -> Result<Scaling, Uncalibrated> {
    let (positives, negatives) = classes(pairs)?;
    let (high, low) = ((positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0));
    let target = |pair: &Judged| if pair.relevant { high } else { low };
    let loss = |a: f64, b: f64| -> f64 {
        let one =
            |pair: &Judged| softplus(a * pair.logit + b) - target(pair) * (a * pair.logit + b);
        pairs.iter().map(one).sum()
    };
    // b starts at the log odds of the classes, a at 0.
    let (mut a, mut b) = (0.0, ((positives + 1.0) / (negatives + 1.0)).ln());
    let mut value = loss(a, b);
    for _ in 0..100 {
        let (gradient, [aa, ab, bb]) = derivatives(pairs, a, b, target);
        if gradient[0].abs().max(gradient[1].abs()) < 1e-9 * pairs.len() as f64 {
            break;
        }
        let determinant = aa * bb - ab * ab;
        let step_a = (ab * gradient[1] - bb * gradient[0]) / determinant;
        let step_b = (ab * gradient[0] - aa * gradient[1]) / determinant;
        let slope = gradient[0] * step_a + gradient[1] * step_b;
        let halvings = (0..40).map(|halving| 0.5f64.powi(halving));
        let mut tried = halvings.map(|share| (share, loss(a + share * step_a, b + share * step_b)));
        let Some((share, better)) =
            tried.find(|(share, loss)| *loss < value + 1e-4 * share * slope)
        else {
            break;
        };
        (a, b, value) = (a + share * step_a, b + share * step_b, better);
    }
    if a > 0.0 { Ok(Scaling::Platt { a, b }) } else { Err(Uncalibrated::Inverted) }
}

/// Returns the gradient and the Hessian (aa, ab, bb) of the log loss in a and b.
fn derivatives(
    pairs: &[Judged],
    a: f64,
    b: f64,
    target: impl Fn(&Judged) -> f64,
) -> ([f64; 2], [f64; 3]) {
    // Keeps the matrix invertible if all logits are equal.
    const RIDGE: f64 = 1e-10;
    let (mut gradient, mut hessian) = ([0.0; 2], [RIDGE, 0.0, RIDGE]);
    for pair in pairs {
        let probability = sigmoid(a * pair.logit + b);
        let (error, curvature) = (probability - target(pair), probability * (1.0 - probability));
        gradient[0] += error * pair.logit;
        gradient[1] += error;
        hessian[0] += curvature * pair.logit * pair.logit;
        hessian[1] += curvature * pair.logit;
        hessian[2] += curvature;
    }
    (gradient, hessian)
}

/// Fits the temperature with the lowest log loss, by bisection on the derivative, which rises with
/// 1 / temperature.
///
/// # Errors
/// All pairs are of one class, or no temperature in 0.001..=1000 is best.
pub fn temperature(pairs: &[Judged]) -> Result<Scaling, Uncalibrated> {
    classes(pairs)?;
    let slope = |inverse: f64| -> f64 {
        let one = |pair: &Judged| {
            (sigmoid(inverse * pair.logit) - f64::from(u8::from(pair.relevant))) * pair.logit
        };
        pairs.iter().map(one).sum()
    };
    let (mut low, mut high) = (1e-3f64, 1e3f64);
    if slope(low) >= 0.0 || slope(high) <= 0.0 {
        return Err(Uncalibrated::Inverted);
    }
    for _ in 0..200 {
        let middle = (low * high).sqrt();
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    Ok(Scaling::Temperature { temperature: 1.0 / (low * high).sqrt() })
}

/// Returns the numbers of relevant and of other pairs.
fn classes(pairs: &[Judged]) -> Result<(f64, f64), Uncalibrated> {
    let relevant = pairs.iter().filter(|pair| pair.relevant).count();
    if relevant == 0 || relevant == pairs.len() {
        return Err(Uncalibrated::OneClass { relevant, pairs: pairs.len() });
    }
    Ok((relevant as f64, (pairs.len() - relevant) as f64))
}

/// Number of parts into which cross-fitting divides dev.
const FOLDS: usize = 5;

/// A scaling, and how well probabilities hold with and without it.
///
/// The values of `after` are cross-fitted: each fifth of the queries is scaled by a fit on the
/// others, so they describe queries that the fit has not seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    #[serde(flatten)]
    pub scaling: Scaling,
    /// Expected calibration error of σ(logit), over ten bins.
    pub ece_before: f64,
    /// The same of the scaled probabilities.
    pub ece_after: f64,
    /// Mean log loss of σ(logit), in nats.
    pub log_loss_before: f64,
    /// The same of the scaled probabilities.
    pub log_loss_after: f64,
    pub bins_before: Vec<Bin>,
    pub bins_after: Vec<Bin>,
}

/// Fits Platt scaling and a temperature and returns the one with the lower cross-fitted log loss;
/// Platt if they tie.
///
/// # Errors
/// Dev is too small for a fit, or neither scaling keeps the model's order.
pub fn calibrate(pairs: &[Judged]) -> Result<Calibration, Uncalibrated> {
    let mut queries: Vec<usize> =
        pairs.iter().filter(|pair| pair.relevant).map(|pair| pair.query).collect();
    queries.sort_unstable();
    queries.dedup();
    classes(pairs)?;
    if queries.len() < 2 {
        return Err(Uncalibrated::FewQueries { queries: queries.len() });
    }
    let attempt = |fit: Fit| Ok((fit(pairs)?, cross_fitted(pairs, &queries, fit)?));
    let mut attempts: [Result<(Scaling, Vec<f64>), Uncalibrated>; 2] =
        [attempt(platt), attempt(temperature)];
    let relevant: Vec<bool> = pairs.iter().map(|pair| pair.relevant).collect();
    let loss = |attempt: &Result<(Scaling, Vec<f64>), Uncalibrated>| {
        attempt
            .as_ref()
            .map_or(f64::INFINITY, |(_, probabilities)| log_loss(probabilities, &relevant))
    };
    let best = usize::from(loss(&attempts[1]) < loss(&attempts[0]));
    let (scaling, after) = std::mem::replace(&mut attempts[best], Err(Uncalibrated::Inverted))?;
    let before: Vec<f64> =
        pairs.iter().map(|pair| Scaling::IDENTITY.probability(pair.logit)).collect();
    let (bins_before, bins_after) =
        (reliability(&before, &relevant), reliability(&after, &relevant));
    Ok(Calibration {
        scaling,
        ece_before: expected_calibration_error(&bins_before),
        ece_after: expected_calibration_error(&bins_after),
        log_loss_before: log_loss(&before, &relevant),
        log_loss_after: log_loss(&after, &relevant),
        bins_before,
        bins_after,
    })
}

type Fit = fn(&[Judged]) -> Result<Scaling, Uncalibrated>;

/// Returns the probability of every pair by a fit on the other folds. `queries` lists those with a
/// relevant pair, in order. They are dealt out over the folds, so that every fit sees relevant
/// pairs. The other queries go by their number.
fn cross_fitted(pairs: &[Judged], queries: &[usize], fit: Fit) -> Result<Vec<f64>, Uncalibrated> {
    let folds = FOLDS.min(queries.len());
    let fold = |pair: &Judged| queries.binary_search(&pair.query).unwrap_or(pair.query) % folds;
    let mut probabilities = vec![0.0; pairs.len()];
    for held_out in 0..folds {
        let others: Vec<Judged> =
            pairs.iter().filter(|pair| fold(pair) != held_out).copied().collect();
        let scaling = fit(&others)?;
        for (pair, probability) in
            pairs.iter().zip(&mut probabilities).filter(|(pair, _)| fold(pair) == held_out)
        {
            *probability = scaling.probability(pair.logit);
        }
    }
    Ok(probabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(scored: &[(usize, f64, bool)]) -> Vec<Judged> {
        scored.iter().map(|&(query, logit, relevant)| Judged { query, logit, relevant }).collect()
    }

    #[test]
    fn separable_pairs_get_a_finite_scaling() {
        let separable =
            pairs(&[(0, 5.0, true), (0, -5.0, false), (1, 4.0, true), (1, -3.0, false)]);
        let Scaling::Platt { a, b } = platt(&separable).unwrap() else { panic!() };
        assert!(a > 0.0 && a.is_finite() && b.is_finite(), "{a} {b}");
    }

    #[test]
    fn what_cannot_be_calibrated_says_why() {
        let one = pairs(&[(0, 1.0, true), (1, 2.0, true)]);
        assert_eq!(calibrate(&one), Err(Uncalibrated::OneClass { relevant: 2, pairs: 2 }));
        let inverted = pairs(&[(0, -3.0, true), (0, 3.0, false), (1, -2.0, true), (1, 2.0, false)]);
        assert_eq!(calibrate(&inverted), Err(Uncalibrated::Inverted));
        let lonely = pairs(&[(0, 1.0, true), (1, -2.0, false)]);
        assert_eq!(calibrate(&lonely), Err(Uncalibrated::FewQueries { queries: 1 }));
        let flat = pairs(&[(0, 1.0, true), (0, 1.0, false), (1, 1.0, true), (1, 1.0, false)]);
        assert!(calibrate(&flat).is_err());
    }

    #[test]
    fn far_logits_do_not_overflow() {
        for logit in [-1e6, 1e6] {
            let probability = Scaling::Platt { a: 3.0, b: 1.0 }.probability(logit);
            assert!((0.0..=1.0).contains(&probability));
        }
        let far = pairs(&[
            (0, 800.0, true),
            (0, -900.0, false),
            (1, 700.0, false),
            (1, -800.0, true),
            (2, 600.0, true),
        ]);
        assert!(platt(&far).is_ok());
    }
}
