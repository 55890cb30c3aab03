//! Queries from a passage's table cells, named items and heading.

use super::context::{Context, in_context};
use super::reading::Reading;
use super::words::{Word, terms_of, words};
use super::{BuiltIn, Candidate, asked};

impl BuiltIn<'_> {
    /// Questions for table cells and named items.
    pub(super) fn parts(&self, reading: &Reading, context: &Context) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut symptoms = Vec::new();
        let mut push = |style, question: String, merit: f32| {
            let text = asked(&in_context(&question, context, self.coin(&question)));
            candidates.push(Candidate { style, text, source: 0, merit });
        };
        for cell in &reading.cells {
            let (column, row) = (words(&cell.column), words(&cell.row));
            let short = (1..=5).contains(&column.len()) && (1..=6).contains(&row.len());
            if short && cell.value.len() > 1 {
                let merit = 4.0 + self.salience(&row);
                let (column, row) =
                    (self.terms.within_sentence(&column), self.terms.within_sentence(&row));
                push("table", format!("what is the {column} for {row}"), merit);
            }
        }
        for (name, rest) in &reading.items {
            let name = words(name);
            let merit = 4.0 + self.salience(&name);
            match name.split_first() {
                Some((code, symptom)) if code.is_identifier() && code.stop.is_some() => {
                    push("definition", format!("what does {} mean", code.text), merit);
                    symptoms.push((symptom.to_vec(), merit));
                }
                Some(_) if name.len() <= 6 && !rest.is_empty() => {
                    push(
                        "definition",
                        format!("what is {}", self.terms.within_sentence(&name)),
                        merit,
                    );
                }
                _ => {}
            }
        }
        for (symptom, merit) in symptoms.into_iter().filter(|(symptom, _)| symptom.len() >= 2) {
            let text = self.with_names(symptom, context, "symptom");
            candidates.push(Candidate {
                style: "keywords",
                text: format!("{text} what to do"),
                source: 0,
                merit,
            });
        }
        candidates
    }

    /// A query from the heading, with the passage's most telling term where the heading alone is
    /// too general.
    pub(super) fn heading(
        &self,
        reading: &Reading,
        context: &Context,
        source: usize,
    ) -> Option<Candidate> {
        let heading = context.heading()?;
        let said = self.terms.within_sentence(heading);
        let question = match heading[0].lower.as_str() {
            "how" | "what" | "when" | "where" | "why" | "who" | "which" => Some(said.clone()),
            "if" | "after" => Some(format!("what happens {said}")),
            "before" => Some(format!("what to do {said}")),
            _ if heading.len() > 2 && self.coin(&said) => Some(format!("what applies to {said}")),
            _ => None,
        };
        let text = match question {
            Some(question) => asked(&in_context(&question, context, self.coin(&question))),
            None => {
                let all: Vec<Word> =
                    reading.sentences.iter().flat_map(|sentence| words(sentence)).collect();
                let runs = terms_of(&all);
                let fresh = runs.into_iter().filter(|run| {
                    !run.iter().any(|word| heading.iter().any(|h| h.lower == word.lower))
                });
                let telling =
                    fresh.max_by(|a, b| self.telling(a, &all).total_cmp(&self.telling(b, &all)));
                let mut terms = heading.to_vec();
                let general = terms.len() < 3 || context.is_sentence;
                terms.extend(telling.filter(|_| general).into_iter().flatten().cloned());
                terms.iter_mut().for_each(|word| word.stop = None);
                self.with_names(terms, context, &said)
            }
        };
        Some(Candidate { style: "heading", text, source, merit: 2.5 })
    }

    /// The weight of a term in a passage: higher if the corpus rarely has it, and if the passage
    /// repeats it.
    fn telling(&self, run: &[Word], all: &[Word]) -> f32 {
        let repeated = |word: &Word| {
            (all.iter().filter(|other| other.lower == word.lower).count() as f32).sqrt()
        };
        run.iter().map(|word| self.terms.weight(word) * repeated(word)).sum::<f32>()
            / (run.len() as f32).sqrt()
    }
}
