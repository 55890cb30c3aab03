//! For tests: the pre-norm layer in f64, written as naively as possible.

use super::{PreNormSpec, PreNormWeights, Rotation};
use crate::Precision;
use crate::dropout::Dropout;
use crate::reference::{erf, numbers, spec};

const THETA: f64 = 100.0;

/// The sizes of a test.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub hidden: usize,
    pub ffn: usize,
    pub heads: usize,
    pub lengths: &'static [usize],
    pub reach: Option<usize>,
    /// Whether a norm stands before attention.
    pub is_normed: bool,
}

/// Sequences shorter and longer than a block of queries, windows smaller and larger than both.
pub const CASES: [Case; 5] = [
    Case { hidden: 2, ffn: 1, heads: 1, lengths: &[1], reach: None, is_normed: true },
    Case { hidden: 12, ffn: 20, heads: 3, lengths: &[1, 5, 3], reach: Some(1), is_normed: true },
    Case { hidden: 8, ffn: 7, heads: 2, lengths: &[150, 1, 70], reach: Some(5), is_normed: true },
    Case { hidden: 8, ffn: 20, heads: 1, lengths: &[65, 129], reach: Some(64), is_normed: false },
    Case { hidden: 48, ffn: 33, heads: 4, lengths: &[2, 130], reach: None, is_normed: true },
];

impl Case {
    pub fn spec(&self, first_only: bool, precision: Precision) -> PreNormSpec {
        let longest = self.lengths.iter().max().copied().unwrap_or(0);
        PreNormSpec {
            layer: spec(self.lengths, self.heads, first_only, precision),
            rotation: Rotation::new(THETA, self.hidden / self.heads, longest).into(),
            reach: self.reach,
        }
    }

    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }
}

/// A layer's input and its weights, in the order of [`PreNormWeights`].
#[derive(Clone)]
pub struct PreNormLayer<T> {
    pub x: Vec<T>,
    pub weights: [Vec<T>; 6],
}

impl PreNormLayer<f32> {
    pub fn new(case: &Case) -> Self {
        let Case { hidden, ffn, is_normed, .. } = *case;
        let gamma = if is_normed { hidden } else { 0 };
        let lens =
            [gamma, 3 * hidden * hidden, hidden * hidden, hidden, 2 * hidden * ffn, ffn * hidden];
        let mut salt = 1;
        let weights = lens.map(|len| {
            salt += 1;
            numbers(len, salt).iter().map(|value| value * 0.7).collect()
        });
        Self { x: numbers(case.tokens() * hidden, 1), weights }
    }

    pub fn weights(&self) -> PreNormWeights<'_> {
        PreNormWeights::from_array(self.weights.each_ref().map(Vec::as_slice))
    }

    pub fn exact(&self) -> PreNormLayer<f64> {
        let wide = |values: &Vec<f32>| values.iter().map(|&value| f64::from(value)).collect();
        PreNormLayer { x: wide(&self.x), weights: self.weights.each_ref().map(wide) }
    }
}

/// The factor that a dropout puts on a value.
fn factor(dropout: Dropout, index: usize) -> f64 {
    let mut one = [1.0];
    dropout.apply(&mut one, index);
    f64::from(one[0])
}

