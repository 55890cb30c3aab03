//! Turns one sentence into questions, by the few patterns whose grammar surely holds.

use super::clause::analyse;
use super::corpus::CorpusTerms;
use super::lists;
use super::phrases::{as_said, is_article};
use super::values;
use super::words::{Word, clauses};
use std::ops::Range;

/// A question and its style: no context, a small first letter, no question mark.
pub type Question = (&'static str, String);

/// Longest question with a value, in words.
const MAX_VALUE_WORDS: usize = 13;
/// Least weight of a noun that a how-to question ends in, where it is the only one.
const MIN_WEIGHT: f32 = 2.5;

/// A sentence with its noun phrases, alone and joined by prepositions.
pub struct Parsed<'a> {
    pub words: &'a [Word],
    pub phrases: &'a [Range<usize>],
    pub chains: &'a [Range<usize>],
}

impl Parsed<'_> {
    /// The longest phrase that begins at a word.
    fn longest_from(&self, start: usize) -> Option<&Range<usize>> {
        let begins = self.phrases.iter().chain(self.chains).filter(|range| range.start == start);
        begins.max_by_key(|range| range.end)
    }

    /// The phrase from a word on, with the article before it: where it stands and where it ends.
    fn noun(&self, at: usize) -> Option<Range<usize>> {
        let article = usize::from(self.words.get(at).is_some_and(is_article));
        Some(at..self.longest_from(at + article)?.end)
    }
}

/// Returns the questions that a sentence yields.
pub fn questions(sentence: &Parsed, terms: &CorpusTerms) -> Vec<Question> {
    let what = what_is(sentence, terms).into_iter();
    what.chain(value(sentence, terms)).chain(how_to(sentence, terms)).collect()
}

/// `A quota is a limit on …` gives `what is a quota`, `The price of hops was …` gives `what was the
/// price of hops`.
fn what_is(sentence: &Parsed, terms: &CorpusTerms) -> Option<Question> {
    let subject = sentence.noun(0)?;
    let first = &sentence.words[0];
    let has_article = is_article(first);
    if has_article && !matches!(first.lower.as_str(), "a" | "an" | "the") {
        return None;
    }
    if lists::BEFORE_NAMES.contains(first.lower.as_str()) {
        return None;
    }
    let (verb, rest) = sentence.words[subject.end..].split_first()?;
    if rest.len() < 3 || sentence.words[subject.end - 1].stop.is_some() {
        return None;
    }
    let words = &sentence.words[subject.clone()];
    let said = as_said(words, terms);
    let several = words.len() - usize::from(has_article) > 1;
    let is_the = first.lower == "the";
    let plural = matches!(verb.lower.as_str(), "are" | "were");
    let last = words.last()?;
    if plural != last.lower.ends_with('s') && !words.iter().any(Word::is_preposition) {
        return None;
    }
    match verb.lower.as_str() {
        "is" | "are" if defines(rest) && (several || !is_the) => {
            Some(("definition", format!("what {} {said}", verb.lower)))
        }
        "is" | "are" | "was" | "were" if is_the && several => {
            Some(("question", format!("what {} {said}", verb.lower)))
        }
        "means" => Some(("definition", format!("what does {said} mean"))),
        _ => None,
    }
}

/// Whether what follows `is` says which kind of thing something is.
fn defines(rest: &[Word]) -> bool {
    let vague = |word: &Word| lists::VAGUE.contains(word.lower.as_str());
    matches!(rest[0].lower.as_str(), "a" | "an" | "any") && !vague(&rest[1]) && rest.len() > 3
}

/// `The token is valid for 45 minutes.` gives `how long is the token valid`.
fn value(sentence: &Parsed, terms: &CorpusTerms) -> Option<Question> {
    let clause = *clauses(sentence.words).first()?;
    let subject = sentence.noun(0)?;
    let parts = analyse(clause).filter(|parts| parts.subject.len() == subject.end)?;
    let said = terms.within_sentence(parts.subject);
    let question = values::question(&parts, &said)?;
    let asked = super::words::words(&question);
    let open =
        asked.iter().any(|word| word.is_anaphor() || word.is_number() || word.lower == "any");
    (!open && question.split(' ').count() <= MAX_VALUE_WORDS).then_some(("value", question))
}

/// `You can freeze the hop pellets` and `Freeze the hop pellets` give `how to freeze the hop
/// pellets`.
fn how_to<'a>(
    sentence: &'a Parsed,
    terms: &'a CorpusTerms,
) -> impl Iterator<Item = Question> + use<'a> {
    (0..sentence.words.len()).filter_map(move |at| {
        let verb = &sentence.words[at];
        let before = at.checked_sub(1).map(|at| &sentence.words[at]);
        let leads = before.is_none_or(|before| {
            before.stop.is_none()
                && matches!(before.lower.as_str(), "to" | "can" | "should" | "must")
        });
        let acts = terms.is_base_verb(verb) && !lists::LIGHT_VERBS.contains(verb.lower.as_str());
        if !leads || !acts || verb.stop.is_some() || (at > 0 && verb.is_capitalised()) {
            return None;
        }
        let object = sentence.noun(at + 1)?;
        let words = &sentence.words[object];
        let words = match words.first()?.lower.as_str() {
            "a" | "an" | "the" => words,
            "this" | "that" | "these" | "those" => return None,
            _ if is_article(&words[0]) => &words[1..],
            _ => words,
        };
        let nouns = words.iter().filter(|word| !word.is_stop_word()).count();
        if nouns < 2 && terms.weight(words.last()?) < MIN_WEIGHT {
            return None;
        }
        let object = super::words::join(words);
        Some(("how-to", format!("how to {} {object}", verb.lower)))
    })
}
