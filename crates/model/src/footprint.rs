//! How much memory training takes, as far as the shapes say it, and which batch fits.

use crate::engine::TOKENS_APART;
use crate::spec::{NormPlacement, Spec};
use whetstone_kernels::{KEPT_LENGTH, Precision};

/// The program, its tokenizer and what the allocator holds back.
const REST: u64 = 100 << 20;
/// A number is an f32.
const NUMBER: u64 = 4;

/// What a batch of training looks like.
#[derive(Clone, Copy, Debug)]
pub struct TrainingBatch {
    pub pairs: usize,
    /// Of each pair.
    pub tokens: usize,
    /// Whether layers are computed again in the backward pass. Without kernels they are not.
    pub gradient_checkpointing: bool,
    /// Whether it trains on a GPU, whose kernels compute the probabilities of attention again, and no
    /// layer.
    pub is_on_gpu: bool,
}

/// How a batch that did not fit can be made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// The largest half, quarter and so on of the pairs that fits, as long as before; 0 for none.
    pub pairs: usize,
    /// The same of their tokens, in as many pairs as before.
    pub tokens: usize,
}

/// Returns what fits into `limit` bytes of a batch that was too large, by `bytes` of a batch. An
/// unknown limit counts as one that a half fits into.
pub fn fitting(
    batch: TrainingBatch,
    limit: Option<u64>,
    bytes: impl Fn(TrainingBatch) -> u64,
) -> Fitting {
    let fits = |batch| limit.is_none_or(|limit| bytes(batch) <= limit);
    let halves = |whole: usize| {
        std::iter::successors(Some(whole / 2), |part| Some(part / 2)).take_while(|part| *part > 0)
    };
    let pairs = halves(batch.pairs).find(|&pairs| fits(TrainingBatch { pairs, ..batch }));
    let tokens = halves(batch.tokens).find(|&tokens| fits(TrainingBatch { tokens, ..batch }));
    Fitting { pairs: pairs.unwrap_or(0), tokens: tokens.unwrap_or(0) }
}

/// Returns about how many bytes training takes.
///
/// For each parameter there are its value, its gradient and the optimizer's two moments. For each
/// token of a batch there are what every layer keeps for the backward pass, and what one layer
/// computes in it. With checkpointing, a layer keeps its input, and one at a time the rest.
/// `docs/models.md` gives the formula and what was measured.
pub fn training_bytes(spec: &Spec, parameters: usize, batch: TrainingBatch) -> u64 {
    let TrainingBatch { pairs, tokens, gradient_checkpointing, is_on_gpu } = batch;
    let [layers, hidden, ffn, heads] = [spec.layers, spec.hidden, spec.ffn, spec.heads];
    let probabilities = match spec.has_kernels() && (is_on_gpu || tokens > KEPT_LENGTH) {
        true => 0,
        false => heads * tokens,
    };
    let kept = match spec.norm {
        // Input, query, key, value, attended, two normalised vectors and the one between; the
        // feed-forward part before and after its function, which a GPU computes again; the
        // probabilities of attention.
        NormPlacement::AfterResidual if is_on_gpu => 8 * hidden + ffn + probabilities,
        NormPlacement::AfterResidual => 8 * hidden + 2 * ffn + probabilities,
        // Input, query, key, value, attended, two normalised vectors; the two halves of the gate.
        NormPlacement::BeforeSublayer => 7 * hidden + 2 * ffn,
    };
    // A GPU has the probabilities of a layer, the same after dropout, and their gradients.
    let backward = 6 * hidden + 2 * ffn + if is_on_gpu { 3 * heads * tokens } else { 0 };
    let of_token = match gradient_checkpointing && spec.has_kernels() && !is_on_gpu {
        true => layers * hidden + kept + backward,
        false => layers * kept + backward,
    };
    let step = 4 * parameters + pairs * tokens * of_token;
    REST + NUMBER * step as u64
}

