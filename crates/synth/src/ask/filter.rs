//! Keeps a proposal only if it is usable as a query.

use super::drop::Drop;
use super::duplicates::word_set;
use super::lexicon::Lexicon;
use super::wording::{in_order, longest_run, repeats, tidy, tokens};
use crate::chunk::sentences;
use crate::config::FilterConfig;
use std::collections::HashSet;
use whetstone_eval::WordSet;
use whetstone_records::Passage;

/// Shorter sentences are not checked: nobody copies `Wait for rain.`
const MIN_SENTENCE_WORDS: usize = 5;
/// Fewest words of a query.
const MIN_WORDS: usize = 2;

/// Letters that words of one kind begin with.
const AKIN_CHARS: usize = 5;

/// A proposal that passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// With single spaces.
    pub text: String,
    /// Share of its words with a topic that also occur in the passage.
    pub overlap_fraction: f32,
}

/// The words of one passage, to compare its queries with.
pub struct Filter<'a> {
    config: &'a FilterConfig,
    lexicon: &'a Lexicon,
    max_queries: usize,
    passage: Vec<String>,
    /// Stems of title and text.
    topics: HashSet<String>,
    /// The first letters of its words, names in code taken apart.
    beginnings: HashSet<String>,
    sentences: Vec<Vec<String>>,
    seen: HashSet<Vec<String>>,
    kept: Vec<WordSet>,
}

impl<'a> Filter<'a> {
    pub fn new(
        passage: &Passage,
        config: &'a FilterConfig,
        max_queries: usize,
        lexicon: &'a Lexicon,
    ) -> Self {
        let of_sentence = |span| tokens(&passage.text[span]);
        let sentences = sentences(&passage.text, lexicon.language).into_iter();
        let sentences = sentences.map(of_sentence);
        Self {
            config,
            lexicon,
            max_queries,
            passage: tokens(&passage.text),
            topics: tokens(&passage.full_text()).iter().map(|word| lexicon.stem(word)).collect(),
            beginnings: beginnings(&passage.full_text()).collect(),
            sentences: sentences.filter(|sentence| sentence.len() >= MIN_SENTENCE_WORDS).collect(),
            seen: HashSet::new(),
            kept: Vec::new(),
        }
    }

    /// Returns the proposal as a query, or why it was dropped. A query that was returned before is
    /// a duplicate.
    pub fn admit(&mut self, proposal: &str) -> Result<Admitted, Drop> {
        let text = tidy(proposal);
        let tokens = tokens(&text);
        if tokens.is_empty() {
            return Err(Drop::TooShort);
        }
        if self.config.format {
            self.check_format(&text, &tokens)?;
        }
        let overlap_fraction = self.overlap_fraction(&tokens);
        if self.config.generic {
            if self.lexicon.is_anaphoric(&text.to_lowercase()) {
                return Err(Drop::Anaphoric);
            }
            // Not one word in common: the query is made up, or so general that it fits every
            // passage.
            if overlap_fraction == 0.0 && !self.is_akin(&tokens) {
                return Err(Drop::Unrelated);
            }
        }
        let overlaps = f64::from(overlap_fraction) > self.config.max_overlap_fraction;
        if self.config.copied && (overlaps || self.is_copied(&tokens)) {
            return Err(Drop::Copied);
        }
        if self.kept.len() >= self.max_queries {
            return Err(Drop::TooMany);
        }
        let words = word_set(&tokens, self.lexicon);
        if self.config.duplicates {
            if self.seen.contains(&tokens) {
                return Err(Drop::Duplicate);
            }
            if self
                .kept
                .iter()
                .any(|kept| kept.alike(&words) >= self.config.near_duplicate_fraction)
            {
                return Err(Drop::NearDuplicate);
            }
        }
        self.seen.insert(tokens);
        self.kept.push(words);
        Ok(Admitted { text, overlap_fraction })
    }

    fn check_format(&self, text: &str, tokens: &[String]) -> Result<(), Drop> {
        let chars = text.chars().count();
        if chars < self.config.min_query_chars || tokens.len() < MIN_WORDS {
            return Err(Drop::TooShort);
        }
        if chars > self.config.max_query_chars {
            return Err(Drop::TooLong);
        }
        if repeats(tokens) { Err(Drop::Repetitive) } else { Ok(()) }
    }

    /// Share of the query's words with a topic that also occur in the passage's title or text; 0 if
    /// the query has none.
    fn overlap_fraction(&self, tokens: &[String]) -> f32 {
        let topics = tokens.iter().filter(|word| !self.lexicon.is_general(word));
        let shared =
            topics.clone().filter(|word| self.topics.contains(&self.lexicon.stem(word))).count();
        shared as f32 / topics.count().max(1) as f32
    }

    /// Whether a word begins like one of the passage: `execute` for `make_executable`. Who
    /// paraphrases has another form of a word more often than none.
    fn is_akin(&self, tokens: &[String]) -> bool {
        let topics = tokens.iter().filter(|word| !self.lexicon.is_general(word));
        topics.flat_map(|word| beginnings(word)).any(|begin| self.beginnings.contains(&begin))
    }

    fn is_copied(&self, query: &[String]) -> bool {
        let most = |sentence: &[String]| self.config.max_sentence_fraction * sentence.len() as f64;
        longest_run(query, &self.passage) > self.config.max_shared_words
            || self
                .sentences
                .iter()
                .any(|sentence| in_order(query, sentence) as f64 > most(sentence))
    }
}

