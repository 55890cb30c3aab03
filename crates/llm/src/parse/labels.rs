//! Labels in front of a question or a grade: bullets, numbers, `Q1:`.

/// Names of a question.
const QUESTION: &[&str] = &[
    "q",
    "question",
    "questions",
    "query",
    "search query",
    "keyword query",
    "user query",
    "frage",
    "suchanfrage",
    "anfrage",
    "pregunta",
    "consulta",
    "domanda",
    "pergunta",
    "vraag",
    "pytanie",
    "fråga",
    "вопрос",
    "запрос",
    "问题",
    "質問",
];
/// Labels beside a question that mark something else.
const OTHER: &[&str] = &[
    "a",
    "answer",
    "ans",
    "antwort",
    "respuesta",
    "réponse",
    "risposta",
    "resposta",
    "antwoord",
    "ответ",
    "答案",
    "explanation",
    "reason",
    "reasoning",
    "rationale",
    "evidence",
    "justification",
    "note",
    "source",
    "context",
    "passage",
    "title",
];
/// Marks of bold and italic type, and quotes.
const MARKS: &[char] = &['*', '_', '"', '“', '”', '`', '\''];

/// A line without its list marks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line<'t> {
    pub text: &'t str,
    /// Whether it had a bullet or a number.
    pub is_listed: bool,
    /// Whether a label called it a question.
    pub is_named: bool,
    /// Whether a label called it an answer, a reason or a source.
    pub is_other: bool,
}

impl<'t> Line<'t> {
    /// Removes bullets, numbers and names, in any order.
    pub fn of(text: &'t str) -> Self {
        let mut line =
            Self { text: text.trim(), is_listed: false, is_named: false, is_other: false };
        loop {
            if let Some(rest) = bullet(line.text).or_else(|| number(line.text)) {
                (line.text, line.is_listed) = (rest, true);
            } else if let Some(rest) = label(line.text, QUESTION) {
                (line.text, line.is_named) = (rest, true);
            } else {
                line.is_other = label(line.text, OTHER).is_some();
                line.text = unquoted(line.text);
                return line;
            }
        }
    }
}

fn bullet(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(['-', '–', '—', '•', '·', '‣', '*', '>', '#', '+']);
    let is_bullet = rest.len() < text.len() && rest.starts_with(char::is_whitespace);
    (is_bullet || text.starts_with('•')).then(|| rest.trim_start())
}

/// `1.`, `1)`, `(1)`, `[1]`, `a)`.
fn number(text: &str) -> Option<&str> {
    let inner = text.trim_start_matches(['*', '_']);
    let bracketed = inner.strip_prefix(['(', '[']);
    let inner = bracketed.unwrap_or(inner);
    let digits = inner.len() - inner.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let letter = inner.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let ends: &[char] = match (digits, bracketed) {
        (1..=3, Some(_)) => &[')', ']'],
        (1..=3, None) => &['.', ')', ':'],
        (0, _) if letter => &[')'],
        _ => return None,
    };
    let rest = inner[digits.max(1)..].strip_prefix(ends)?;
    let rest = rest.strip_prefix(['.', ':']).unwrap_or(rest);
    let rest = rest.trim_start_matches(['*', '_']);
    rest.starts_with(char::is_whitespace).then(|| rest.trim_start())
}

/// What follows a name such as `Q1:`, `**Question 3:**` or `Query -`.
pub fn label<'t>(text: &'t str, names: &[&str]) -> Option<&'t str> {
    let inner = text.trim_start_matches(MARKS).trim_start_matches(['(', '[']);
    let lower = inner.to_lowercase();
    let name =
        names.iter().filter(|name| lower.starts_with(*name)).max_by_key(|name| name.len())?;
    // Lower case may have more bytes, which would shift the border.
    let rest = inner.get(name.len()..).filter(|_| lower.len() == inner.len())?;
    let numbered = rest.trim_start_matches([' ', '#', '.', '-', '_', '(', '[']);
    let after = numbered.trim_start_matches(|c: char| c.is_ascii_digit());
    let has_number = after.len() < numbered.len();
    let rest = if has_number { after } else { rest };
    let rest = rest.trim_start_matches([')', ']', ' ']).trim_start_matches(MARKS).trim_start();
    let rest = match has_number {
        true => rest.strip_prefix([':', '：', '.', ')', '-', '–', '—'])?,
        false => rest.strip_prefix([':', '：'])?,
    };
    Some(rest.trim_start_matches(['*', '_']).trim_start())
}

/// Removes the quotes and the bold or italic type around the whole line.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let bare = text.trim_end_matches(',').trim_matches(MARKS).trim();
    let is_around = text.starts_with(MARKS) && text.trim_end_matches(',').ends_with(MARKS);
    if is_around { bare } else { text.trim_end_matches(['*', '_']).trim_end() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_marks_a_question_is_taken_off() {
        for line in [
            "Q1: What is a?",
            "Q: What is a?",
            "Question 3: What is a?",
            "question #3 - What is a?",
            "Query: What is a?",
            "Search query 2: What is a?",
            "Frage 1: What is a?",
            "问题1：What is a?",
            "**Q:** What is a?",
            "**Q1:** What is a?",
            "**Question 1**: What is a?",
            "*What is a?*",
            "1) What is a?",
            "1. **What is a?**",
            "**1.** What is a?",
            "(1) What is a?",
            "[1] What is a?",
            "a) What is a?",
            "- What is a?",
            "* Q: \"What is a?\"",
            "• What is a?",
            "> 2. Question: What is a?",
            "### Q1. What is a?",
            "\"What is a?\",",
        ] {
            assert_eq!(Line::of(line).text, "What is a?", "{line}");
        }
    }

    #[test]
    fn what_belongs_to_a_query_stays() {
        for query in [
            "Q&A page of the town",
            "Q1 revenue of 2024",
            "question mark key",
            "query planner: how does it choose?",
            "2.5 bar valve",
            "3 bar pressure valve",
            "-Xmx flag of the JVM",
            "#hashtag rules",
            "a valve that opens at 3 bar",
            "'foo' and \"bar\" compared",
            "İstanbul office hours",
        ] {
            assert_eq!(Line::of(query).text, query, "{query}");
        }
    }

    #[test]
    fn an_answer_is_told_from_a_question() {
        for line in ["A1: It is 3 bar.", "- **Answer:** yes?", "Reasoning: why?", "Antwort: ja"] {
            assert!(Line::of(line).is_other, "{line}");
        }
        assert!(!Line::of("A valve: how is it opened?").is_other);
    }
}
