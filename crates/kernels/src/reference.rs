//! For tests: the encoder layer in f64, written as naively as possible, and numbers to run it on.

use crate::Precision;
use crate::layer::{LayerSpec, LayerWeights};

/// Returns random-looking numbers in -1..1, the same everywhere.
pub fn numbers(len: usize, salt: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + salt * 104_729) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// Computes erf by its Maclaurin series, independently of the kernels.
pub fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / n as f64;
        sum += term / (2 * n + 1) as f64;
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// A layer's input and its weights, in the order of [`LayerWeights`].
#[derive(Clone)]
pub struct Layer<T> {
    pub x: Vec<T>,
    pub weights: [Vec<T>; 16],
}

impl Layer<f32> {
    /// Returns a layer of that size, with an input for sequences of these lengths.
    pub fn new(hidden: usize, ffn: usize, lengths: &[usize]) -> Self {
        let tokens: usize = lengths.iter().sum();
        let (square, wide) = (hidden * hidden, hidden * ffn);
        let lens = [
            square, hidden, square, hidden, square, hidden, square, hidden, hidden, hidden, wide,
            ffn, wide, hidden, hidden, hidden,
        ];
        let mut salt = 1;
        let weights = lens.map(|len| {
            salt += 1;
            numbers(len, salt).iter().map(|value| value * 0.7).collect()
        });
        Self { x: numbers(tokens * hidden, 1), weights }
    }

    pub fn weights(&self) -> LayerWeights<'_> {
        LayerWeights::from_array(self.weights.each_ref().map(Vec::as_slice))
    }

    pub fn exact(&self) -> Layer<f64> {
        let wide = |values: &Vec<f32>| values.iter().map(|&value| f64::from(value)).collect();
        Layer { x: wide(&self.x), weights: self.weights.each_ref().map(wide) }
    }
}

pub fn spec(lengths: &[usize], heads: usize, first_only: bool, precision: Precision) -> LayerSpec {
    let mut starts = vec![0];
    lengths.iter().for_each(|length| starts.push(starts[starts.len() - 1] + length));
    LayerSpec {
        starts: starts.into(),
        heads,
        eps: 1e-5,
        first_only,
        precision,
        recompute: false,
        attention_dropout: Default::default(),
        output_dropout: Default::default(),
        ffn_dropout: Default::default(),
    }
}

/// Dropout's factor for each value; empty without dropout.
#[derive(Clone, Default)]
pub struct Factors {
    pub attention: Vec<f64>,
    pub output: Vec<f64>,
    pub ffn: Vec<f64>,
}

impl Layer<f64> {
    pub fn forward(&self, spec: &LayerSpec, factors: &Factors) -> Vec<f64> {
        let [wq, bq, wk, bk, wv, bv, wo, bo, g1, b1, w1, c1, w2, c2, g2, b2] = &self.weights;
        let hidden = bq.len();
        let first = |x: &[f64]| -> Vec<f64> {
            let sequences = &spec.starts[..spec.starts.len() - 1];
            sequences.iter().flat_map(|&s| x[s * hidden..(s + 1) * hidden].to_vec()).collect()
        };
        let residual = if spec.first_only { first(&self.x) } else { self.x.clone() };
        let (query, key, value) =
            (linear(&residual, wq, bq), linear(&self.x, wk, bk), linear(&self.x, wv, bv));
        let attended = attention([&query, &key, &value], hidden, spec, &factors.attention);
        let attended = times(linear(&attended, wo, bo), &factors.output);
        let middle = norm(&attended, &residual, g1, b1, spec.eps);
        let gelu = |x: &f64| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2));
        let inner: Vec<f64> = linear(&middle, w1, c1).iter().map(gelu).collect();
        norm(&times(linear(&inner, w2, c2), &factors.ffn), &middle, g2, b2, spec.eps)
    }
}

fn linear(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let (out, inner) = (bias.len(), weight.len() / bias.len());
    let value = |row: &[f64], col: usize| {
        bias[col] + (0..inner).map(|i| row[i] * weight[i * out + col]).sum::<f64>()
    };
    x.chunks_exact(inner).flat_map(|row| (0..out).map(move |col| value(row, col))).collect()
}

fn attention(
    [query, key, value]: [&[f64]; 3],
    hidden: usize,
    spec: &LayerSpec,
    factors: &[f64],
) -> Vec<f64> {
    let size = hidden / spec.heads;
    let mut attended = vec![0.0; query.len()];
    let mut probability = 0;
    for (index, pair) in spec.starts.windows(2).enumerate() {
        let rows = if spec.first_only { index..index + 1 } else { pair[0]..pair[1] };
        for columns in (0..spec.heads).map(|head| head * size..(head + 1) * size) {
            for row in rows.clone() {
                let score = |token: usize| {
                    let along = |c: usize| query[row * hidden + c] * key[token * hidden + c];
                    (columns.clone().map(along).sum::<f64>() / (size as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = (pair[0]..pair[1]).map(score).collect();
                let sum: f64 = scores.iter().sum();
                for (token, score) in (pair[0]..pair[1]).zip(scores) {
                    let weight = score / sum * factors.get(probability).unwrap_or(&1.0);
                    probability += 1;
                    for c in columns.clone() {
                        attended[row * hidden + c] += weight * value[token * hidden + c];
                    }
                }
            }
        }
    }
    attended
}

fn times(x: Vec<f64>, factors: &[f64]) -> Vec<f64> {
    if factors.is_empty() {
        return x;
    }
    x.iter().zip(factors).map(|(x, factor)| x * factor).collect()
}

fn norm(x: &[f64], residual: &[f64], gamma: &[f64], beta: &[f64], eps: f32) -> Vec<f64> {
    let hidden = gamma.len() as f64;
    let sums: Vec<f64> = x.iter().zip(residual).map(|(x, r)| x + r).collect();
    let row = |row: &[f64]| -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / hidden;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / hidden;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        row.iter().zip(gamma).zip(beta).map(|((x, g), b)| (x - mean) * scale * g + b).collect()
    };
    sums.chunks_exact(gamma.len()).flat_map(row).collect()
}
