//! Finds questions in an LLM's answer, whatever its form.

use super::Said;
use super::labels::Line;
use super::loose::{self, Loose};
use super::thought::outside;

/// Depth to which lists within strings within lists are read.
const MAX_DEPTH: usize = 8;
/// Keys, without numbers and marks, whose value is a question or a list of them.
const KEYS: &[&str] = &[
    "", // Numbers alone.
    "q",
    "qs",
    "frage",
    "fragen",
    "pregunta",
    "preguntas",
    "domanda",
    "domande",
    "pergunta",
    "perguntas",
    "vraag",
    "vragen",
    "вопрос",
    "вопросы",
    "问题",
    "質問",
];
/// The same words at the end of a longer key, such as `search_queries`.
const KEY_ENDS: &[&str] = &["question", "questions", "query", "queries"];
/// A key with one of these is about a question, but holds none.
const OTHER: &[&str] = &[
    "answer",
    "antwort",
    "respuesta",
    "reason",
    "expla",
    "rational",
    "thought",
    "think",
    "analy",
    "evidence",
    "justif",
    "context",
    "source",
    "passage",
    "comment",
    "note",
    "quote",
    "excerpt",
    "snippet",
    "keyword",
];
/// Phrases which say that a passage answers nothing.
const NONE: &[&str] = &[
    "none",
    "null",
    "nil",
    "nothing",
    "n/a",
    "na",
    "[]",
    "no question",
    "no questions",
    "no query",
    "no queries",
    "keine",
    "keine frage",
    "keine fragen",
];

/// Returns the questions in an answer. They may be in JSON of any shape, even cut off or between
/// other words, or on plain lines. An empty list means that the answer says there are none. Without
/// a value, the answer is unreadable.
pub fn questions(said: &Said) -> Option<Vec<String>> {
    let text = unfenced(&said.text);
    let mut gathered = Gathered::default();
    for found in loose::values(&text) {
        gathered.take(&found.value, found.is_complete, 0);
    }
    if gathered.questions.is_empty() && !gathered.says_none {
        match loose::whole(&text) {
            Some(Loose::Text(inner)) if is_none(&inner) => gathered.says_none = true,
            Some(Loose::Text(inner)) => gathered.text(&inner, 0),
            Some(Loose::Null) => gathered.says_none = true,
            Some(Loose::List(items)) => gathered.says_none = items.is_empty(),
            _ => gathered.plain(&text, said.is_cut_off),
        }
    }
    let Gathered { questions, says_none } = gathered;
    (says_none || !questions.is_empty()).then_some(questions)
}

