//! What a passage without a title is about: a noun phrase that it repeats.

use super::corpus::CorpusTerms;
use super::phrases::typed;
use super::words::{Word, stem};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Longest topic, in words.
const MAX_WORDS: usize = 3;

/// The topic, as one types it.
#[derive(Debug, PartialEq)]
pub struct Topic {
    pub text: String,
    stems: HashSet<String>,
}

impl Topic {
    /// The noun phrase with the largest weight among those whose noun occurs again; the earlier one
    /// wins a tie.
    pub fn of(
        sentences: &[Vec<Word>],
        phrases: &[Vec<Range<usize>>],
        terms: &CorpusTerms,
    ) -> Option<Self> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for word in sentences.iter().flatten() {
            *counts.entry(stem(&word.lower)).or_default() += 1;
        }
        Self::heaviest(sentences, phrases, terms, |word| {
            counts.get(&stem(&word.lower)).copied().unwrap_or(0)
        })
    }

    /// The noun phrase with the largest weight, repeated or not.
    pub fn once(
        sentences: &[Vec<Word>],
        phrases: &[Vec<Range<usize>>],
        terms: &CorpusTerms,
    ) -> Option<Self> {
        Self::heaviest(sentences, phrases, terms, |_| 2)
    }

    fn heaviest(
        sentences: &[Vec<Word>],
        phrases: &[Vec<Range<usize>>],
        terms: &CorpusTerms,
        repeated: impl Fn(&Word) -> usize,
    ) -> Option<Self> {
        let score = |words: &[Word]| {
            let weights =
                words.iter().map(|word| terms.weight(word) * (repeated(word) as f32).sqrt());
            weights.sum::<f32>() / (words.len() as f32).sqrt()
        };
        let all = sentences
            .iter()
            .zip(phrases)
            .flat_map(|(sentence, phrases)| phrases.iter().map(|phrase| &sentence[phrase.clone()]));
        let fit = all.filter(|words| {
            words.len() <= MAX_WORDS && words.last().is_some_and(|noun| repeated(noun) > 1)
        });
        let best = fit.fold(None, |best: Option<(&[Word], f32)>, words| {
            let score = score(words);
            best.filter(|(_, most)| *most >= score).or(Some((words, score)))
        });
        best.map(|(words, _)| Self {
            text: typed(words, terms),
            stems: words.iter().map(|word| stem(&word.lower)).collect(),
        })
    }

    /// Whether the words have one of the topic's.
    pub fn is_in(&self, words: &[Word]) -> bool {
        words.iter().any(|word| self.stems.contains(&stem(&word.lower)))
    }
}
