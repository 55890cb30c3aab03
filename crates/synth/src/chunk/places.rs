//! A text that stands in several places becomes one passage.

use crate::same_text::same_text;
use std::collections::HashMap;
use whetstone_records::{DocumentId, Passage, PassageId, PassageMetadata, Place};

/// A passage to be, with the tokens of its text.
pub(crate) struct Cut {
    pub id: PassageId,
    /// Title of the document and headings, outermost first.
    pub path: Vec<String>,
    pub text: String,
    pub document: DocumentId,
    pub span: (usize, usize),
    pub tokens: usize,
}

/// Between the parts of a title.
const PATH: &str = " > ";

/// Joins equal texts, in the order of the first of each; returns the passages with their tokens.
pub(crate) fn join_equal(cuts: Vec<Cut>) -> Vec<(Passage, usize)> {
    let mut joined: Vec<(Passage, usize)> = Vec::new();
    let mut paths: Vec<Vec<String>> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for cut in cuts {
        let (place, path) = (place_of(&cut), cut.path.clone());
        let (passage, tokens) = one_place(cut);
        let next = joined.len();
        let number = *numbers.entry(same_text(&passage)).or_insert(next);
        if number == next {
            paths.push(path);
            joined.push((passage, tokens));
            continue;
        }
        let (first, _) = &mut joined[number];
        if first.metadata.places.is_empty() {
            first.metadata.places.extend(only_place(first));
        }
        first.metadata.places.push(place);
        // What is said above the text in every place.
        let common: Vec<String> =
            paths[number].iter().filter(|part| path.contains(part)).cloned().collect();
        if !common.is_empty() {
            first.title = common.join(PATH);
            paths[number] = common;
        }
    }
    joined
}

/// The passage of one place, with its tokens.
pub(crate) fn one_place(cut: Cut) -> (Passage, usize) {
    let metadata = PassageMetadata {
        document: Some(cut.document),
        span: Some(cut.span),
        ..Default::default()
    };
    let title = cut.path.join(PATH);
    (Passage { id: cut.id, title, text: cut.text, metadata }, cut.tokens)
}

fn place_of(cut: &Cut) -> Place {
    Place { document: cut.document.clone(), title: cut.path.join(PATH), span: cut.span }
}

fn only_place(passage: &Passage) -> Option<Place> {
    let PassageMetadata { document, span, .. } = &passage.metadata;
    Some(Place { document: document.clone()?, title: passage.title.clone(), span: (*span)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(document: &str, path: &[&str], text: &str) -> Cut {
        Cut {
            id: format!("{document}#0001").as_str().into(),
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            text: text.into(),
            document: document.into(),
            span: (7, 9),
            tokens: 3,
        }
    }

    #[test]
    fn equal_texts_are_one_passage_under_what_their_titles_share() {
        let joined = join_equal(vec![
            cut("add.md", &["cargo add", "Options", "Exit status"], "101: it failed."),
            cut("add.md", &["cargo add"], "Adds."),
            cut("run.md", &["cargo run", "Options", "Exit status"], "101:  It failed."),
            cut("bench.md", &["cargo bench", "Exit status"], "101: it failed."),
        ]);
        let found: Vec<_> = joined
            .iter()
            .map(|(passage, _)| (passage.id.as_str(), passage.title.as_str()))
            .collect();
        assert_eq!(found, [("add.md#0001", "Exit status"), ("add.md#0001", "cargo add")]);
        let places = &joined[0].0.metadata.places;
        let documents: Vec<&str> = places.iter().map(|place| place.document.as_str()).collect();
        assert_eq!(documents, ["add.md", "run.md", "bench.md"]);
        assert_eq!(places[0].title, "cargo add > Options > Exit status");
        assert!(joined[1].0.metadata.places.is_empty());
    }

    #[test]
    fn titles_that_share_nothing_leave_that_of_the_first_place() {
        let joined = join_equal(vec![cut("a.md", &["Pump"], "x"), cut("b.md", &["Valve"], "x")]);
        assert_eq!((joined.len(), joined[0].0.title.as_str()), (1, "Pump"));
    }
}