/// Returns about how many bytes the largest tensor of a training on a GPU takes: the weights one after
/// the other, or a layer's attention to a batch of so many pairs of so many tokens, in training or in
/// an evaluation, which is in f32.
pub fn largest_tensor(
    spec: &Spec,
    weights: u64,
    [pairs, tokens]: [usize; 2],
    precision: Precision,
) -> u64 {
    let attention = |at_once: usize, number: u64| (spec.heads * at_once * tokens) as u64 * number;
    let number = if precision == Precision::F32 { NUMBER } else { NUMBER / 2 };
    let trained = attention(pairs * tokens, number);
    weights.max(trained).max(attention(TOKENS_APART, NUMBER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::Architecture;
    use std::path::Path;

    fn batch(pairs: usize, tokens: usize, is_on_gpu: bool) -> TrainingBatch {
        TrainingBatch { pairs, tokens, gradient_checkpointing: false, is_on_gpu }
    }

    #[test]
    fn a_batch_is_halved_until_it_fits() {
        // 1,000 for the weights, and for each token 10 and its pair's length.
        let bytes =
            |batch: TrainingBatch| (1000 + batch.pairs * batch.tokens * (10 + batch.tokens)) as u64;
        let whole = batch(64, 100, true);
        assert_eq!(bytes(whole), 705_000);
        // 16 pairs take 177,000 and 8 take 89,000; 50 tokens take 193,000 and 25 take 57,000.
        assert_eq!(fitting(whole, Some(100_000), bytes), Fitting { pairs: 8, tokens: 25 });
        assert_eq!(fitting(whole, Some(177_000), bytes), Fitting { pairs: 16, tokens: 25 });
        assert_eq!(fitting(whole, None, bytes), Fitting { pairs: 32, tokens: 50 });
        // One pair takes 12,000; 64 of one token take 1,704.
        assert_eq!(fitting(whole, Some(2000), bytes), Fitting { pairs: 0, tokens: 1 });
        assert_eq!(fitting(whole, Some(999), bytes), Fitting { pairs: 0, tokens: 0 });
    }

    #[test]
    fn probabilities_are_kept_where_no_kernel_computes_them_again() {
        let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles");
        let of = |model: &str, batch| {
            let spec = Architecture::read(&oracles.join(model)).unwrap().spec;
            training_bytes(&spec, 1000, batch) - REST
        };
        // 2 layers of 4 heads: 8 · 32 + 2 · 64 = 384 numbers a token, and 6 · 32 + 2 · 64 = 320; a
        // GPU keeps 64 less and has 3 · 4 times the length once.
        let expected = 4 * (4000 + 600 * (2 * 384 + 320));
        assert_eq!(of("tiny-model", batch(1, 600, false)), expected);
        for tokens in [600, 100] {
            let expected = 4 * (4000 + tokens * (2 * 320 + 320 + 12 * tokens)) as u64;
            assert_eq!(of("tiny-model", batch(1, tokens, true)), expected);
        }
        let kept = 2 * (384 + 4 * 100);
        assert_eq!(of("tiny-model", batch(1, 100, false)), 4 * (4000 + 100 * (kept + 320)));
        // 3 layers: 7 · 32 + 2 · 24 = 272, and 6 · 32 + 2 · 24 = 240.
        for (is_on_gpu, of_attention) in [(false, 0), (true, 3 * 4 * 10)] {
            let found = of("tiny-modernbert", batch(2, 10, is_on_gpu));
            assert_eq!(found, 4 * (4000 + 20 * (3 * 272 + 240 + of_attention)));
        }
    }

    #[test]
    fn the_largest_tensor_is_the_weights_or_a_layer_s_attention() {
        let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles");
        let spec = Architecture::read(&oracles.join("tiny-model")).unwrap().spec;
        let of =
            |weights, pairs, precision| largest_tensor(&spec, weights, [pairs, 256], precision);
        // 4 heads; an evaluation has 16,384 tokens, and 128 pairs have 32,768.
        let evaluation = 4 * 16_384 * 256 * 4;
        assert_eq!(of(1, 32, Precision::F32), evaluation);
        assert_eq!(of(1, 128, Precision::F32), 2 * evaluation);
        assert_eq!(of(1, 128, Precision::Bf16), evaluation);
        assert_eq!(of(1 << 30, 128, Precision::F32), 1 << 30);
    }
}
