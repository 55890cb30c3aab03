//! Queries from a passage's table cells, named items and heading.

use super::context::{Context, in_context};
use super::phrases::is_vague;
use super::reading::Reading;
use super::topic::Topic;
use super::words::{Word, join, words};
use super::{BuiltIn, Candidate, asked};
use whetstone_records::Passage;

/// Longest title that is a query, in words.
const MAX_TITLE_WORDS: usize = 20;

/// Words of a query that is made of the heaviest ones.
const HEAVY_WORDS: usize = 3;

impl BuiltIn<'_> {
    /// Questions for table cells and named items.
    pub(super) fn parts(&self, reading: &Reading, context: &Context) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut push = |style, text: String, merit: f32| {
            candidates.push(Candidate { style, text, source: 0, merit });
        };
        for cell in &reading.cells {
            let (column, row) = (words(&cell.column), words(&cell.row));
            let short = (1..=5).contains(&column.len()) && (1..=6).contains(&row.len());
            if short && cell.value.len() > 1 {
                let [column, row] = [&column, &row].map(|words| self.terms.within_sentence(words));
                let text = match self.coin(&cell.row) {
                    true => {
                        let question = format!("what is the {column} for {row}");
                        asked(&in_context(&question, context, true))
                    }
                    false => self.with_names(&format!("{row} {column}"), context),
                };
                push("table", text, 3.2);
            }
        }
        for (name, rest) in &reading.items {
            let name = words(name);
            match name.split_first() {
                Some((code, symptom)) if code.is_identifier() && code.stop.is_some() => {
                    let question = format!("what does {} mean", code.text);
                    push("definition", asked(&in_context(&question, context, true)), 4.5);
                    let symptom = self.terms.within_sentence(symptom);
                    if symptom.contains(' ') {
                        push("item", self.with_names(&symptom, context), 3.5);
                    }
                }
                Some(_) if (2..=6).contains(&name.len()) && !rest.is_empty() => {
                    let said = self.terms.within_sentence(&name);
                    push("item", self.with_names(&said, context), 3.2);
                }
                _ => {}
            }
        }
        candidates
    }

    /// The passage's title or heading as it stands. Where several passages have the same, what this
    /// one is about stands beside it.
    pub(super) fn heading(
        &self,
        passage: &Passage,
        context: &Context,
        topic: Option<&Topic>,
        source: usize,
    ) -> Option<Candidate> {
        let mut parts = passage.title.split(" > ");
        let document = self.shared_titles.cut(parts.next()?).trim();
        if context.title.is_empty() {
            return None;
        }
        let (style, said) = match context.heading() {
            Some(heading) => ("heading", self.headed(heading, context)?),
            None => ("title", join(&words(document.trim_end_matches('.')))),
        };
        let is_shared = self.shares_title(passage);
        let beside = topic.filter(|topic| is_shared && !topic.is_in(&words(&said)));
        let text = match beside {
            // A question is whole, and one word more seldom makes sense of a heading.
            Some(topic) if said.ends_with('?') || self.is_loose(topic) => return None,
            Some(topic) => format!("{said} {}", topic.text),
            None if is_shared && self.terms.is_small() => return None,
            None => said,
        };
        let fits = (2..=MAX_TITLE_WORDS).contains(&text.split_whitespace().count());
        fits.then_some(Candidate { style, text, source, merit: 4.0 })
    }

    /// Whether a topic is one word, which seldom makes sense beside a heading. A small corpus has
    /// to do with what it has.
    fn is_loose(&self, topic: &Topic) -> bool {
        !topic.text.contains(' ') && !self.terms.is_small()
    }

    /// The heaviest words of a sentence in their order, with the document's names: what is left
    /// where the grammar of a passage gives nothing.
    pub(super) fn heavy_words(
        &self,
        sentence: &[Word],
        context: &Context,
        source: usize,
    ) -> Option<Candidate> {
        let fits = |word: &Word| !word.is_number() && !word.is_number_word() && !is_vague(word);
        let mut places: Vec<usize> = (0..sentence.len())
            .filter(|at| fits(&sentence[*at]) && self.terms.weight(&sentence[*at]) > 0.0)
            .collect();
        places.sort_by(|a, b| {
            self.terms.weight(&sentence[*b]).total_cmp(&self.terms.weight(&sentence[*a]))
        });
        places.truncate(HEAVY_WORDS);
        places.sort_unstable();
        let said: Vec<String> =
            places.iter().map(|at| self.terms.within_sentence(&sentence[*at..=*at])).collect();
        let text = self.with_names(&said.join(" "), context);
        (said.len() > 1).then_some(Candidate { style: "keywords", text, source, merit: 0.6 })
    }

    /// A heading with the names of its document; none where it says nothing outside of it.
    fn headed(&self, heading: &[Word], context: &Context) -> Option<String> {
        let said = self.terms.within_sentence(heading);
        let first = &heading[0];
        let asks = matches!(first.lower.as_str(), "how" | "what" | "where" | "why" | "who");
        let is_open = heading.last().is_some_and(Word::is_stop_word)
            || first.is_preposition()
            || heading.iter().any(Word::is_anaphor)
            || matches!(first.lower.as_str(), "when" | "if" | "which" | "to");
        if is_open {
            return None;
        }
        if asks {
            return Some(asked(&in_context(&said, context, self.coin(&said))));
        }
        let named = self.with_names(&said, context);
        let topics = heading.iter().filter(|word| !is_vague(word) && !word.is_stop_word()).count();
        (named != said || topics > 1).then_some(named)
    }
}
