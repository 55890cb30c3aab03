//! Measures of one ranking, as trec_eval defines them.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// A measure of one ranking, in 0..=1, written as in `ndcg@10`. Follows trec_eval's definition if
/// it has the measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Measure {
    /// `ndcg@k`: gain is the grade (trec_eval's `ndcg_cut`). The ideal ranking uses all judged
    /// passages.
    Ndcg(NonZeroUsize),
    /// `ndcg-exp@k`: the same with gain 2^grade − 1 (Burges 2005).
    NdcgExp(NonZeroUsize),
    /// `mrr@k`: 1 / rank of the first relevant passage, 0 if that rank is above k.
    Mrr(NonZeroUsize),
    /// `p@k`: fraction of k that is relevant, even if the ranking is shorter than k.
    Precision(NonZeroUsize),
    /// `recall@k`: fraction of the relevant passages that are in the first k.
    Recall(NonZeroUsize),
    /// `hit@k`: 1 if a relevant passage is in the first k (trec_eval's `success`).
    Hit(NonZeroUsize),
    /// `judged@k`: fraction of the first k, or of a shorter ranking, that has any grade (as in
    /// ir-measures).
    Judged(NonZeroUsize),
    /// `map`: mean precision at the ranks of the relevant passages, over the whole ranking.
    Map,
}

impl Measure {
    /// Returns the measures that `whetstone eval --json` always prints: nDCG@10, MRR@10, P@1,
    /// recall@10 and MAP, plus the fraction of judged passages, without which they cannot be
    /// trusted.
    pub fn defaults() -> Vec<Measure> {
        let (one, ten) = (NonZeroUsize::MIN, const { NonZeroUsize::new(10).unwrap() });
        use Measure::*;
        vec![Ndcg(ten), Mrr(ten), Precision(one), Recall(ten), Map, Judged(ten)]
    }

    /// Returns how many of the first passages count; None if all do.
    pub fn depth(self) -> Option<usize> {
        use Measure::*;
        match self {
            Ndcg(k) | NdcgExp(k) | Mrr(k) | Precision(k) | Recall(k) | Hit(k) | Judged(k) => {
                Some(k.get())
            }
            Map => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Measure::Ndcg(_) => "ndcg",
            Measure::NdcgExp(_) => "ndcg-exp",
            Measure::Mrr(_) => "mrr",
            Measure::Precision(_) => "p",
            Measure::Recall(_) => "recall",
            Measure::Hit(_) => "hit",
            Measure::Judged(_) => "judged",
            Measure::Map => "map",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.depth() {
            // `pad` keeps a column width given in the format string.
            Some(k) => f.pad(&format!("{}@{k}", self.name())),
            None => f.pad(self.name()),
        }
    }
}

impl FromStr for Measure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownMeasure { measure: text.into() };
        let lower = text.to_ascii_lowercase();
        let Some((name, k)) = lower.split_once('@') else {
            return if lower == "map" { Ok(Measure::Map) } else { Err(unknown()) };
        };
        let k: NonZeroUsize = k.parse().map_err(|_| unknown())?;
        let makers = [
            Self::Ndcg,
            Self::NdcgExp,
            Self::Mrr,
            Self::Precision,
            Self::Recall,
            Self::Hit,
            Self::Judged,
        ];
        makers.iter().map(|make| make(k)).find(|measure| measure.name() == name).ok_or_else(unknown)
    }
}

impl From<Measure> for String {
    fn from(measure: Measure) -> String {
        measure.to_string()
    }
}

impl TryFrom<String> for Measure {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_reads_back_as_it_is_written() {
        for text in
            ["ndcg@10", "ndcg-exp@5", "mrr@10", "p@1", "recall@100", "hit@3", "judged@10", "map"]
        {
            assert_eq!(text.parse::<Measure>().unwrap().to_string(), text);
        }
        assert_eq!("nDCG@10".parse::<Measure>().unwrap().to_string(), "ndcg@10");
    }

    #[test]
    fn what_is_no_measure_is_refused() {
        for text in ["ndcg", "ndcg@", "ndcg@0", "p@-1", "map@10", "f1@10", ""] {
            let error = text.parse::<Measure>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a measure"));
        }
    }
}
