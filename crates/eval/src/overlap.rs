//! Measures how much of a query its passages repeat.

use crate::terms::Terms;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashSet;
use whetstone_records::Language;

/// How much of the queries' wording occurs in the passages that answer them.
///
/// Questions generated from a passage repeat its words, which BM25 finds but a user would not have
/// known. Terms are BM25's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overlap {
    /// Mean over the queries of the fraction of distinct terms that the passage contains; 0 without
    /// queries.
    pub mean: f64,
    /// Fraction of the queries whose terms all occur in the passage.
    pub complete_fraction: f64,
    /// Number of queries with a term and a relevant passage.
    pub queries: usize,
}

/// Returns the overlap of each query with its relevant passages. Of several passages, the one with
/// the most overlap counts.
pub fn lexical_overlap(queries: &[(&str, Vec<&str>)], language: Language) -> Overlap {
    let terms = Terms::of(language);
    let terms = |text: &str| terms.tokenize(text).into_iter().collect::<HashSet<String>>();
    let share = |(query, passages): &(&str, Vec<&str>)| {
        let wanted = terms(query);
        let share = |passage: &&str| {
            let held = terms(passage);
            wanted.iter().filter(|term| held.contains(*term)).count() as f64 / wanted.len() as f64
        };
        passages.iter().map(share).reduce(f64::max).filter(|_| !wanted.is_empty())
    };
    let shares: Vec<f64> = queries.par_iter().filter_map(share).collect();
    let count = shares.len().max(1) as f64;
    Overlap {
        mean: shares.iter().sum::<f64>() / count,
        complete_fraction: shares.iter().filter(|share| **share == 1.0).count() as f64 / count,
        queries: shares.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_count_stop_words_do_not_and_the_best_passage_does() {
        let queries = [
            (
                "How are the pumps primed?",
                vec!["Nothing here.", "Prime the pump before the first start."],
            ),
            ("torque of the bolts", vec!["The bolt is turned by hand."]),
            ("of the", vec!["of the"]),
            ("no passage", vec![]),
        ];
        let overlap = lexical_overlap(&queries, Language::English);
        assert_eq!(overlap, Overlap { mean: 0.75, complete_fraction: 0.5, queries: 2 });
    }

    #[test]
    fn no_queries_have_no_overlap() {
        assert_eq!(
            lexical_overlap(&[], Language::English),
            Overlap { mean: 0.0, complete_fraction: 0.0, queries: 0 }
        );
    }
}