/// The lines without the marks of code blocks, and without tags around the answer.
fn unfenced(text: &str) -> String {
    let lines = text.lines().map(untagged).filter(|line| !line.starts_with("```"));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// A line without the tags at its ends, such as `<answer>` and `<question>`.
fn untagged(line: &str) -> &str {
    let is_tag =
        |tag: &str| tag.bytes().all(|byte| byte.is_ascii_alphabetic() || b"/_".contains(&byte));
    let mut line = line.trim();
    while let Some((tag, rest)) = line.strip_prefix('<').and_then(|line| line.split_once('>')) {
        if !is_tag(tag) {
            break;
        }
        line = rest.trim_start();
    }
    while let Some((rest, tag)) = line.strip_suffix('>').and_then(|line| line.rsplit_once("</")) {
        if !is_tag(tag) {
            break;
        }
        line = rest.trim_end();
    }
    line
}

#[derive(Default)]
struct Gathered {
    questions: Vec<String>,
    /// Whether the answer says that there are no questions.
    says_none: bool,
}

impl Gathered {
    /// Takes the questions in a value, not its answers and explanations.
    fn take(&mut self, value: &Loose, is_complete: bool, depth: usize) {
        match value {
            _ if depth > MAX_DEPTH => {}
            Loose::Text(text) => self.text(text, depth),
            Loose::List(items) => {
                items.iter().for_each(|item| self.take(item, is_complete, depth + 1));
            }
            Loose::Fields(fields) => self.fields(fields, is_complete, depth),
            Loose::Null | Loose::Number(_) | Loose::Word => {}
        }
    }

    fn fields(&mut self, fields: &[(String, Loose)], is_complete: bool, depth: usize) {
        let named = |names: fn(&str) -> bool| fields.iter().filter(move |(key, _)| names(key));
        let is_text = |key: &str| key.trim().eq_ignore_ascii_case("text");
        let mut asked: Vec<&Loose> = named(is_question).map(|(_, value)| value).collect();
        if asked.is_empty() {
            asked = named(is_text).map(|(_, value)| value).collect();
        }
        if asked.is_empty() {
            // A wrapper around the questions.
            for (_, value) in fields.iter().filter(|(key, _)| !is_other(key)) {
                if matches!(value, Loose::List(_) | Loose::Fields(_)) {
                    self.take(value, is_complete, depth + 1);
                }
            }
            return;
        }
        let before = self.questions.len();
        asked.iter().for_each(|value| self.take(value, is_complete, depth + 1));
        let empty = self.questions.len() == before && asked.iter().all(|value| is_empty(value));
        self.says_none |= is_complete && empty;
    }

    /// A string: a question, or a list of them.
    fn text(&mut self, text: &str, depth: usize) {
        let outside = outside(text);
        let text = outside.text.trim();
        if text.starts_with(['[', '{']) {
            let found = loose::values(text);
            if !found.is_empty() {
                found.iter().for_each(|one| self.take(&one.value, one.is_complete, depth + 1));
                return;
            }
        }
        let lines: Vec<Line> = text.lines().map(Line::of).collect();
        let is_item = |line: &&Line| line.is_listed || line.is_named || line.text.ends_with('?');
        if lines.iter().filter(is_item).count() > 1 {
            lines.iter().filter(is_item).for_each(|line| self.line(line));
        } else if !is_none(text) {
            self.line(&Line::of(text));
        }
    }

    fn line(&mut self, line: &Line) {
        if !line.is_other && line.text.contains(char::is_alphanumeric) {
            self.questions.push(line.text.to_owned());
        }
    }

    /// Lines that are meant as queries, without the talk around them.
    fn plain(&mut self, text: &str, is_cut_off: bool) {
        if is_none(text) {
            self.says_none = true;
            return;
        }
        let mut lines: Vec<Line> = text.lines().map(Line::of).collect();
        // The last one may lack its end.
        lines.pop_if(|line| is_cut_off && !line.text.ends_with('?'));
        for line in lines.iter().filter(|line| !line.text.ends_with(':')) {
            if line.is_listed || line.is_named || line.text.ends_with('?') {
                self.line(line);
            }
        }
    }
}

/// A key in lower case, without numbers and marks.
fn bare(key: &str) -> String {
    key.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

fn is_question(key: &str) -> bool {
    let bare = bare(key);
    let named = KEYS.contains(&bare.as_str()) || KEY_ENDS.iter().any(|end| bare.ends_with(end));
    named && !is_other(key)
}

fn is_other(key: &str) -> bool {
    let bare = bare(key);
    OTHER.iter().any(|word| bare.contains(word))
}

/// Whether a text says that there is no question.
fn is_none(text: &str) -> bool {
    let marks = |c: char| c.is_whitespace() || "*_\"'`.!:".contains(c);
    let text = text.trim_matches(marks).to_lowercase();
    NONE.contains(&text.as_str())
}

/// Whether a value holds nothing at all.
fn is_empty(value: &Loose) -> bool {
    match value {
        Loose::Null => true,
        Loose::Text(text) => text.trim().is_empty() || is_none(text),
        Loose::List(items) => items.iter().all(is_empty),
        Loose::Fields(fields) => fields.iter().all(|(_, value)| is_empty(value)),
        Loose::Number(_) | Loose::Word => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &str) -> Option<Vec<String>> {
        questions(&Said::of(content, false))
    }

    #[test]
    fn questions_are_found_in_every_kind_of_answer() {
        let expected = ["What is a?", "How \"b\"?"];
        for answer in [
            r#"{"questions": ["What is a?", "How \"b\"?"]}"#,
            r#"["What is a?", "How \"b\"?"]"#,
            r#"{"questions": [{"question": "What is a?"}, {"question": "How \"b\"?"}]}"#,
            "Sure! Here it is:\n```json\n{\"questions\": [\"What is a?\", \"How \\\"b\\\"?\"]}\n```\nMore?",
            r#"{"questions": ["What is a?", "How \"b\"?", "Why is this c"#,
            "<think>[\"no\"]</think>{\"q\": [\"What is a?\", \"How \\\"b\\\"?\"]}",
            "Here are two:\nWhat is a?\nHow \"b\"?\n",
            "<answer>\n{\"questions\": [\"What is a?\", \"How \\\"b\\\"?\"]}\n</answer>",
            "<questions>\n<question>What is a?</question>\n<q>How \"b\"?</q>\n</questions>",
            r#"{"result": {"search_queries": ["What is a?", "How \"b\"?"], "count": 2}}"#,
            r#"{"question_1": "What is a?", "question_2": "How \"b\"?"}"#,
            r#"{"1": "What is a?", "2": "How \"b\"?"}"#,
            r#"{"questions": "[\"What is a?\", \"How \\\"b\\\"?\"]"}"#,
            r#"["[\"What is a?\", \"How \\\"b\\\"?\"]"]"#,
            r#""[\"What is a?\", \"How \\\"b\\\"?\"]""#,
            r#"{"questions": "1. What is a?\n2. How \"b\"?"}"#,
            "{\"question\": \"What is a?\"}\n{\"question\": \"How \\\"b\\\"?\"}",
            "[\"What is a?\"]\n[\"How \\\"b\\\"?\"]",
            "['What is a?', 'How \"b\"?']",
            r#"{"questions": ["<think>Is it so?</think>What is a?", "Q2: How \"b\"?", "<think>Is it"]}"#,
        ] {
            assert_eq!(of(answer).unwrap_or_default(), expected, "{answer}");
        }
        let lines = "Of course:\n1. What is a?\n2. keyword query\n**Q3:** price of b\nA3: 2 kr?";
        assert_eq!(of(lines).unwrap(), ["What is a?", "keyword query", "price of b"]);
    }

    #[test]
    fn only_what_asks_becomes_a_question() {
        let expected = ["What is a?", "What is b?"];
        for answer in [
            r#"[{"question": "What is a?", "answer": "It is 3."}, {"question": "What is b?", "answer": "Is it 4?"}]"#,
            r#"{"questions": ["What is a?", "What is b?"], "answers": ["It is 3.", "4"]}"#,
            r#"{"reasoning": ["First, a.", "Is b so?"], "questions": ["What is a?", "What is b?"]}"#,
            r#"{"qa_pairs": [{"q": "What is a?", "a": "3"}, {"q": "What is b?", "a": "4"}]}"#,
            r#"{"text": "A is 3 and b is 4.", "queries": [{"query": "What is a?"}, {"text": "What is b?"}]}"#,
            r#"{"items": [{"Question": "What is a?", "explanation": "Why not?"}, {"Query": "What is b?", "rationale": "b"}]}"#,
            r#"[{"question": "What is a?", "answer": "It is 3."}, {"question": "What is b?", "answer": "It i"#,
            "Q1: What is a?\nA1: It is 3.\nQ2: What is b?\nA2: Is it 4?",
            "- **Question:** What is a?\n- **Answer:** It is 3.\n- **Question:** What is b?\n- **Answer:** 4",
        ] {
            assert_eq!(of(answer).unwrap_or_default(), expected, "{answer}");
        }
        assert_eq!(of(r#"{"answers": ["It is 3."], "reasoning": "Is it?"}"#), None);
    }

    #[test]
    fn that_there_are_none_is_an_answer() {
        for answer in [
            r#"{"questions": []}"#,
            r#"{"questions": null}"#,
            r#"{"questions": ["", " "]}"#,
            r#"{"questions": "NONE"}"#,
            r#"{"questions": [{"question": null, "answer": null}]}"#,
            "The passage answers nothing.\n```json\n{\"questions\": []}\n```",
            "<think>Hm, is there one?</think>\n[]",
            "[]",
            "null",
            "NONE",
            "\"None.\"",
            "**N/A**",
        ] {
            assert_eq!(of(answer), Some(Vec::new()), "{answer}");
        }
        for answer in [
            "",
            " \n",
            "\"\"",
            r#"{"questions": ["#,
            r#"{"questions": "#,
            "[",
            "None of it asks",
            "{}",
        ] {
            assert_eq!(of(answer), None, "{answer}");
        }
    }

    #[test]
    fn the_last_line_of_an_answer_that_was_cut_off_may_be_half_a_question() {
        let lines = "1. What is a?\n2. price of b\n3. how much doe";
        let cut = questions(&Said::of(lines, true)).unwrap();
        assert_eq!(cut, ["What is a?", "price of b"]);
    }

    #[test]
    fn junk_gives_nothing_and_no_panic() {
        for answer in ["I cannot do that.", "{", "[\"", "[\"\\", "{\"a\": 1}", "\"é\\", "[\"\u{e9}"]
        {
            assert_eq!(of(answer), None, "{answer}");
        }
        assert_eq!(of(&"[".repeat(100_000)), None);
    }
}
