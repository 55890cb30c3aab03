//! Queries for languages whose grammar is not known here: titles, headings, table cells, named
//! items and key phrases.

use super::Candidate;
use super::reading::{Reading, read};
use super::words::{Word, clauses, words};
use crate::ask::lexicon::Lexicon;
use crate::titles::SharedTitles;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use whetstone_records::Passage;

/// Longest key phrase, title beside other words, and heading or title alone, in words.
const PHRASE_WORDS: usize = 4;
const NAME_WORDS: usize = 5;
const TITLE_WORDS: usize = 20;
/// Words of a query that is made of a sentence's heaviest ones.
const HEAVY_WORDS: usize = 3;

/// In how many passages each stem occurs.
#[derive(Default)]
pub struct ForeignTerms {
    passages: usize,
    frequency: HashMap<String, usize>,
}

/// The names of a passage's document and of its section.
struct Names<'p> {
    document: &'p str,
    heading: Option<&'p str>,
    /// Whether other passages have the same names.
    are_shared: bool,
}

impl ForeignTerms {
    pub fn of(corpus: &[Passage], lexicon: &Lexicon) -> Self {
        let stems = |passage: &Passage| -> HashSet<String> {
            let words = words(&passage.full_text()).into_iter();
            words.map(|word| lexicon.stem(&word.lower)).filter(|stem| !stem.is_empty()).collect()
        };
        let stems: Vec<HashSet<String>> = corpus.par_iter().map(stems).collect();
        let mut frequency = HashMap::new();
        for stem in stems.into_iter().flatten() {
            *frequency.entry(stem).or_default() += 1;
        }
        Self { passages: corpus.len(), frequency }
    }

    /// The logarithm of how rare a word is, 0 for one without a topic.
    fn weight(&self, word: &Word, lexicon: &Lexicon) -> f32 {
        if word.is_number() || word.text.chars().count() < 2 || lexicon.is_general(&word.lower) {
            return 0.0;
        }
        let frequency = self.frequency.get(&lexicon.stem(&word.lower)).copied().unwrap_or(0);
        ((self.passages as f32 + 1.0) / (frequency as f32 + 0.5)).ln().max(0.1)
    }

    /// Returns the queries of a passage. `coin` decides whether the document's name stands first.
    pub(super) fn candidates(
        &self,
        passage: &Passage,
        (shared, are_shared): (&SharedTitles, bool),
        lexicon: &Lexicon,
        coin: impl Fn(&str) -> bool,
    ) -> Vec<Candidate> {
        let mut parts = passage.title.split(" > ");
        let document = shared.cut(parts.next().unwrap_or_default()).trim();
        let names = Names { document, heading: parts.last(), are_shared };
        let named = |said: &str| beside(said, names.document, lexicon, &coin);
        let reading = read(&passage.text, lexicon.language);
        let mut candidates = Vec::new();
        for (source, sentence) in reading.sentences.iter().enumerate() {
            let sentence = words(sentence);
            candidates.extend(self.phrases(&sentence, lexicon).into_iter().map(|(said, merit)| {
                Candidate { style: "phrase", text: named(&said), source, merit }
            }));
            candidates.extend(self.heaviest(&sentence, lexicon).map(|(said, merit)| Candidate {
                style: "keywords",
                text: named(&said),
                source,
                merit,
            }));
        }
        let sentences = reading.sentences.len();
        let parts = parts_of(&reading).into_iter().chain(self.title(&names, &candidates));
        candidates.extend(parts.enumerate().map(|(at, (style, said))| {
            let text = if style == "title" { said } else { named(&said) };
            let merit = if style == "item" || style == "table" { 3.2 } else { 4.0 };
            Candidate { style, text, source: sentences + at, merit }
        }));
        candidates
    }

    /// The runs of words with a topic, without a sign between them.
    fn phrases(&self, sentence: &[Word], lexicon: &Lexicon) -> Vec<(String, f32)> {
        let has_topic = |word: &Word| self.weight(word, lexicon) > 0.0;
        let runs = clauses(sentence).into_iter();
        let runs = runs.flat_map(|clause| clause.split(move |word| !has_topic(word)));
        let runs = runs.filter(|run| (2..=PHRASE_WORDS).contains(&run.len()));
        let mean = |run: &[Word]| {
            run.iter().map(|word| self.weight(word, lexicon)).sum::<f32>() / run.len() as f32
        };
        runs.map(|run| (said(run.iter()), 2.0 + 0.3 * mean(run))).collect()
    }

