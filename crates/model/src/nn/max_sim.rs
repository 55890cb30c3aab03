//! From the vectors of a batch's tokens to a score for each pair.

use crate::batch::{Compared, Packed};
use crate::engine::values;
use crate::late_interaction::dot;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;

/// The shortest vector that is divided by its own length.
const SHORTEST: f32 = 1e-12;
/// Added to the product with a row that matches nothing. Products of vectors of length 1 are from −1
/// to 1.
const BARRED: f32 = -4.0;

/// Late interaction: each token of a query is compared with the passage's token most like it.
#[derive(Module, Debug)]
pub struct MaxSim {
    /// Before the comparison; none where the encoder's own vectors are compared. Training leaves it
    /// as it is.
    pub(crate) projection: Option<Linear>,
}

/// The rows that are compared with each other, pair by pair.
struct Matches {
    queries: Vec<i32>,
    passages: Vec<i32>,
    /// How many of them each pair has.
    of_pair: Vec<usize>,
}

impl MaxSim {
    /// # Shapes
    /// - rows: `[rows, hidden]`
    /// - output: `[rows, width]`
    pub fn project(&self, rows: Tensor<2>) -> Tensor<2> {
        match &self.projection {
            Some(projection) => projection.forward(rows),
            None => rows,
        }
    }

    /// Returns the maximum similarity of each pair. No gradient flows through the choice of the
    /// tokens that match.
    ///
    /// # Shapes
    /// - rows: `[rows, hidden]`, the tokens of a sequence one after the other
    /// - output: `[pairs]`
    pub fn forward(&self, rows: Tensor<2>, batch: &Packed, stride: Option<usize>) -> Tensor<1> {
        let rows = self.project(rows); // [rows, width]
        let lengths = rows.clone().powi_scalar(2).sum_dim(1).sqrt().clamp_min(SHORTEST);
        let vectors = rows / lengths; // [rows, width]
        let compared = batch.compared.as_ref().expect("its tokenizer makes pairs of two texts");
        match stride {
            None => matched_on_host(vectors, (batch, compared)),
            Some(stride) => matched_on_device(vectors, (batch, compared), stride),
        }
    }
}

/// Returns the maximum similarity of each pair, `[pairs]`, of `vectors` without padding. The host
/// decides which tokens match.
fn matched_on_host(vectors: Tensor<2>, (batch, compared): (&Packed, &Compared)) -> Tensor<1> {
    let (width, device) = (vectors.dims()[1], vectors.device());
    let matches = Matches::find(&values(vectors.clone()), width, (batch, compared));
    let Matches { queries, passages, of_pair } = matches;
    let (count, pairs) = (queries.len(), of_pair.len());
    let mut shares = vec![0f32; pairs * count];
    let mut first = 0;
    for (row, own) in shares.chunks_exact_mut(count.max(1)).zip(of_pair) {
        row[first..first + own].fill(1.0);
        first += own;
    }
    let shares = Tensor::<2>::from_data(TensorData::new(shares, [pairs, count]), &device);
    let queries = vectors.clone().select(0, places(queries, &device)); // [matches, width]
    let passages = vectors.select(0, places(passages, &device)); // [matches, width]
    let products = (queries * passages).sum_dim(1); // [matches, 1]
    shares.matmul(products).squeeze_dim(1) // [pairs]
}

/// The same where each sequence has `stride` rows, those past its tokens being padding. Nobody waits
/// for the device.
fn matched_on_device(
    vectors: Tensor<2>,
    (batch, compared): (&Packed, &Compared),
    stride: usize,
) -> Tensor<1> {
    let ([rows, width], device) = (vectors.dims(), vectors.device());
    let pairs = compared.pairs.len();
    let len = |sequence: usize| batch.starts[sequence + 1] - batch.starts[sequence];
    let longest = compared.pairs.iter().map(|&[query, _]| len(query)).max().unwrap_or(0);
    let (mut asked, mut counts) = (vec![], vec![]); // [pairs · longest]
    let mut barred = vec![BARRED; pairs * stride];
    for (&[query, passage], barred) in compared.pairs.iter().zip(barred.chunks_exact_mut(stride)) {
        let skipped = &compared.skipped[batch.starts[passage]..batch.starts[passage + 1]];
        for (barred, _) in barred.iter_mut().zip(skipped).filter(|(_, skipped)| !**skipped) {
            *barred = 0.0;
        }
        let any = skipped.iter().any(|skipped| !skipped);
        for token in 0..longest {
            let is_token = token < len(query);
            asked.push((query * stride + if is_token { token } else { 0 }) as i32);
            counts.push(if is_token && any { 1.0f32 } else { 0.0 });
        }
    }
    let first_row = |&[_, passage]: &[usize; 2]| (passage * stride) as i32;
    let first_rows: Vec<i32> = compared.pairs.iter().map(first_row).collect();
    let side = |of: usize| {
        places(compared.pairs.iter().map(|pair| pair[of] as i32).collect(), &device) // [pairs]
    };

    let sequences = vectors.clone().detach().reshape([rows / stride, stride, width]);
    let queries = sequences.clone().select(0, side(0)).narrow(1, 0, longest);
    let products = queries.matmul(sequences.select(0, side(1)).swap_dims(1, 2));
    let barred = Tensor::<3>::from_data(TensorData::new(barred, [pairs, 1, stride]), &device);
    let best = (products + barred).argmax(2).reshape([pairs, longest]); // of [.., .., stride]
    let best = best + places(first_rows, &device).reshape([pairs, 1]);

    let queries = vectors.clone().select(0, places(asked, &device)); // [pairs · longest, width]
    let passages = vectors.select(0, best.reshape([pairs * longest]));
    let products = (queries * passages).sum_dim(1).reshape([pairs, longest]);
    let counts = Tensor::<2>::from_data(TensorData::new(counts, [pairs, longest]), &device);
    (products * counts).sum_dim(1).squeeze_dim(1) // [pairs]
}

fn places(rows: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let len = rows.len();
    Tensor::from_data(TensorData::new(rows, [len]), device)
}

impl Matches {
    /// Finds, for every token of each pair's query, the passage's token with the greatest product.
    ///
    /// # Shapes
    /// - vectors: `[rows, width]`
    fn find(vectors: &[f32], width: usize, (batch, compared): (&Packed, &Compared)) -> Self {
        let vector = |row: usize| &vectors[row * width..(row + 1) * width];
        let tokens = |sequence: usize| batch.starts[sequence]..batch.starts[sequence + 1];
        let of_pair = |&[query, passage]: &[usize; 2]| -> Vec<[i32; 2]> {
            let seen = tokens(passage).filter(|&token| !compared.skipped[token]);
            let seen: Vec<usize> = seen.collect();
            let best = |own: usize| {
                let products = seen.iter().map(|&other| (dot(vector(own), vector(other)), other));
                let best = products.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))?;
                Some([own as i32, best.1 as i32])
            };
            tokens(query).filter_map(best).collect()
        };
        let found: Vec<Vec<[i32; 2]>> = compared.pairs.par_iter().map(of_pair).collect();
        let of_pair = found.iter().map(Vec::len).collect();
        let found = || found.iter().flatten();
        Self {
            queries: found().map(|[query, _]| *query).collect(),
            passages: found().map(|[_, passage]| *passage).collect(),
            of_pair,
        }
    }
}