impl PreNormLayer<f64> {
    pub fn forward(&self, spec: &PreNormSpec) -> Vec<f64> {
        let [gamma, qkv, wo, ffn_gamma, wi, w2] = &self.weights;
        let (hidden, layer) = (ffn_gamma.len(), &spec.layer);
        let normed =
            if gamma.is_empty() { self.x.clone() } else { norm(&self.x, gamma, layer.eps) };
        let qkv = times(&normed, qkv, hidden);
        let attended = attention(&qkv, hidden, spec);
        let tokens: Vec<usize> = match layer.first_only {
            true => layer.starts[..layer.starts.len() - 1].to_vec(),
            false => (0..self.x.len() / hidden).collect(),
        };
        let mut out = times(&attended, wo, hidden);
        for (i, out) in out.iter_mut().enumerate() {
            let residual = self.x[tokens[i / hidden] * hidden + i % hidden];
            *out = *out * factor(layer.output_dropout, i) + residual;
        }
        let gates = times(&norm(&out, ffn_gamma, layer.eps), wi, hidden);
        let ffn = w2.len() / hidden;
        let gelu = |x: f64| 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2));
        let gated: Vec<f64> = (0..tokens.len() * ffn)
            .map(|i| {
                let at = i / ffn * 2 * ffn + i % ffn;
                gelu(gates[at]) * gates[at + ffn] * factor(layer.ffn_dropout, i)
            })
            .collect();
        out.iter().zip(times(&gated, w2, ffn)).map(|(x, y)| x + y).collect()
    }
}

/// Returns x·W; x has `inner` columns.
fn times(x: &[f64], w: &[f64], inner: usize) -> Vec<f64> {
    let cols = w.len() / inner;
    let value = |row: &[f64], col: usize| (0..inner).map(|i| row[i] * w[i * cols + col]).sum();
    x.chunks_exact(inner).flat_map(|row| (0..cols).map(move |col| value(row, col))).collect()
}

fn norm(x: &[f64], gamma: &[f64], eps: f32) -> Vec<f64> {
    let count = gamma.len() as f64;
    let row = |row: &[f64]| -> Vec<f64> {
        let mean = row.iter().sum::<f64>() / count;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let scale = 1.0 / (variance + f64::from(eps)).sqrt();
        row.iter().zip(gamma).map(|(x, g)| (x - mean) * scale * g).collect()
    };
    x.chunks_exact(gamma.len()).flat_map(row).collect()
}

/// A head's column of the query (part 0) or key (part 1) of a token, turned.
fn turned(qkv: &[f64], at: usize, size: usize, column: usize, position: usize) -> f64 {
    let half = size / 2;
    let angle = position as f64 / THETA.powf(2.0 * (column % half) as f64 / size as f64);
    let (first, second) = (qkv[at + column % half], qkv[at + column % half + half]);
    match column < half {
        true => first * angle.cos() - second * angle.sin(),
        false => second * angle.cos() + first * angle.sin(),
    }
}

fn attention(qkv: &[f64], hidden: usize, spec: &PreNormSpec) -> Vec<f64> {
    let layer = &spec.layer;
    let size = hidden / layer.heads;
    let mut attended = Vec::new();
    let mut before = 0;
    for span in layer.starts.windows(2) {
        let len = span[1] - span[0];
        let rows = if layer.first_only { 1 } else { len };
        let at = |token: usize, part: usize| ((span[0] + token) * 3 + part) * hidden;
        for query in 0..rows {
            for head in 0..layer.heads {
                let sees = |key: usize| spec.reach.is_none_or(|r| key.abs_diff(query) <= r);
                let score = |key: usize| -> f64 {
                    let along = |c: usize| {
                        turned(qkv, at(query, 0) + head * size, size, c, query)
                            * turned(qkv, at(key, 1) + head * size, size, c, key)
                    };
                    ((0..size).map(along).sum::<f64>() / (size as f64).sqrt()).exp()
                };
                let seen: Vec<usize> = (0..len).filter(|&key| sees(key)).collect();
                let scores: Vec<f64> = seen.iter().map(|&key| score(key)).collect();
                let sum: f64 = scores.iter().sum();
                let first = before + head * rows * len + query * len;
                for column in 0..size {
                    let part = |(score, &key): (&f64, &usize)| {
                        let kept = factor(layer.attention_dropout, first + key);
                        score / sum * kept * qkv[at(key, 2) + head * size + column]
                    };
                    attended.push(scores.iter().zip(&seen).map(part).sum());
                }
            }
        }
        before += layer.heads * rows * len;
    }
    attended
}
