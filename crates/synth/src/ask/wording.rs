//! The wording of a query, alone and beside its passage.

use std::collections::HashSet;
use unicode_segmentation::UnicodeSegmentation;

/// Normalises to single spaces, without a list mark in front or quotes around.
pub fn tidy(proposal: &str) -> String {
    let text = proposal.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_start_matches(['-', '•', '*', ' ']);
    let listed = text.split_once(['.', ')']).filter(|(number, rest)| {
        (1..=2).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && rest.starts_with(' ')
    });
    let text = listed.map_or(text, |(_, rest)| rest);
    text.trim_matches(['"', '“', '”', '*', '`', ' ']).to_owned()
}

/// Lower-case words by Unicode's borders (UAX 29), which also cut text that has no spaces.
pub fn tokens(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// Whether half of the words are repetitions, as in an answer caught in a loop.
pub fn repeats(tokens: &[String]) -> bool {
    let distinct: HashSet<&String> = tokens.iter().collect();
    tokens.len() >= 6 && distinct.len() * 2 <= tokens.len()
}

/// Length of the longest common run of words.
pub fn longest_run(query: &[String], text: &[String]) -> usize {
    let mut longest = 0;
    let mut runs = vec![0; query.len() + 1];
    for word in text {
        for index in (0..query.len()).rev() {
            runs[index + 1] = if query[index] == *word { runs[index] + 1 } else { 0 };
            longest = longest.max(runs[index + 1]);
        }
    }
    longest
}

/// Length of the longest common subsequence.
pub fn in_order(query: &[String], sentence: &[String]) -> usize {
    let mut lengths = vec![0; query.len() + 1];
    for word in sentence {
        let mut diagonal = 0;
        for index in 0..query.len() {
            let above = lengths[index + 1];
            lengths[index + 1] =
                if query[index] == *word { diagonal + 1 } else { above.max(lengths[index]) };
            diagonal = above;
        }
    }
    lengths[query.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_subsequences_are_those_of_a_plain_search() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(longest_run(&words("a b c a b"), &words("x a b y a b c a z")), 4);
        assert_eq!(in_order(&words("a c d b"), &words("a b c d e")), 3);
    }
}
