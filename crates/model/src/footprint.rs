//! How much memory training takes on a CPU, as far as the shapes say it.

use crate::spec::{NormPlacement, Spec};
use whetstone_kernels::KEPT_LENGTH;

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
}

/// Returns about how many bytes training takes.
///
/// For each parameter there are its value, its gradient and the optimizer's two moments. For each
/// token of a batch there are what every layer keeps for the backward pass, and what one layer
/// computes in it. With checkpointing, a layer keeps its input, and one at a time the rest.
/// `docs/models.md` gives the formula and what was measured.
pub fn training_bytes(spec: &Spec, parameters: usize, batch: TrainingBatch) -> u64 {
    let TrainingBatch { pairs, tokens, gradient_checkpointing } = batch;
    let [layers, hidden, ffn, heads] = [spec.layers, spec.hidden, spec.ffn, spec.heads];
    let probabilities = match spec.has_kernels() && tokens > KEPT_LENGTH {
        true => 0,
        false => heads * tokens,
    };
    let kept = match spec.norm {
        // Input, query, key, value, attended, two normalised vectors and the one between; the
        // feed-forward part before and after its function; the probabilities of attention.
        NormPlacement::AfterResidual => 8 * hidden + 2 * ffn + probabilities,
        // Input, query, key, value, attended, two normalised vectors; the two halves of the gate.
        NormPlacement::BeforeSublayer => 7 * hidden + 2 * ffn,
    };
    let backward = 6 * hidden + 2 * ffn;
    let of_token = match gradient_checkpointing && spec.has_kernels() {
        true => layers * hidden + kept + backward,
        false => layers * kept + backward,
    };
    let step = 4 * parameters + pairs * tokens * of_token;
    REST + NUMBER * step as u64
}
