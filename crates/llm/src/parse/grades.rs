//! Finds the grade in a judge's answer, whatever its form.

use super::Said;
use super::labels::label;
use super::loose::{self, Loose};

/// Names of a grade.
const NAMES: &[&str] = &["grade", "score", "rating", "relevance"];
/// Words in front of the name.
const BEFORE: &[&str] = &["the ", "my ", "final ", "overall "];

/// Returns the grade, 0 to `best`, that an answer gives to `field`. Returns none if there is none,
/// or if it is in doubt. The last of several counts, because judges repeat the form that they were
/// shown.
pub fn grade(said: &Said, field: &str, best: u8) -> Option<u8> {
    let names: Vec<&str> = if NAMES.contains(&field) { NAMES.to_vec() } else { vec![field] };
    let found = loose::values(&said.text);
    let of_json = found.iter().rev().find_map(|one| of_value(&one.value, &names, best));
    // Words of JSON that is cut off or says something else do not count as plain text.
    if of_json.is_some() || !found.is_empty() || said.text.contains('{') {
        return of_json;
    }
    if let Some(Loose::Text(text)) = loose::whole(&said.text) {
        return of_plain(&text, field, &names, best);
    }
    of_plain(&said.text, field, &names, best)
}

/// The grade under one of these names, at any depth of a value.
fn of_value(value: &Loose, names: &[&str], best: u8) -> Option<u8> {
    match value {
        Loose::Fields(fields) => {
            let named = fields.iter().rev().filter(|(key, _)| is_named(key, names));
            named.clone().find_map(|(_, value)| of_field(value, best)).or_else(|| {
                let deeper = fields.iter().rev().filter(|(key, _)| !is_named(key, names));
                deeper.map(|(_, value)| value).find_map(|value| of_value(value, names, best))
            })
        }
        Loose::List(items) => items.iter().rev().find_map(|item| of_value(item, names, best)),
        _ => None,
    }
}

/// `grade`, `Grade`, `answer_grade`, `gradeOfAnswer` for `answer`.
fn is_named(key: &str, names: &[&str]) -> bool {
    let key: String =
        key.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    names.iter().any(|name| {
        let rest = key.strip_prefix(name).or_else(|| key.strip_suffix(name));
        rest.is_some_and(|rest| rest.is_empty() || NAMES.contains(&rest.trim_end_matches("of")))
    })
}

fn of_field(value: &Loose, best: u8) -> Option<u8> {
    match value {
        Loose::Number(number) => checked(*number, best),
        Loose::Text(text) => of_text(text, best),
        Loose::Fields(_) => of_value(value, NAMES, best),
        _ => None,
    }
}

/// Plain words: `Grade: 2`, `question: 3, answer: 2`, or the grade alone.
fn of_plain(text: &str, field: &str, names: &[&str], best: u8) -> Option<u8> {
    let pieces = text.split(['\n', ',', ';']);
    let labelled = |piece: &str| Some(of_text(after_name(piece, names)?, best));
    let last = pieces.rev().find_map(labelled);
    if let Some(grade) = last {
        return grade;
    }
    let alone = NAMES.contains(&field);
    text.lines().next().filter(|_| alone).and_then(|line| of_text(line, best))
}

/// What follows the name in `Grade: 2`, `grade = 2`, `The final grade is 2`.
fn after_name<'t>(piece: &'t str, names: &[&str]) -> Option<&'t str> {
    let piece = piece.trim_start_matches(|c: char| !c.is_alphanumeric());
    let mut inner = piece;
    while let Some(rest) = BEFORE.iter().find_map(|word| strip_word(inner, word)) {
        inner = rest;
    }
    let name = names.iter().find_map(|name| strip_word(inner, name));
    let Some(rest) = name else { return label(piece, names) };
    let rest = rest.trim_start_matches(['*', '_', '"', '`', ' ']);
    let rest = strip_word(rest, "grade").map_or(rest, str::trim_start);
    rest.strip_prefix([':', '：', '=']).or_else(|| strip_word(rest, "is "))
}

fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let begin = text.get(..word.len())?;
    begin.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}

