//! Questions that ask for a number in a sentence.

use super::clause::{Clause, Predicate};
use super::lists;
use super::words::{Word, join};

/// How to ask for a unit.
enum Kind {
    Time,
    Temperature,
    Pressure,
    Money,
    Share,
    /// Anything counted or measured by the name of its unit.
    Count,
}

fn kind(unit: &str) -> Kind {
    match unit {
        "s" | "second" | "seconds" | "min" | "minute" | "minutes" | "h" | "hour" | "hours"
        | "day" | "days" | "week" | "weeks" | "month" | "months" | "year" | "years" => Kind::Time,
        "°c" | "°f" | "k" | "degrees" => Kind::Temperature,
        "bar" | "mbar" | "kpa" | "pa" | "psi" | "mmhg" => Kind::Pressure,
        "kr" | "€" | "$" | "£" | "eur" | "usd" | "euros" | "dollars" | "kronor" => Kind::Money,
        "percent" | "%" => Kind::Share,
        _ => Kind::Count,
    }
}

/// Whether a question can ask for a word after a number by its name.
fn is_unit(word: &Word) -> bool {
    let plural = word.lower.ends_with('s') && !word.lower.ends_with("ss") && word.lower.len() > 3;
    let known = !matches!(kind(&word.lower), Kind::Count);
    known
        || lists::UNITS.contains(word.lower.as_str())
        || (plural && word.lower.chars().all(char::is_alphabetic))
}

/// A number with its unit in the rest of a clause.
struct Value<'a> {
    /// Index of the first word that belongs to it, qualifiers and preposition included.
    start: usize,
    preposition: Option<&'a str>,
    unit: &'a Word,
    /// One past its last word.
    end: usize,
}

/// Where a number that begins at `index` ends, as in `4 to 7 working` days.
fn last_of_number(rest: &[Word], index: usize) -> usize {
    let number =
        |at: usize| rest.get(at).is_some_and(|word| word.is_number() || word.is_number_word());
    let mut last = index;
    loop {
        match rest.get(last + 1).map_or("", |word| word.lower.as_str()) {
            "working" | "calendar" => last += 1,
            _ if number(last + 1) => last += 1,
            "to" | "and" | "or" | "by" if number(last + 2) => last += 2,
            _ => return last,
        }
    }
}

fn find(rest: &[Word]) -> Option<Value<'_>> {
    for index in 0..rest.len() {
        if !(rest[index].is_number() || rest[index].is_number_word()) || rest[index].is_identifier()
        {
            continue;
        }
        let percent = rest[index].text.ends_with('%');
        let last = last_of_number(rest, index);
        let unit = if percent { &rest[index] } else { rest.get(last + 1)? };
        let end = if percent { last + 1 } else { last + 2 };
        let cut = rest[index..end - 1].iter().any(|word| word.stop.is_some());
        if cut || unit.is_stop_word() || (!percent && !is_unit(unit)) {
            continue;
        }
        let mut start = index;
        while start > 0
            && lists::QUALIFIERS.contains(rest[start - 1].lower.as_str())
            && rest[start - 1].stop.is_none()
        {
            start -= 1;
        }
        let preposition =
            rest[start..index].iter().find(|word| word.lower == "at" && index - start == 1);
        let mut preposition = preposition.map(|word| word.lower.as_str());
        if start > 1 && rest[start - 1].lower == "to" && rest[start - 2].lower == "up" {
            start -= 2;
            preposition = Some("up to");
        }
        if start > 0 && rest[start - 1].lower == "between" {
            start -= 1;
        } else if start > 0
            && (rest[start - 1].is_preposition() || rest[start - 1].lower == "every")
        {
            start -= 1;
            preposition = Some(rest[start].lower.as_str());
        }
        // `a 0.8 mm mesh` measures the mesh.
        let noun = rest.get(end).is_some_and(|next| {
            let adverb = matches!(
                next.lower.as_str(),
                "ahead" | "afterwards" | "later" | "back" | "apart" | "earlier" | "c" | "f"
            );
            !next.is_stop_word()
                && !adverb
                && !lists::MEASURES.contains(next.lower.as_str())
                && !next.is_preposition()
        });
        if noun && unit.stop.is_none() && !rest[end].opens {
            continue;
        }
        return Some(Value { start, preposition, unit, end });
    }
    None
}

