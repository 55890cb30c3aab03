//! Which pairs go through the network next.

use crate::served::Prepared;
use std::cmp::Reverse;

/// The pairs of a request that are still to be scored.
#[derive(Clone, Debug)]
pub struct Remaining {
    /// Pairs by length, longest first, and the length of each.
    order: Vec<(usize, usize)>,
    /// How many of them are scored.
    scored: usize,
    pub tokens: usize,
}

impl Remaining {
    pub fn of(prepared: &Prepared) -> Self {
        Self::of_pairs(prepared, 0..prepared.lengths.len())
    }

    /// Of some pairs of the request.
    pub fn of_pairs(prepared: &Prepared, pairs: impl IntoIterator<Item = usize>) -> Self {
        let mut order: Vec<(usize, usize)> =
            pairs.into_iter().map(|pair| (pair, prepared.lengths[pair])).collect();
        order.sort_by_key(|&(pair, length)| (Reverse(length), pair));
        let tokens = order.iter().map(|&(_, length)| length).sum();
        Self { order, scored: 0, tokens }
    }

    pub fn is_empty(&self) -> bool {
        self.scored == self.order.len()
    }

    /// Takes the next pair if it has at most `room` tokens.
    fn take(&mut self, room: usize) -> Option<(usize, usize)> {
        let (pair, length) = *self.order.get(self.scored)?;
        (length <= room).then(|| {
            self.scored += 1;
            self.tokens -= length;
            (pair, length)
        })
    }
}

/// Takes the pairs of the next batch, of at most so many tokens, out of the waiting requests, as
/// (request, pair). A request that is alone gives the batches of [`whetstone_model::CrossEncoder`],
/// and so the same bits. The oldest request gets all of it, or half of it if others wait. The other
/// half goes to those that are nearest to their end: so no request starves, and a small one passes by
/// a large one.
pub fn next(waiting: &mut [&mut Remaining], tokens: usize) -> Vec<(usize, usize)> {
    let mut batch = Batch::default();
    let share = if waiting.len() > 1 { tokens / 2 } else { tokens };
    if let Some(oldest) = waiting.first_mut() {
        batch.fill(0, oldest, share);
    }
    let mut others: Vec<usize> = (0..waiting.len()).collect();
    others.sort_by_key(|&request| waiting[request].tokens);
    for request in others {
        batch.fill(request, waiting[request], tokens);
    }
    batch.pairs
}

#[derive(Default)]
struct Batch {
    pairs: Vec<(usize, usize)>,
    tokens: usize,
}

impl Batch {
    /// Takes pairs of a request until the batch has `most` tokens.
    fn fill(&mut self, request: usize, remaining: &mut Remaining, most: usize) {
        loop {
            // The first pair always fits, however long it is.
            let room = most.saturating_sub(self.tokens);
            let room = if self.pairs.is_empty() { usize::MAX } else { room };
            let Some((pair, length)) = remaining.take(room) else { return };
            self.pairs.push((request, pair));
            self.tokens += length;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENS: usize = 4096;

    fn request(lengths: &[usize]) -> Remaining {
        Remaining::of(&Prepared {
            query: [].into(),
            passages: vec![],
            places: vec![],
            lengths: lengths.into(),
            top_n: usize::MAX,
        })
    }

    /// The tokens of each request in the next batch.
    fn shares(waiting: &mut [Remaining]) -> Vec<usize> {
        let before: Vec<usize> = waiting.iter().map(|request| request.tokens).collect();
        next(&mut waiting.iter_mut().collect::<Vec<_>>(), TOKENS);
        waiting.iter().zip(before).map(|(request, before)| before - request.tokens).collect()
    }

    #[test]
    fn a_request_that_is_alone_fills_whole_batches_longest_first() {
        let mut alone = request(&[1000, 3000, 2000, 500]);
        assert_eq!(next(&mut [&mut alone], TOKENS), [(0, 1)]);
        assert_eq!(next(&mut [&mut alone], TOKENS), [(0, 2), (0, 0), (0, 3)]);
        assert!(alone.is_empty() && next(&mut [&mut alone], TOKENS).is_empty());
    }

    #[test]
    fn a_small_request_passes_by_large_ones_and_the_oldest_goes_on() {
        let large = request(&[256; 100]);
        let mut waiting = [large.clone(), large.clone(), large, request(&[128; 4])];
        assert_eq!(shares(&mut waiting), [2048 + 1536, 0, 0, 512]);
        assert!(waiting[3].is_empty());
    }

    #[test]
    fn many_small_requests_share_a_batch() {
        let mut waiting = vec![request(&[50; 10]); 10];
        assert_eq!(shares(&mut waiting).iter().sum::<usize>(), 81 * 50);
        assert!(waiting[0].is_empty() && waiting[7].is_empty() && !waiting[9].is_empty());
    }

    #[test]
    fn a_pair_longer_than_a_batch_goes_alone() {
        let mut waiting = [request(&[9000, 10]), request(&[5])];
        assert_eq!(shares(&mut waiting), [9000, 0]);
        assert_eq!(shares(&mut waiting), [10, 5]);
    }
}
