//! Groups of sequences that run through the network together.

/// Tokens of one forward pass: enough to fill the matrix products, little enough to stay near the
/// caches.
const TOKENS: usize = 4096;

/// Splits `0..lengths.len()` into groups of at most [`TOKENS`] tokens, longest first: sequences of
/// one length together, so that devices that pad waste little, and the biggest buffers are
/// allocated first.
pub(crate) fn by_length(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lengths[i]), i));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for i in order {
        if tokens.saturating_add(lengths[i]) > TOKENS {
            groups.push(Vec::new());
            tokens = 0;
        }
        tokens += lengths[i];
        groups.last_mut().expect("the first sequence opens a group").push(i);
    }
    groups
}
