//! Which layers of a network a smaller one keeps.

use whetstone_model::{Positions, Spec};

/// Returns the layers to keep, `wanted` of them, in order and counted from 0: spread evenly over
/// the network, the first and the last among them. Of 12 layers, 6 are 0, 2, 4, 7, 9 and 11, those
/// that DistilBERT began with (Sanh et al. 2019). The first reads the embeddings, the last is what
/// the head reads. Where the place is half-way between two layers, the upper one is kept, as
/// fine-tuning changes upper layers most. One layer alone is the first.
///
/// A layer that sees the whole sequence stays such a layer, and one that sees a window too: the
/// n-th of the kept ones is of the kind that the n-th of a network has. The last may then be
/// another one.
pub(super) fn kept(spec: &Spec, wanted: usize) -> Vec<usize> {
    let kind = |layer: usize| match spec.positions {
        Positions::Rotary(rotary) => rotary.is_global(layer),
        _ => true,
    };
    // The cost of the best choice that puts the layers so far in the places so far, and the choice
    // before it. Costs are squared distances to the even spread, times the square of `steps`.
    let steps = wanted.saturating_sub(1).max(1);
    let cost = |place: usize, layer: usize| {
        let ideal = place * (spec.layers - 1);
        (layer * steps).abs_diff(ideal).pow(2)
    };
    let mut best: Vec<Vec<Option<usize>>> = vec![];
    for place in 0..wanted {
        let mut row = vec![None; spec.layers];
        for layer in (place..spec.layers).filter(|&layer| kind(layer) == kind(place)) {
            let before = match place {
                0 => Some(0),
                _ => best[place - 1][..layer].iter().flatten().min().copied(),
            };
            row[layer] = before.map(|before| before + cost(place, layer));
        }
        best.push(row);
    }
    let mut end = spec.layers;
    let mut kept: Vec<usize> = best
        .iter()
        .rev()
        .map(|row| {
            let possible = row[..end].iter().enumerate().rev();
            let possible = possible.filter_map(|(layer, cost)| cost.map(|cost| (cost, layer)));
            // The first of equal minima, which is the uppermost layer.
            let (_, layer) = possible
                .min_by_key(|(cost, _)| *cost)
                .expect("the first layers are of the right kinds themselves");
            end = layer;
            layer
        })
        .collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use whetstone_model::Architecture;

    fn spec(model: &str, layers: usize) -> Spec {
        let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles");
        Spec { layers, ..Architecture::read(&oracles.join(model)).unwrap().spec }
    }

    #[test]
    fn layers_are_spread_evenly_with_the_first_and_the_last_among_them() {
        let kept_of = |layers, wanted| kept(&spec("tiny-model", layers), wanted);
        assert_eq!(kept_of(12, 6), [0, 2, 4, 7, 9, 11]);
        assert_eq!(kept_of(6, 4), [0, 2, 3, 5]);
        assert_eq!(kept_of(6, 3), [0, 3, 5]);
        assert_eq!(kept_of(6, 2), [0, 5]);
        assert_eq!(kept_of(6, 1), [0]);
        assert_eq!(kept_of(6, 6), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn layers_that_see_the_whole_sequence_and_those_that_see_a_window_keep_their_places() {
        let spec = spec("tiny-modernbert", 22);
        let Positions::Rotary(rotary) = spec.positions else { panic!("it has rotary positions") };
        for wanted in 1..=22 {
            let kept = kept(&spec, wanted);
            assert_eq!((kept.len(), kept[0]), (wanted, 0));
            assert!(kept.is_sorted_by(|a, b| a < b), "{kept:?}");
            let same = |(place, &layer)| rotary.is_global(place) == rotary.is_global(layer);
            assert!(kept.iter().enumerate().all(same), "{kept:?}");
        }
        let tenth = kept(&spec, 11);
        assert!(tenth[10] >= 20, "{tenth:?} is spread over the network");
    }
}
