//! What a generator proposes is kept only where it is usable as a query.

use super::built_in::{is_general, stem};
use crate::chunk::sentences;
use crate::config::AskConfig;
use std::collections::{BTreeMap, HashSet};
use unicode_segmentation::UnicodeSegmentation;
use whetstone_records::Passage;

/// Longest run of words that a query may share with its passage.
const MAX_SHARED_RUN: usize = 8;
/// Largest share of a sentence's words that a query may repeat in their order.
const MAX_SENTENCE_FRACTION: f64 = 0.7;
/// Sentences shorter than this are not checked: `Wait for rain.` is no sentence that one copies.
const MIN_SENTENCE_WORDS: usize = 5;
/// Fewest words of a query.
const MIN_WORDS: usize = 2;

/// Why a proposal was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drop {
    TooShort,
    TooLong,
    Repetitive,
    Anaphoric,
    Unrelated,
    Copied,
    Duplicate,
    TooMany,
}

impl Drop {
    /// The name in the manifest's counts.
    pub fn count_name(self) -> &'static str {
        match self {
            Drop::TooShort => "dropped-too-short",
            Drop::TooLong => "dropped-too-long",
            Drop::Repetitive => "dropped-repetitive",
            Drop::Anaphoric => "dropped-anaphoric",
            Drop::Unrelated => "dropped-unrelated",
            Drop::Copied => "dropped-copied",
            Drop::Duplicate => "dropped-duplicate",
            Drop::TooMany => "dropped-too-many",
        }
    }
}

/// Counts of drops by reason.
pub type Drops = BTreeMap<Drop, u64>;

/// The words of one passage, against which its queries are held.
pub struct Filter<'a> {
    config: &'a AskConfig,
    passage: Vec<String>,
    /// Stems of title and text.
    topics: HashSet<String>,
    sentences: Vec<Vec<String>>,
    seen: HashSet<Vec<String>>,
}

impl<'a> Filter<'a> {
    pub fn new(passage: &Passage, config: &'a AskConfig) -> Self {
        let of_sentence = |span| tokens(&passage.text[span]);
        let sentences = sentences(&passage.text).into_iter().map(of_sentence);
        Self {
            config,
            passage: tokens(&passage.text),
            topics: tokens(&passage.full_text()).iter().map(|word| stem(word)).collect(),
            sentences: sentences.filter(|sentence| sentence.len() >= MIN_SENTENCE_WORDS).collect(),
            seen: HashSet::new(),
        }
    }

    /// Returns the proposal as a query, with single spaces, or why it is none. What was returned once is a duplicate the
    /// second time.
    pub fn admit(&mut self, proposal: &str) -> Result<String, Drop> {
        let text = tidy(proposal);
        let chars = text.chars().count();
        let tokens = tokens(&text);
        if chars < self.config.min_query_chars || tokens.len() < MIN_WORDS {
            return Err(Drop::TooShort);
        }
        if chars > self.config.max_query_chars {
            return Err(Drop::TooLong);
        }
        if repeats(&tokens) {
            return Err(Drop::Repetitive);
        }
        if is_anaphoric(&text.to_lowercase()) {
            return Err(Drop::Anaphoric);
        }
        // Not one word in common: made up, or so general that it fits everything.
        if !tokens.iter().any(|word| !is_general(word) && self.topics.contains(&stem(word))) {
            return Err(Drop::Unrelated);
        }
        if self.is_copied(&tokens) {
            return Err(Drop::Copied);
        }
        if self.seen.len() >= self.config.max_queries {
            return Err(Drop::TooMany);
        }
        if !self.seen.insert(tokens) {
            return Err(Drop::Duplicate);
        }
        Ok(text)
    }

    fn is_copied(&self, query: &[String]) -> bool {
        longest_run(query, &self.passage) > MAX_SHARED_RUN
            || self
                .sentences
                .iter()
                .any(|sentence| in_order(query, sentence) as f64 > MAX_SENTENCE_FRACTION * sentence.len() as f64)
    }
}

