//! Which passage is judged next.

use super::judgements::Judgements;
use super::pooled::Item;
use crate::error::Result;
use std::collections::HashSet;
use whetstone_records::{Language, PassageId, QueryId};

/// The meaning of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Grade(i32),
    Undo,
    Skip,
    Back,
}

/// The current passage, and the judgements so far.
pub struct Session {
    items: Vec<Item>,
    judgements: Judgements,
    at: usize,
    skipped: HashSet<usize>,
    /// Graded items, each with its earlier grade.
    history: Vec<(usize, Option<i32>)>,
    /// The effect of the last key, in words.
    pub message: String,
    /// The language of the passages.
    pub language: Language,
}

impl Session {
    /// Begins at the first item without a grade.
    pub fn new(items: Vec<Item>, judgements: Judgements) -> Self {
        let place = |query: &QueryId, passage: &PassageId| {
            items.iter().position(|item| (&item.query, &item.passage) == (query, passage))
        };
        let history: Vec<_> = judgements
            .given()
            .iter()
            .filter_map(|(query, passage, _)| Some((place(query, passage)?, None)))
            .collect();
        let mut session = Self {
            items,
            judgements,
            at: 0,
            skipped: HashSet::new(),
            history,
            message: String::new(),
            language: Language::default(),
        };
        session.at = session.next_open(0).unwrap_or(session.items.len());
        session
    }

    /// The current item; none if all are judged or skipped.
    pub fn item(&self) -> Option<&Item> {
        self.items.get(self.at)
    }

    /// The current item's grade, if it has one.
    pub fn grade(&self) -> Option<i32> {
        self.item().and_then(|item| self.judgements.grade(&item.query, &item.passage))
    }

    /// How many items have a grade.
    pub fn judged(&self) -> usize {
        self.items
            .iter()
            .filter(|item| self.judgements.grade(&item.query, &item.passage).is_some())
            .count()
    }

    /// How many queries have a relevant passage: an evaluation counts only those.
    pub fn queries_with_answer(&self) -> usize {
        let relevant = self.judgements.given().iter().filter(|(.., grade)| *grade > 0);
        relevant.map(|(query, ..)| query).collect::<HashSet<_>>().len()
    }

    /// How many passages are to be judged.
    pub fn total(&self) -> usize {
        self.items.len()
    }

    pub fn skipped(&self) -> usize {
        self.skipped.len()
    }

    /// Carries out a key.
    pub fn press(&mut self, key: Key) -> Result<()> {
        match key {
            Key::Grade(grade) => self.give(grade),
            Key::Undo => self.undo(),
            Key::Skip => {
                self.skipped.insert(self.at);
                self.message = "skipped; you see it again in the next session".into();
                self.advance();
                Ok(())
            }
            Key::Back => {
                self.message =
                    if self.at == 0 { "this is the first".into() } else { String::new() };
                self.at = self.at.saturating_sub(1);
                Ok(())
            }
        }
    }

    fn give(&mut self, grade: i32) -> Result<()> {
        let Some(item) = self.items.get(self.at) else { return Ok(()) };
        let before = self.judgements.grade(&item.query, &item.passage);
        self.judgements.give(&item.query, &item.passage, grade)?;
        self.history.push((self.at, before));
        self.skipped.remove(&self.at);
        self.message = format!("kept: {grade}");
        self.advance();
        Ok(())
    }

    fn undo(&mut self) -> Result<()> {
        let Some((at, before)) = self.history.pop() else {
            self.message = "there is nothing to undo".into();
            return Ok(());
        };
        let item = &self.items[at];
        match before {
            Some(grade) => self.judgements.give(&item.query, &item.passage, grade)?,
            None => self.judgements.remove(&item.query, &item.passage)?,
        }
        self.at = at;
        self.message = "taken back".into();
        Ok(())
    }

    /// Goes to the next item without a grade. After the last one, returns to earlier open ones.
    fn advance(&mut self) {
        let next = self.next_open(self.at + 1).or_else(|| self.next_open(0));
        self.at = next.unwrap_or(self.items.len());
    }

    fn next_open(&self, from: usize) -> Option<usize> {
        let is_open = |at: &usize| {
            let item = &self.items[*at];
            !self.skipped.contains(at)
                && self.judgements.grade(&item.query, &item.passage).is_none()
        };
        (from..self.items.len()).find(is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(path: &std::path::Path) -> Session {
        let item = |at: usize| Item {
            query: "q".into(),
            query_text: "how".into(),
            passage: PassageId::new(format!("p{at}")),
            title: String::new(),
            text: "text".into(),
            query_place: (1, 1),
            passage_place: (at, 4),
        };
        Session::new((1..=4).map(item).collect(), Judgements::open(path).unwrap())
    }

    fn at(session: &Session) -> &str {
        session.item().map_or("end", |item| item.passage.as_str())
    }

    #[test]
    fn a_session_goes_on_where_the_last_one_was_and_asks_what_was_skipped_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        let mut first = session(&path);
        for key in [Key::Grade(2), Key::Skip, Key::Grade(0)] {
            first.press(key).unwrap();
        }
        assert_eq!((at(&first), first.judged(), first.skipped()), ("p4", 2, 1));
        drop(first);
        let mut second = session(&path);
        assert_eq!(at(&second), "p2");
        second.press(Key::Grade(1)).unwrap();
        assert_eq!(at(&second), "p4");
        second.press(Key::Grade(3)).unwrap();
        assert_eq!((at(&second), second.judged(), second.queries_with_answer()), ("end", 4, 1));
    }

    #[test]
    fn undo_takes_grades_back_one_by_one_also_of_an_earlier_session() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        let mut first = session(&path);
        first.press(Key::Grade(2)).unwrap();
        first.press(Key::Grade(1)).unwrap();
        drop(first);
        let mut second = session(&path);
        second.press(Key::Back).unwrap();
        assert_eq!((at(&second), second.grade()), ("p2", Some(1)));
        second.press(Key::Grade(3)).unwrap();
        second.press(Key::Undo).unwrap();
        assert_eq!(
            (at(&second), second.grade()),
            ("p2", Some(1)),
            "the grade before the change is back"
        );
        second.press(Key::Undo).unwrap();
        second.press(Key::Undo).unwrap();
        assert_eq!((at(&second), second.judged()), ("p1", 0));
        second.press(Key::Undo).unwrap();
        assert_eq!(second.message, "there is nothing to undo");
    }

    #[test]
    fn what_is_skipped_at_the_end_leads_back_to_what_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = session(&folder.path().join("a.tsv"));
        session.press(Key::Back).unwrap();
        assert_eq!(session.message, "this is the first");
        for key in [Key::Skip, Key::Grade(0), Key::Grade(0), Key::Grade(0)] {
            session.press(key).unwrap();
        }
        assert_eq!((at(&session), session.skipped()), ("end", 1));
    }
}