/// `2`, `2.0`, `2/3`, `2 out of 3`, `2 - mostly`, `Grade: 2`. With a second number, the text means
/// something else.
fn of_text(text: &str, best: u8) -> Option<u8> {
    let text = after_name(text, NAMES).unwrap_or(text);
    let text = text.trim_matches(|c: char| c.is_whitespace() || "*_\"'`".contains(c));
    let length = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at(length);
    let rest = rest.trim_start();
    let of_best = ["/", "out of", "of"]
        .iter()
        .find_map(|word| rest.strip_prefix(word)?.trim_start().strip_prefix(&best.to_string()));
    let rest = of_best.unwrap_or(rest);
    let is_alone = rest.is_empty() || !rest.starts_with(char::is_alphanumeric);
    if !is_alone || rest.starts_with('/') || rest.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    checked(number.trim_end_matches('.').parse().ok()?, best)
}

fn checked(number: f64, best: u8) -> Option<u8> {
    let is_grade = number.fract() == 0.0 && (0.0..=f64::from(best)).contains(&number);
    is_grade.then_some(number as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &str, field: &str) -> Option<u8> {
        grade(&Said::of(content, false), field, 3)
    }

    #[test]
    fn a_grade_is_read_however_it_is_written() {
        for answer in [
            r#"{"grade": 2}"#,
            r#"{"grade": 2.0}"#,
            r#"{"grade": "2"}"#,
            r#"{"grade": "2/3"}"#,
            r#"{"grade": "Grade: 2"}"#,
            r#"{"grade": "2 - mostly"}"#,
            r#"{"Grade": "2 out of 3"}"#,
            r#"{"score": 2, "reason": "It is 3 bar."}"#,
            r#"{"result": {"grade": 2}}"#,
            r#"[{"grade": 2}]"#,
            "Sure: {\"grade\": 2} as asked",
            r#"The form is {"grade": 0}, so: {"grade": 2}"#,
            r#"{"grade": 2, "reason": "the pass"#,
            "<think>{\"grade\": 3}?</think>{\"grade\": 2}",
            "2",
            "2.",
            "\"2\"",
            "2/3",
            "**2**",
            "2\nIt answers it mostly.",
            "2 (mostly)",
            "Grade: 2",
            "**Grade:** 2/3",
            "Grade = 2",
            "The passage names 3 bar.\nThe final grade is 2.",
            "Score: 2, as it is mostly so",
        ] {
            assert_eq!(of(answer, "grade"), Some(2), "{answer}");
        }
    }

    #[test]
    fn what_is_in_doubt_is_no_grade() {
        for answer in [
            "",
            r#"{"grade": 4}"#,
            r#"{"grade": -1}"#,
            r#"{"grade": 2.5}"#,
            r#"{"grade": "2/5"}"#,
            r#"{"grade": "2 or 3"}"#,
            r#"{"grade": "2-3"}"#,
            r#"{"grade": true}"#,
            r#"{"grade": 2"#,
            r#"{"grade": "the 2"#,
            r#"{"reason": "2"}"#,
            "3 bar is the pressure.",
            "8/10",
            "Grade: 2 or 3",
            "<think>Grade: 2",
        ] {
            assert_eq!(of(answer, "grade"), None, "{answer}");
        }
    }

    #[test]
    fn grades_of_two_things_are_told_apart() {
        for answer in [
            r#"{"question": 3, "answer": 0}"#,
            "Here:\n```json\n{\"answer\": 0, \"question\": \"3\"}\n``` ok",
            r#"{"question_grade": 3, "answer_grade": 0}"#,
            r#"{"grades": {"question": 3, "answer": 0}}"#,
            r#"{"question": {"grade": 3, "why": "2 words"}, "answer": {"grade": 0}}"#,
            "{\"question\": 3}\n{\"answer\": 0}",
            "Question: 3\nAnswer: 0",
            "question: 3, answer: 0",
            "**Question grade:** 3/3\n**Answer grade:** 0/3",
        ] {
            let both = (of(answer, "question"), of(answer, "answer"));
            assert_eq!(both, (Some(3), Some(0)), "{answer}");
        }
        assert_eq!(of("3", "question"), None);
        assert_eq!(of(r#"{"question": "How is it?", "answer": 3}"#, "question"), None);
    }
}