/// Single spaces, no number or mark of a list in front, no quotes around.
fn tidy(proposal: &str) -> String {
    let text = proposal.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_start_matches(['-', '•', '*', ' ']);
    let listed = text.split_once(['.', ')']).filter(|(number, rest)| {
        (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with(' ')
    });
    let text = listed.map_or(text, |(_, rest)| rest);
    text.trim_matches(['"', '“', '”', '*', '`', ' ']).to_owned()
}

/// Lower-case words by Unicode's borders (UAX 29), which also cut text that has no spaces.
fn tokens(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// Phrases that ask about the passage as a thing, or about nothing in particular.
fn is_anaphoric(lower: &str) -> bool {
    const PHRASES: &[&str] = &[
        "this passage",
        "the passage",
        "this text",
        "the text",
        "this document",
        "the document",
        "this article",
        "the article",
        "this section",
        "the section",
        "the author",
        "mentioned above",
        "described above",
        "this study",
        "the study say",
        "the above",
    ];
    PHRASES.iter().any(|phrase| lower.contains(phrase))
}

/// Whether half of the words are repetitions, as in an answer that ran into a loop.
fn repeats(tokens: &[String]) -> bool {
    let distinct: HashSet<&String> = tokens.iter().collect();
    tokens.len() >= 6 && distinct.len() * 2 <= tokens.len()
}

/// Length of the longest run of words that both hold.
fn longest_run(query: &[String], text: &[String]) -> usize {
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
fn in_order(query: &[String], sentence: &[String]) -> usize {
    let mut lengths = vec![0; query.len() + 1];
    for word in sentence {
        let mut diagonal = 0;
        for index in 0..query.len() {
            let above = lengths[index + 1];
            lengths[index + 1] = if query[index] == *word { diagonal + 1 } else { above.max(lengths[index]) };
            diagonal = above;
        }
    }
    lengths[query.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage() -> Passage {
        let text = "The secret must be renewed every 180 days. A reminder is sent to the technical contact of the firm four \
                    weeks ahead by plain mail.";
        Passage { id: "p".into(), title: String::new(), text: text.into(), metadata: Default::default() }
    }

    #[test]
    fn a_query_that_copies_is_refused() {
        let config = AskConfig::default();
        let mut filter = Filter::new(&passage(), &config);
        assert_eq!(filter.admit("the secret must be renewed every year"), Err(Drop::Copied));
        let run = "is sent to the technical contact of the firm";
        assert_eq!(filter.admit(run), Err(Drop::Copied), "nine words in a row");
        assert_eq!(
            filter.admit("how often must the secret be renewed?").unwrap(),
            "how often must the secret be renewed?"
        );
    }

    #[test]
    fn what_is_no_query_is_refused_by_reason() {
        let config = AskConfig { max_queries: 2, ..AskConfig::default() };
        let mut filter = Filter::new(&passage(), &config);
        let mut admit = |text: &str| filter.admit(text);
        assert_eq!(admit(" ?? "), Err(Drop::TooShort));
        assert_eq!(admit("incomprehensible"), Err(Drop::TooShort));
        assert_eq!(admit(&"very long ".repeat(40)), Err(Drop::TooLong));
        assert_eq!(admit("what is the the the the the key"), Err(Drop::Repetitive));
        assert_eq!(admit("What does the passage say about mail?"), Err(Drop::Anaphoric));
        assert_eq!(admit("How does it work?"), Err(Drop::Unrelated));
        assert_eq!(admit("Is there a price cap on Christmas trees?"), Err(Drop::Unrelated));
        assert_eq!(admit("2. \"Who gets  a reminder?\"").unwrap(), "Who gets a reminder?");
        assert_eq!(admit("who gets a REMINDER"), Err(Drop::Duplicate));
        assert_eq!(admit("secret renewal interval").unwrap(), "secret renewal interval");
        assert_eq!(admit("one more secret"), Err(Drop::TooMany));
    }

    #[test]
    fn a_script_without_spaces_has_words_too() {
        let text = "暖房の戻り温度は四十五度までです。それを超えると弁が閉じます。";
        let passage = Passage { id: "p".into(), title: String::new(), text: text.into(), metadata: Default::default() };
        let config = AskConfig::default();
        let mut filter = Filter::new(&passage, &config);
        assert!(filter.admit("戻り温度の上限は何度ですか").is_ok());
        assert_eq!(filter.admit("暖房の戻り温度は四十五度までです"), Err(Drop::Copied));
    }

    #[test]
    fn runs_and_subsequences_are_those_of_a_plain_search() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(longest_run(&words("a b c a b"), &words("x a b y a b c a z")), 4);
        assert_eq!(in_order(&words("a c d b"), &words("a b c d e")), 3);
    }
}