    /// The heaviest words of a sentence in their order.
    fn heaviest(&self, sentence: &[Word], lexicon: &Lexicon) -> Option<(String, f32)> {
        let weights: Vec<f32> = sentence.iter().map(|word| self.weight(word, lexicon)).collect();
        let mut places: Vec<usize> = (0..sentence.len()).filter(|at| weights[*at] > 0.0).collect();
        places.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
        places.truncate(HEAVY_WORDS);
        places.sort_unstable();
        let sum: f32 = places.iter().map(|at| weights[*at]).sum();
        let merit = 1.0 + 0.3 * sum / places.len().max(1) as f32;
        (places.len() > 1).then(|| (said(places.iter().map(|at| &sentence[*at])), merit))
    }

    /// The heading, or the title of a document without headings; with a key phrase where several
    /// passages have the same.
    fn title(&self, names: &Names, others: &[Candidate]) -> Option<(&'static str, String)> {
        let (style, said) = match names.heading {
            Some(heading) => ("heading", heading.trim()),
            None => ("title", names.document),
        };
        let best = others.iter().max_by(|a, b| a.merit.total_cmp(&b.merit));
        let text = match (names.are_shared, best) {
            (false, _) => said.to_owned(),
            (true, Some(best)) if !said.is_empty() && !best.text.contains(said) => {
                format!("{said} {}", best.text)
            }
            (true, _) => return None,
        };
        let fits = !said.is_empty() && words(&text).len() <= TITLE_WORDS;
        fits.then_some((style, text))
    }
}

/// Queries for table cells and named items.
fn parts_of(reading: &Reading) -> Vec<(&'static str, String)> {
    let cells = reading.cells.iter().filter(|cell| cell.value.chars().count() > 1);
    let cells = cells.map(|cell| ("table", format!("{} {}", cell.row, cell.column)));
    let items = reading.items.iter().filter(|(name, rest)| {
        (2..=6).contains(&name.split_whitespace().count()) && !rest.is_empty()
    });
    cells.chain(items.map(|(name, _)| ("item", name.clone()))).collect()
}

/// Words as one types them.
fn said<'w>(words: impl Iterator<Item = &'w Word>) -> String {
    words.map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// A query with the document's name, unless that is long or the query has a word of it.
fn beside(text: &str, document: &str, lexicon: &Lexicon, coin: &impl Fn(&str) -> bool) -> String {
    let has_topic = |word: &Word| !lexicon.is_general(&word.lower);
    let stems = |words: &[Word]| -> HashSet<String> {
        let words = words.iter().filter(|word| has_topic(word));
        words.map(|word| lexicon.stem(&word.lower)).collect()
    };
    let document = words(document);
    // Without the article before it.
    let first = document.iter().position(has_topic).unwrap_or(document.len());
    let name = &document[first..];
    let fits = (1..=NAME_WORDS).contains(&name.len());
    match fits && stems(name).is_disjoint(&stems(&words(text))) {
        false => text.to_owned(),
        true if coin(text) => format!("{} {text}", said(name.iter())),
        true => format!("{text} {}", said(name.iter())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::Language;

    fn passage(title: &str, text: &str) -> Passage {
        Passage {
            id: title.into(),
            title: title.into(),
            text: text.into(),
            metadata: Default::default(),
        }
    }

    fn queries(passage: &Passage, language: Language) -> Vec<(&'static str, String)> {
        let lexicon = Lexicon::of(language);
        let terms = ForeignTerms::of(std::slice::from_ref(passage), &lexicon);
        let shared = SharedTitles::default();
        let found = terms.candidates(passage, (&shared, false), &lexicon, |_| true);
        found.into_iter().map(|candidate| (candidate.style, candidate.text)).collect()
    }

    #[test]
    fn headings_items_cells_and_key_phrases_become_queries() {
        let text = "**Störung 12, Druckabfall.** Die rote Pumpe wird vor dem Winter entlüftet.\n\n\
            | Gerät | Grenze |\n|---|---|\n| VX-40 | 45 °C |\n";
        let found = queries(&passage("Die Heizung > Vor dem Winter", text), Language::German);
        for expected in [
            ("phrase", "Heizung rote Pumpe"),
            ("item", "Heizung Störung 12, Druckabfall"),
            ("table", "Heizung VX-40 Grenze"),
            ("heading", "Heizung Vor dem Winter"),
        ] {
            let is_there = found.iter().any(|(style, text)| (*style, text.as_str()) == expected);
            assert!(is_there, "{expected:?} is not in {found:?}");
        }
        let keywords = found.iter().find(|(style, _)| *style == "keywords").unwrap();
        assert!(!keywords.1.contains("wird") && keywords.1.contains("Pumpe"), "{keywords:?}");
    }
}