/// The first letters of every word with enough of them.
fn beginnings(text: &str) -> impl Iterator<Item = String> + '_ {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts
        .filter(|part| part.chars().count() >= AKIN_CHARS)
        .map(|part| part.chars().take(AKIN_CHARS).collect::<String>().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;
    use whetstone_records::Language;

    fn passage() -> Passage {
        let text = "The secret must be renewed every 180 days. A reminder is sent to the technical contact of the firm four \
                    weeks ahead by plain mail.";
        Passage {
            id: "p".into(),
            title: String::new(),
            text: text.into(),
            metadata: Default::default(),
        }
    }

    static ENGLISH: LazyLock<Lexicon> = LazyLock::new(|| Lexicon::of(Language::English));

    fn admit<'a>(filter: &mut Filter<'a>, text: &str) -> Result<String, Drop> {
        filter.admit(text).map(|admitted| admitted.text)
    }

    #[test]
    fn a_query_that_copies_is_refused() {
        let config = FilterConfig::default();
        let mut filter = Filter::new(&passage(), &config, 5, &ENGLISH);
        assert_eq!(admit(&mut filter, "the secret must be renewed every year"), Err(Drop::Copied));
        let run = "is sent to the technical contact of the firm";
        assert_eq!(admit(&mut filter, run), Err(Drop::Copied), "nine words in a row");
        let good = "how often must the secret be renewed?";
        assert_eq!(
            filter.admit(good).unwrap(),
            Admitted { text: good.into(), overlap_fraction: 1.0 }
        );
        let strict = FilterConfig { max_overlap_fraction: 0.9, ..FilterConfig::default() };
        assert_eq!(
            admit(&mut Filter::new(&passage(), &strict, 5, &ENGLISH), good),
            Err(Drop::Copied)
        );
    }

    #[test]
    fn what_is_no_query_is_refused_by_reason() {
        let config = FilterConfig::default();
        let mut filter = Filter::new(&passage(), &config, 2, &ENGLISH);
        let mut admit = |text: &str| admit(&mut filter, text);
        assert_eq!(admit(" ?? "), Err(Drop::TooShort));
        assert_eq!(admit("incomprehensible"), Err(Drop::TooShort));
        assert_eq!(admit(&"very long ".repeat(40)), Err(Drop::TooLong));
        assert_eq!(admit("what is the the the the the key"), Err(Drop::Repetitive));
        assert_eq!(admit("What does the passage say about mail?"), Err(Drop::Anaphoric));
        assert_eq!(admit("How does it work?"), Err(Drop::Unrelated));
        assert_eq!(admit("Is there a price cap on Christmas trees?"), Err(Drop::Unrelated));
        assert_eq!(admit("2. \"Who gets  a reminder?\"").unwrap(), "Who gets a reminder?");
        assert_eq!(admit("who gets a REMINDER"), Err(Drop::Duplicate));
        assert_eq!(admit("Who gets a reminder then?"), Err(Drop::NearDuplicate));
        assert_eq!(admit("secret renewal interval").unwrap(), "secret renewal interval");
        assert_eq!(admit("one more secret"), Err(Drop::TooMany));
    }

    #[test]
    fn every_filter_can_be_switched_off() {
        let queries = [
            (
                "incomprehensible",
                FilterConfig { format: false, generic: false, ..FilterConfig::default() },
            ),
            (
                "What does the passage say about mail?",
                FilterConfig { generic: false, ..FilterConfig::default() },
            ),
            (
                "the secret must be renewed every year",
                FilterConfig { copied: false, ..FilterConfig::default() },
            ),
        ];
        for (query, config) in queries {
            let mut filter = Filter::new(&passage(), &config, 5, &ENGLISH);
            assert_eq!(admit(&mut filter, query).as_deref(), Ok(query));
            assert_eq!(admit(&mut filter, query), Err(Drop::Duplicate));
            let config = FilterConfig { duplicates: false, ..config };
            let mut filter = Filter::new(&passage(), &config, 5, &ENGLISH);
            assert!(admit(&mut filter, query).is_ok() && admit(&mut filter, query).is_ok());
        }
    }

    #[test]
    fn words_are_compared_as_their_language_has_them() {
        let text = "Die rote Pumpe wird im Oktober entlüftet. Danach wird ein Ventil geprüft.";
        let passage = Passage { text: text.into(), ..passage() };
        let config = FilterConfig::default();
        let german = Lexicon::of(Language::German);
        let mut filter = Filter::new(&passage, &config, 5, &german);
        assert_eq!(
            filter.admit("Wann werden die Ventile kontrolliert?").unwrap().overlap_fraction,
            1.0 / 3.0
        );
        assert_eq!(admit(&mut filter, "Was steht in diesem Text?"), Err(Drop::Anaphoric));
        assert_eq!(admit(&mut filter, "Wie ist das und warum?"), Err(Drop::Unrelated));
    }

    #[test]
    fn a_script_without_spaces_has_words_too() {
        let text = "暖房の戻り温度は四十五度までです。それを超えると弁が閉じます。";
        let passage = Passage {
            id: "p".into(),
            title: String::new(),
            text: text.into(),
            metadata: Default::default(),
        };
        let config = FilterConfig::default();
        let mut filter = Filter::new(&passage, &config, 5, &ENGLISH);
        assert!(filter.admit("戻り温度の上限は何度ですか").is_ok());
        assert_eq!(admit(&mut filter, "暖房の戻り温度は四十五度までです"), Err(Drop::Copied));
    }
}
