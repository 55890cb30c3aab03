//! One sentence becomes questions, each by a pattern of closed words.

use super::clause::{Clause, Predicate, analyse};
use super::corpus::CorpusTerms;
use super::values;
use super::words::{Word, clauses, join, words};

/// A question without context, first letter small and without question mark, and its style.
pub type Question = (&'static str, String);

/// Words that a sentence may begin with and lose.
const OPENERS: &[&str] = &[
    "however",
    "moreover",
    "furthermore",
    "thus",
    "therefore",
    "conversely",
    "hence",
    "finally",
    "additionally",
    "also",
    "instead",
    "interestingly",
    "importantly",
    "notably",
    "consequently",
    "similarly",
    "recently",
    "then",
    "so",
    "and",
    "but",
    "or",
    "here",
    "together",
    "overall",
    "specifically",
    "surprisingly",
    "indeed",
];

/// Verbs that report what the clause after `that` says.
const REPORTING: &[&str] = &[
    "show",
    "shows",
    "showed",
    "shown",
    "demonstrate",
    "demonstrates",
    "demonstrated",
    "suggest",
    "suggests",
    "suggested",
    "indicate",
    "indicates",
    "indicated",
    "find",
    "found",
    "report",
    "reported",
    "reveal",
    "revealed",
    "conclude",
    "concluded",
    "propose",
    "observed",
    "speculate",
    "hypothesized",
    "confirmed",
    "established",
    "discovered",
    "note",
    "imply",
    "evidence",
    "hypothesis",
];

/// Returns the questions that a sentence gives, best patterns first.
pub fn questions(sentence: &str, terms: &CorpusTerms) -> Vec<Question> {
    let all = words(sentence);
    let claim = core(&all);
    let mut questions = Vec::new();
    for clause in clauses(claim) {
        let Some(parts) = analyse(without_openers(clause)) else { continue };
        let subject = terms.within_sentence(parts.subject);
        if let Some(question) = values::question(&parts, &subject) {
            questions.push(("value", question));
        }
        questions.extend(definition(&parts, &subject).map(|question| ("definition", question)));
        questions.extend(object(&parts, &subject).map(|question| ("question", question)));
        questions.extend(agent(&parts).map(|question| ("question", question)));
        questions.extend(yes_no(&parts, &subject).map(|question| ("yes-no", question)));
    }
    questions.extend(why(claim, terms).map(|question| ("why", question)));
    questions.extend(condition(claim, terms).map(|question| ("condition", question)));
    questions
}

/// The sentence without `We found that` and the like.
fn core(words: &[Word]) -> &[Word] {
    let mut words = words;
    // CONCLUSIONS, RESULTS: section names of abstracts.
    while words.len() > 4 && words[0].text.len() > 5 && words[0].text.chars().all(char::is_uppercase) {
        words = &words[1..];
    }
    let that = words.iter().take(12).position(|word| word.lower == "that");
    match that {
        Some(at) if at > 0 && REPORTING.contains(&words[at - 1].lower.as_str()) => &words[at + 1..],
        _ => without_openers(words),
    }
}

fn without_openers(words: &[Word]) -> &[Word] {
    let begins = words.iter().position(|word| !OPENERS.contains(&word.lower.as_str())).unwrap_or(words.len());
    &words[begins..]
}

/// `The quota is a limit on …` gives `what is the quota`.
fn definition(clause: &Clause<'_>, subject: &str) -> Option<String> {
    let short = clause.subject.len() <= 5 && !clause.subject.iter().any(Word::is_number);
    match &clause.predicate {
        Predicate::Auxiliary(word) if short && (word == "is" || word == "are") => {
            let next = clause.rest.first()?;
            let defines = matches!(next.lower.as_str(), "a" | "an" | "the" | "any") && clause.rest.len() >= 4;
            defines.then(|| format!("what {word} {subject}"))
        }
        Predicate::Verb(_, base, form) if short && (base == "mean" || base == "refer") => {
            let to = if base == "refer" { " to" } else { "" };
            Some(format!("what {} {subject} {base}{to}", form.auxiliary()))
        }
        _ => None,
    }
}

/// `X blocks Y` gives `what does X block`.
fn object(clause: &Clause<'_>, subject: &str) -> Option<String> {
    let Predicate::Verb(_, base, form) = &clause.predicate else { return None };
    if matches!(
        base.as_str(),
        "mean" | "become" | "remain" | "appear" | "result" | "weigh" | "last" | "happen" | "work"
    ) {
        return None;
    }
    let next = clause.rest.first()?;
    let topics = clause.subject.iter().filter(|word| !word.is_stop_word()).count();
    if topics < 2 || next.lower.ends_with("ly") || next.is_number() {
        return None;
    }
    let preposition = match next.lower.as_str() {
        preposition @ ("to" | "on" | "in" | "with" | "for" | "from") => format!(" {preposition}"),
        _ if next.is_preposition() || next.is_anaphor() => return None,
        _ => String::new(),
    };
    Some(format!("what {} {subject} {base}{preposition}", form.auxiliary()))
}

/// `X blocks the binding of Y` gives `what blocks the binding of Y`, `X is required for Y` gives `what is required for Y`.
fn agent(clause: &Clause<'_>) -> Option<String> {
    let verb = match &clause.predicate {
        Predicate::Auxiliary(word) => {
            let participle = clause.rest.first()?.lower.ends_with("ed") && clause.rest.get(1)?.is_preposition();
            let word = if word == "are" { "is" } else { word.as_str() };
            let word = if word == "were" { "was" } else { word };
            participle.then(|| word.to_owned())?
        }
        Predicate::Verb(written, base, form) => match form {
            super::verbs::Form::Base => third_person(base),
            _ => written.clone(),
        },
    };
    let rest = phrase(clause.rest, 8)?;
    let topics = rest.iter().filter(|word| !word.is_stop_word() && !word.is_number()).count();
    (topics >= 2 && !rest.iter().any(Word::is_anaphor)).then(|| format!("what {verb} {}", join(rest)))
}

fn third_person(base: &str) -> String {
    match base {
        _ if base.ends_with(['s', 'x', 'h']) => format!("{base}es"),
        _ if base.ends_with('y') && !base.ends_with("ay") => format!("{}ies", &base[..base.len() - 1]),
        _ => format!("{base}s"),
    }
}

/// `X is linked to Y` gives `is X linked to Y`.
fn yes_no(clause: &Clause<'_>, subject: &str) -> Option<String> {
    let rest = phrase(clause.rest, 7)?;
    if rest.iter().any(|word| word.is_anaphor() || word.is_number() || word.lower == "not") || rest.len() < 2 {
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
    let open = said.iter().any(|word| word.is_anaphor() || word.lower == "not");
    if open || said.iter().filter(|word| !word.is_stop_word()).count() < 2 || said.len() + 4 > sentence.len() {
        return None;
    }
    let asked = match begins {
        0 if sentence.len() % 2 == 0 => "what should be done",
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

/// The first words up to a border, at most `limit`, not ending in a preposition or article.
fn phrase(words: &[Word], limit: usize) -> Option<&[Word]> {
    let mut end = words
        .iter()
        .position(|word| word.stop.is_some())
        .map_or(words.len(), |at| at + 1)
        .min(words.iter().skip(1).position(|word| word.opens).map_or(words.len(), |at| at + 1));
    if end > limit {
        // Cut before the last preposition that leaves enough.
        end = (2..=limit).rev().find(|at| words[*at].is_preposition() || words[*at].lower == "and")?;
    }
    while end > 0 && (words[end - 1].is_preposition() || words[end - 1].is_determiner()) {
        end -= 1;
    }
    Some(&words[..end])
}
