//! Turns one sentence into questions, by patterns of closed words.

use super::clause::{Clause, Predicate, analyse};
use super::corpus::CorpusTerms;
use super::lists;
use super::values;
use super::words::{Word, clauses, join, words};

/// A question and its style: no context, a small first letter, no question mark.
pub type Question = (&'static str, String);

/// Returns the questions that a sentence yields, best patterns first.
pub fn questions(sentence: &str, terms: &CorpusTerms) -> Vec<Question> {
    let all = words(sentence);
    let claim = core(&all);
    let mut questions = Vec::new();
    for (index, clause) in clauses(claim).into_iter().enumerate() {
        let Some(parts) = analyse(without_openers(clause)) else { continue };
        if index > 0 && is_attached(&parts) {
            continue;
        }
        let subject = terms.within_sentence(parts.subject);
        if let Some(question) = values::question(&parts, &subject) {
            questions.push(("value", question));
        }
        let defined = definition(&parts, &subject);
        questions.extend(object(&parts, &subject).map(|question| ("question", question)));
        questions.extend(agent(&parts).map(|question| ("question", question)));
        let yes_no = if defined.is_some() { None } else { yes_no(&parts, &subject) };
        questions.extend(defined.map(|question| ("definition", question)));
        questions.extend(yes_no.map(|question| ("yes-no", question)));
    }
    questions.extend(why(claim, terms).map(|question| ("why", question)));
    questions.extend(condition(claim, terms).map(|question| ("condition", question)));
    questions
}

/// Whether a later clause depends on the first: `…, leading to changes in Y`, `…, a protein
/// involved in Z`.
fn is_attached(clause: &Clause<'_>) -> bool {
    let participle = clause.subject[0].lower.ends_with("ing");
    participle || matches!(&clause.predicate, Predicate::Verb(_, _, super::verbs::Form::Past))
}

/// The sentence without `We found that` and the like.
fn core(words: &[Word]) -> &[Word] {
    let mut words = words;
    // CONCLUSIONS, RESULTS: section names of abstracts.
    while words.len() > 4
        && words[0].text.len() > 5
        && words[0].text.chars().all(char::is_uppercase)
    {
        words = &words[1..];
    }
    let that = words.iter().take(12).position(|word| word.lower == "that");
    match that {
        Some(at) if at > 0 && lists::REPORTING.contains(words[at - 1].lower.as_str()) => {
            &words[at + 1..]
        }
        _ => without_openers(words),
    }
}

fn without_openers(words: &[Word]) -> &[Word] {
    let begins = words
        .iter()
        .position(|word| !lists::OPENERS.contains(word.lower.as_str()))
        .unwrap_or(words.len());
    &words[begins..]
}

/// `The quota is a limit on …` gives `what is the quota`.
fn definition(clause: &Clause<'_>, subject: &str) -> Option<String> {
    let short = clause.subject.len() <= 5 && !clause.subject.iter().any(Word::is_number);
    match &clause.predicate {
        Predicate::Auxiliary(word) if short && (word == "is" || word == "are") => {
            let next = clause.rest.first()?;
            let defines =
                matches!(next.lower.as_str(), "a" | "an" | "the" | "any") && clause.rest.len() >= 4;
            defines.then(|| format!("what {word} {subject}"))
        }
        Predicate::Verb(_, base, form) if short && matches!(*base, "mean" | "refer") => {
            let to = if *base == "refer" { " to" } else { "" };
            Some(format!("what {} {subject} {base}{to}", form.auxiliary()))
        }
        _ => None,
    }
}

/// `X blocks Y` gives `what does X block`.
fn object(clause: &Clause<'_>, subject: &str) -> Option<String> {
    let Predicate::Verb(_, base, form) = &clause.predicate else { return None };
    let next = clause.rest.first()?;
    let topics = clause.subject.iter().filter(|word| !word.is_stop_word()).count();
    if topics < 2 || next.lower.ends_with("ly") || next.is_number() {
        return None;
    }
    let preposition = match format!("{base} {}", next.lower) {
        with if lists::VERBS_WITH_PREPOSITION.contains(with.as_str()) => format!(" {}", next.lower),
        _ if next.is_preposition() || next.is_anaphor() || lists::LIGHT_VERBS.contains(base) => {
            return None;
        }
        _ => String::new(),
    };
    Some(format!("what {} {subject} {base}{preposition}", form.auxiliary()))
}

/// `X blocks the binding of Y` gives `what blocks the binding of Y`, `X is required for Y` gives
/// `what is required for Y`.
fn agent(clause: &Clause<'_>) -> Option<String> {
    let verb = match &clause.predicate {
        Predicate::Auxiliary(word) => {
            let participle =
                clause.rest.first()?.lower.ends_with("ed") && clause.rest.get(1)?.is_preposition();
            let word = if word == "are" { "is" } else { word.as_str() };
            let word = if word == "were" { "was" } else { word };
            participle.then(|| word.to_owned())?
        }
        Predicate::Verb(_, "mean" | "come" | "go" | "have", _) => return None,
        Predicate::Verb(written, base, form) => match form {
            super::verbs::Form::Base => super::verbs::third_person(base),
            _ => written.clone(),
        },
    };
    let rest = phrase(clause.rest, 9)?;
    let topics = rest.iter().filter(|word| !word.is_stop_word() && !word.is_number()).count();
    (topics >= 2 && !rest.iter().any(Word::is_anaphor))
        .then(|| format!("what {verb} {}", join(rest)))
}

/// `X is linked to Y` gives `is X linked to Y`.
fn yes_no(clause: &Clause<'_>, subject: &str) -> Option<String> {
    let rest = phrase(clause.rest, 9)?;
    if rest.iter().any(|word| word.is_anaphor() || word.is_number() || word.lower == "not")
        || rest.len() < 2
    {
        return None;
    }
    let (inverted, base) = clause.inverted(subject);
    Some(
        format!("{inverted} {} {}", base.unwrap_or_default(), join(rest))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// `X must be drained because …` gives `why must X be drained`.
fn why(sentence: &[Word], terms: &CorpusTerms) -> Option<String> {
    let reason = sentence.iter().enumerate().position(|(index, word)| {
        let next = sentence.get(index + 1).map(|next| next.lower.as_str());
        word.lower == "because"
            || (word.lower == "so" && next == Some("that"))
            || (word.lower == "to" && matches!(next, Some("avoid" | "prevent")))
            || (word.lower == "otherwise" && index > 3)
    })?;
    let effect = clauses(&sentence[..reason]).into_iter().next_back()?;
    let parts = analyse(without_openers(effect))?;
    let rest = phrase(parts.rest, 8).unwrap_or_default();
    if rest.iter().any(Word::is_anaphor) {
        return None;
    }
    let (inverted, base) = parts.inverted(&terms.within_sentence(parts.subject));
    let question = format!("why {inverted} {} {}", base.unwrap_or_default(), join(rest));
    Some(question.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// `If the bus is silent, …` gives `what happens if the bus is silent`.
fn condition(sentence: &[Word], terms: &CorpusTerms) -> Option<String> {
    let begins = sentence.iter().position(|word| matches!(word.lower.as_str(), "if" | "when"))?;
    let clause = *clauses(&sentence[begins..]).first()?;
    let said = clause.get(1..).filter(|said| (3..=8).contains(&said.len()))?;
    let mut said = said.to_vec();
    said.last_mut()?.stop = None;
    let open = said.iter().any(|word| {
        word.is_anaphor()
            || word.lower.starts_with("it'")
            || matches!(word.lower.as_str(), "not" | "believe" | "necessary")
    });
    if open
        || said.iter().filter(|word| !word.is_stop_word()).count() < 2
        || said.len() + 4 > sentence.len()
    {
        return None;
    }
    let asked = match begins {
        0 if sentence.len().is_multiple_of(2) => "what should be done",
        _ => "what happens",
    };
    let text = swap_persons(&terms.within_sentence(&said));
    Some(format!("{asked} {} {text}", clause[0].lower))
}

fn swap_persons(text: &str) -> String {
    let swap = |word: &str| match word {
        "you" => "I".to_owned(),
        "your" => "my".to_owned(),
        word => word.to_owned(),
    };
    text.split(' ').map(swap).collect::<Vec<_>>().join(" ")
}

/// The first words up to a boundary, at most `limit`, ending in a word with a topic.
fn phrase(words: &[Word], limit: usize) -> Option<&[Word]> {
    let begins = |word: &Word| {
        matches!(word.lower.as_str(), "who" | "which" | "that" | "where" | "whose" | "so")
    };
    let border = (0..words.len()).find(|at| {
        words[*at].stop.is_some()
            || words.get(at + 1).is_some_and(|next| next.opens || begins(next))
    });
    let mut end = border.map_or(words.len(), |at| at + 1);
    if end > limit {
        // Cuts before the last preposition that leaves enough words.
        end = (2..=limit)
            .rev()
            .find(|at| words[*at].is_preposition() || words[*at].lower == "and")?;
    }
    while end > 0 && words[end - 1].is_stop_word() {
        end -= 1;
    }
    Some(&words[..end])
}
