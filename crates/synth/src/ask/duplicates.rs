//! Finds queries that say the same in almost the same words.

use super::lexicon::Lexicon;
use std::collections::BTreeSet;
use whetstone_eval::WordSet;
use whetstone_records::Language;

/// Below this number of words with a topic, the other words count too.
const MIN_TOPICS: usize = 3;

/// When and why something is done are two different questions.
const ASKING: &[&str] = &["what", "when", "where", "which", "who", "whom", "whose", "why", "how"];

/// A query as the set of its stems; takes lower-case words. Which words of other languages than
/// English ask for different things is not known, so all of them count.
pub fn word_set(tokens: &[String], lexicon: &Lexicon) -> WordSet {
    let is_english = lexicon.language == Language::English;
    let stems = |general: bool| -> BTreeSet<String> {
        let counts = |word: &&String| {
            general || !lexicon.is_general(word) || ASKING.contains(&word.as_str())
        };
        tokens.iter().filter(counts).map(|word| stem_of(word, lexicon)).collect()
    };
    let topics = stems(false);
    let numbers = tokens
        .iter()
        .filter(|word| word.bytes().any(|byte| byte.is_ascii_digit()))
        .cloned()
        .collect();
    WordSet {
        words: if topics.len() < MIN_TOPICS || !is_english { stems(true) } else { topics },
        numbers,
    }
}

/// The stem, or the word itself where it has none.
fn stem_of(word: &str, lexicon: &Lexicon) -> String {
    match lexicon.stem(word) {
        stem if stem.is_empty() => word.to_owned(),
        stem => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::super::wording::tokens;
    use super::*;
    use rand::Rng;
    use whetstone_eval::pairs_alike;

    fn words(text: &str) -> WordSet {
        word_set(&tokens(text), &Lexicon::of(Language::English))
    }

    #[test]
    fn order_endings_and_small_words_make_no_difference_and_numbers_do() {
        let query = words("What is the largest pressure of the red valve?");
        assert_eq!(query.alike(&words("what largest pressure of red valves")), 1.0);
        assert_eq!(
            words("pressure of the red valve V2").alike(&words("pressure of the red valve V3")),
            0.0
        );
        assert!(words("When is the pump oiled?").alike(&words("Why is the pump oiled?")) < 0.8);
        assert!(query.alike(&words("What is the largest weight of the red valve?")) < 0.8);
    }

    #[test]
    fn the_index_finds_what_a_comparison_of_all_finds() {
        let mut rng = crate::random::rng(1, "test", "");
        let english = Lexicon::of(Language::English);
        let vocabulary: Vec<String> =
            (0..40).map(|word| format!("topic{}", char::from(b'a' + word % 26))).collect();
        let queries: Vec<WordSet> = (0..300)
            .map(|_| {
                let length = rng.random_range(1..8);
                let mut words: Vec<String> =
                    (0..length).map(|_| vocabulary[rng.random_range(0..40)].clone()).collect();
                if rng.random_range(0..3) == 0 {
                    words.push(rng.random_range(1..3).to_string());
                }
                word_set(&words, &english)
            })
            .collect();
        for fraction in [0.5, 0.8, 1.0] {
            let found = pairs_alike(&queries, queries.len(), fraction, |a, b| a % 3 != b % 3);
            let mut pairs = 0;
            for (place, earlier) in found.iter().enumerate() {
                let all = (0..place).filter(|a| {
                    a % 3 != place % 3 && queries[*a].alike(&queries[place]) >= fraction
                });
                let all: Vec<usize> = all.collect();
                assert_eq!(*earlier, all, "{fraction} {place}");
                pairs += all.len();
            }
            assert!(pairs > 0);
        }
    }
}