/// Returns a question for the first value of a clause, without the question mark.
pub fn question(clause: &Clause<'_>, subject: &str) -> Option<String> {
    let value = find(clause.rest)?;
    let before = join(&clause.rest[..value.start]);
    let adjective =
        clause.rest.get(value.end).filter(|word| lists::MEASURES.contains(word.lower.as_str()));
    let scale = clause
        .rest
        .get(value.end)
        .is_some_and(|word| matches!(word.text.as_str(), "C" | "F" | "Celsius"));
    let after_start = value.end + usize::from(adjective.is_some() || scale);
    let after = tail(&clause.rest[after_start.min(clause.rest.len())..]);
    let copula = match &clause.predicate {
        Predicate::Auxiliary(word) if matches!(word.as_str(), "is" | "are" | "was" | "were") => {
            Some(word)
        }
        _ => None,
    };
    if let (Some(verb), true, None, None) =
        (copula, before.is_empty(), value.preposition, adjective)
    {
        return Some(squeeze(&format!("what {verb} {subject} {after}")));
    }
    // `has an apparent mass of 46 kDa`
    if let (Some("of"), Some(first)) = (value.preposition, clause.rest[..value.start].first()) {
        let quantity = join(&clause.rest[1..value.start]);
        let vague = ["minimum", "maximum", "total", "mean", "average", "median"]
            .iter()
            .any(|end| quantity.ends_with(end));
        let plain = !clause.rest[1..value.start].iter().any(Word::is_preposition);
        return (plain && first.is_determiner() && !quantity.is_empty() && !vague)
            .then(|| squeeze(&format!("what is the {quantity} of {subject} {after}")));
    }
    if clause.rest[..value.start]
        .last()
        .is_some_and(|word| matches!(word.lower.as_str(), "and" | "or" | "but"))
    {
        return None;
    }
    let asked = asked(&value, adjective.map(|word| word.lower.as_str()))?;
    let (inverted, base) = clause.inverted(subject);
    Some(squeeze(&format!("{asked} {inverted} {} {before} {after}", base.unwrap_or_default())))
}

fn asked(value: &Value<'_>, adjective: Option<&str>) -> Option<String> {
    if let Some(adjective) = adjective {
        return Some(format!("how {adjective}"));
    }
    let unit = if value.unit.is_number() { "percent" } else { value.unit.lower.as_str() };
    let with = |asked: &str| match value.preposition {
        Some("of") | None => asked.to_owned(),
        Some(preposition) => format!("{preposition} {asked}"),
    };
    Some(match (kind(unit), value.preposition) {
        (Kind::Time, Some("for")) => "how long".into(),
        (Kind::Time, Some("within")) => "how soon".into(),
        (Kind::Time, Some("every" | "per")) => "how often".into(),
        (Kind::Time, None | Some("at")) => return None,
        (Kind::Time, _) => with(&format!("how many {unit}")),
        (Kind::Temperature, Some("above" | "below" | "over" | "under")) => return None,
        (Kind::Temperature, _) => with("what temperature"),
        (Kind::Pressure, _) => with("what pressure"),
        (Kind::Money, _) => with("how much"),
        (Kind::Share, _) => with("what percentage"),
        (Kind::Count, _) if unit == "times" => "how often".into(),
        // What is counted seldom fits the rest of the sentence.
        (Kind::Count, _) => return None,
    })
}

/// What follows the value, up to the end of the phrase.
fn tail(words: &[Word]) -> String {
    let mut end = 0;
    while end < words.len().min(7) {
        let word = &words[end];
        if word.opens
            || word.is_number()
            || matches!(word.lower.as_str(), "and" | "or" | "but" | "which" | "so")
        {
            break;
        }
        end += 1;
        if word.stop.is_some() {
            break;
        }
    }
    while end > 0 && (words[end - 1].is_preposition() || words[end - 1].is_determiner()) {
        end -= 1;
    }
    join(&words[..end]).trim_end_matches(',').to_owned()
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::clause::analyse;
    use super::super::words::words;
    use super::*;

    #[test]
    fn the_value_is_asked_for() {
        for (sentence, expected) in [
            ("The token is valid for 45 minutes.", "how long is the token valid"),
            ("The secret must be renewed every 180 days.", "how often must the secret be renewed"),
            (
                "Compensation starts after 12 hours without heat.",
                "after how many hours does compensation start without heat",
            ),
            ("The quota is 600 calls per hour.", "what is the quota per hour"),
            ("The safety valve is set to 3 bar.", "to what pressure is the safety valve set"),
            ("The plinth must be 100 mm high.", "how high must the plinth be"),
            (
                "The protein has an apparent mass of 46 kDa.",
                "what is the apparent mass of the protein",
            ),
            ("Follow-up was 4 to 7 years.", "what was follow-up"),
            ("The contract gives 15 percent off.", "what percentage does the contract give off"),
        ] {
            let words = words(sentence);
            let clause = analyse(&words).unwrap();
            let subject = join(clause.subject).to_lowercase();
            assert_eq!(question(&clause, &subject).as_deref(), Some(expected));
        }
    }
}
