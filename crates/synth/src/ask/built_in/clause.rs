//! Finds subject, verb and rest of a clause by closed lists of words.

use super::lists;
use super::verbs::{Form, verb};
use super::words::{Word, is_order};

/// A clause that can be turned into a question.
#[derive(Debug)]
pub struct Clause<'a> {
    pub subject: &'a [Word],
    pub predicate: Predicate,
    pub rest: &'a [Word],
}

#[derive(Debug, PartialEq)]
pub enum Predicate {
    /// `is`, `must`, `has`: it swaps places with the subject.
    Auxiliary(String),
    /// A full verb as written, its base and its form.
    Verb(String, &'static str, Form),
}

/// Longest subject, in words.
const MAX_SUBJECT: usize = 8;

/// Returns subject, verb and rest, or none where the clause has no clear subject.
pub fn analyse(words: &[Word]) -> Option<Clause<'_>> {
    let first = words.first()?;
    if lists::NO_SUBJECT.contains(first.lower.as_str())
        || first.is_preposition()
        || first.is_anaphor()
        || is_order(first)
    {
        return None;
    }
    for index in 1..words.len().min(MAX_SUBJECT + 1) {
        let (subject, word, rest) = (&words[..index], &words[index], &words[index + 1..]);
        if matches!(
            word.lower.as_str(),
            "that" | "which" | "who" | "whose" | "where" | "to" | "there"
        ) || word.is_anaphor()
        {
            return None;
        }
        let last = &subject[index - 1];
        if last.is_determiner()
            || last.is_preposition()
            || matches!(last.lower.as_str(), "and" | "or" | "not")
        {
            continue;
        }
        if let (Some((base, form)), false) = (possession(&word.lower), has_participle(rest)) {
            return Some(Clause {
                subject,
                predicate: Predicate::Verb(word.lower.clone(), base, form),
                rest,
            });
        }
        if lists::AUXILIARIES.contains(word.lower.as_str()) {
            return Some(Clause {
                subject,
                predicate: Predicate::Auxiliary(word.lower.clone()),
                rest,
            });
        }
        if let Some((base, form)) = verb(&word.lower)
            && agrees(last, form)
            && !rest.iter().take(8).any(|word| lists::AUXILIARIES.contains(word.lower.as_str()))
            && !word.is_capitalised()
        {
            return Some(Clause {
                subject,
                predicate: Predicate::Verb(word.lower.clone(), base, form),
                rest,
            });
        }
    }
    None
}

/// Whether `has` is the main verb, as in `the unit has two pumps`.
fn possession(lower: &str) -> Option<(&'static str, Form)> {
    match lower {
        "has" => Some(("have", Form::Third)),
        "have" => Some(("have", Form::Base)),
        "had" => Some(("have", Form::Past)),
        _ => None,
    }
}

/// Whether what follows `has` is a participle: `been`, `not yet seized`.
fn has_participle(rest: &[Word]) -> bool {
    let skipped = |word: &&Word| {
        word.lower.ends_with("ly")
            || matches!(
                word.lower.as_str(),
                "not" | "also" | "yet" | "already" | "never" | "no" | "longer" | "since" | "just"
            )
    };
    let first = rest.iter().find(|word| !skipped(word)).map_or("", |word| word.lower.as_str());
    lists::PARTICIPLES.contains(first)
        || first.ends_with("ed")
        || (first.ends_with("en") && first.len() > 4)
}

/// Whether a verb of this form can follow this noun: `the pump stops`, `the pumps stop`.
fn agrees(noun: &Word, form: Form) -> bool {
    let plural =
        noun.lower.ends_with('s') && !noun.lower.ends_with("ss") && !noun.lower.ends_with("us");
    match form {
        _ if noun.is_stop_word() && noun.lower != "you" => false,
        Form::Past => !noun.lower.ends_with("ly") || noun.is_capitalised(),
        Form::Third => !plural || noun.is_identifier(),
        Form::Base => plural || noun.lower == "you",
    }
}

impl Clause<'_> {
    /// For `must the secret` or `does the valve`: what follows the question word, and the base form
    /// that follows the subject.
    pub fn inverted(&self, subject: &str) -> (String, Option<&str>) {
        let (subject, you) = if subject == "you" { ("I", true) } else { (subject, false) };
        match &self.predicate {
            Predicate::Auxiliary(word) if you && word == "are" => (format!("am {subject}"), None),
            Predicate::Auxiliary(word) => (format!("{word} {subject}"), None),
            Predicate::Verb(_, base, form) => {
                (format!("{} {subject}", form.auxiliary()), Some(base))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::{join, words};
    use super::*;

    fn parts(text: &str) -> Option<(String, String, String)> {
        let words = words(text);
        let clause = analyse(&words)?;
        let verb = match clause.predicate {
            Predicate::Auxiliary(word) => word,
            Predicate::Verb(_, base, form) => format!("{} {base}", form.auxiliary()),
        };
        Some((join(clause.subject), verb, join(clause.rest)))
    }

    #[test]
    fn clauses_come_apart_at_their_verb() {
        let expect = |text, subject: &str, verb: &str, rest: &str| {
            assert_eq!(parts(text), Some((subject.into(), verb.into(), rest.into())), "{text}");
        };
        expect("The secret must be renewed.", "The secret", "must", "be renewed");
        expect(
            "Compensation starts after 12 hours.",
            "Compensation",
            "does start",
            "after 12 hours",
        );
        expect("Resting pumps run for 40 seconds.", "Resting pumps", "do run", "for 40 seconds");
        expect("The unit has two pumps.", "The unit", "does have", "two pumps");
        expect("The pump has already seized.", "The pump", "has", "already seized");
        expect("The control room may cancel.", "The control room", "may", "cancel");
    }

    #[test]
    fn clauses_that_cannot_stand_alone_are_left() {
        for text in [
            "It is warm.",
            "In summer the pump rests.",
            "There is a drain.",
            "When it stops",
            "Fill and watch.",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
