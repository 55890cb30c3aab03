//! Groups of sequences for one forward pass.

/// Splits `0..lengths.len()` into groups of at most `at_once` tokens, longest first. Sequences of
/// similar length share a group, so that padding wastes little. The largest buffers come first.
pub(crate) fn by_length(lengths: &[usize], at_once: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(lengths[i]), i));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for i in order {
        if tokens.saturating_add(lengths[i]) > at_once {
            groups.push(Vec::new());
            tokens = 0;
        }
        tokens += lengths[i];
        groups.last_mut().expect("the first sequence opens a group").push(i);
    }
    groups
}
