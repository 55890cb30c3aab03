//! How much memory training takes on a CPU, as far as the shapes say it.

use crate::spec::{NormPlacement, Spec};

/// The program, its tokenizer and what the allocator holds back.
const REST: u64 = 100 << 20;
/// A number is an f32.
const NUMBER: u64 = 4;

/// Returns about how many bytes training takes.
///
/// For each parameter there are its value, its gradient and the optimizer's two moments; while a
/// checkpoint is written, value and moments twice instead. For each token of a batch there are what
/// every layer keeps for the backward pass, and what one layer computes in it. `docs/models.md`
/// gives the formula and what was measured.
pub fn training_bytes(
    spec: &Spec,
    parameters: usize,
    batch_pairs: usize,
    pair_tokens: usize,
) -> u64 {
    let [layers, hidden, ffn, heads] = [spec.layers, spec.hidden, spec.ffn, spec.heads];
    let kept = match spec.norm {
        // Input, query, key, value, attended, two normalised vectors and the one between; the
        // feed-forward part before and after its function; the probabilities of attention.
        NormPlacement::AfterResidual => 8 * hidden + 2 * ffn + heads * pair_tokens,
        // Input, query, key, value, attended, two normalised vectors; the two halves of the gate.
        NormPlacement::BeforeSublayer => 7 * hidden + 2 * ffn,
    };
    let backward = 6 * hidden + 2 * ffn;
    let step = 4 * parameters + batch_pairs * pair_tokens * (layers * kept + backward);
    let checkpoint = 6 * parameters;
    REST + NUMBER * step.max(checkpoint) as u64
}
