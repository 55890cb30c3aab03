//! JSON as models write it: between other words, cut off, with an extra comma or an unescaped
//! quote.

/// Deeper nesting is not an answer, and would use up the stack.
const MAX_DEPTH: usize = 64;

/// A value in an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Loose {
    Text(String),
    Number(f64),
    Null,
    /// `true`, `false`, `NaN`.
    Word,
    List(Vec<Loose>),
    /// In the order of the answer; a key may occur twice.
    Fields(Vec<(String, Loose)>),
}

/// A value and its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub value: Loose,
    /// Whether it ends as it should. If not, it contains its finished part.
    pub is_complete: bool,
    /// The byte after it.
    end: usize,
}

/// Returns the lists and objects of a text, whatever surrounds them.
pub fn values(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = text[at..].find(['{', '[']).map(|offset| at + offset) {
        let one = value_at(text, begin);
        at = one.end.max(begin + 1);
        let is_empty = match &one.value {
            Loose::List(items) => items.is_empty(),
            Loose::Fields(fields) => fields.is_empty(),
            _ => true,
        };
        // A bracket in prose yields nothing.
        if one.is_complete || !is_empty {
            found.push(one);
        }
    }
    found
}

/// Returns the value of a text that is one value from its first to its last character.
pub fn whole(text: &str) -> Option<Loose> {
    let text = text.trim();
    let one = value_at(text, 0);
    (one.is_complete && one.end == text.len()).then_some(one.value)
}

fn value_at(text: &str, begin: usize) -> Found {
    let mut reader = Reader { text, at: begin, is_broken: false };
    let value = reader.value(0);
    Found {
        is_complete: value.is_some() && !reader.is_broken,
        value: value.unwrap_or(Loose::Null),
        end: reader.at,
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// The text ended too early, or is not JSON from `at` on.
    is_broken: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// None if no finished value begins here.
    fn value(&mut self, depth: usize) -> Option<Loose> {
        self.skip_space();
        match self.peek() {
            Some('{') if depth < MAX_DEPTH => Some(self.fields(depth)),
            Some('[') if depth < MAX_DEPTH => Some(self.list(depth)),
            Some(quote @ ('"' | '\'' | '“')) => self.string(quote).map(Loose::Text),
            Some(next) if next == '-' || next.is_ascii_digit() => self.number(),
            _ => self.word(),
        }
    }

    fn list(&mut self, depth: usize) -> Loose {
        self.take();
        let mut items = Vec::new();
        while self.has_more(']') {
            match self.value(depth + 1) {
                Some(item) => items.push(item),
                None => self.is_broken = true,
            }
        }
        // The end of its last string may have broken the list, because it was taken for a quote
        // within it.
        let is_torn = |item: &mut Loose| match item {
            Loose::Text(text) => text.matches('"').count() % 2 == 1,
            _ => false,
        };
        if self.is_broken {
            items.pop_if(is_torn);
        }
        Loose::List(items)
    }

    fn fields(&mut self, depth: usize) -> Loose {
        self.take();
        let mut fields = Vec::new();
        while self.has_more('}') {
            let Some((key, value)) = self.field(depth) else {
                self.is_broken = true;
                break;
            };
            fields.push((key, value));
        }
        Loose::Fields(fields)
    }

    fn field(&mut self, depth: usize) -> Option<(String, Loose)> {
        let key = match self.peek()? {
            quote @ ('"' | '\'' | '“') => self.string(quote)?,
            _ => self.bare_key()?,
        };
        self.skip_space();
        if self.peek()? != ':' {
            return None;
        }
        self.take();
        Some((key, self.value(depth + 1)?))
    }

    /// Whether another item follows; consumes commas and the end.
    fn has_more(&mut self, end: char) -> bool {
        if self.is_broken {
            return false;
        }
        self.skip_space();
        while self.peek() == Some(',') {
            self.take();
            self.skip_space();
        }
        match self.peek() {
            Some(next) if next == end => {
                self.take();
                false
            }
            Some(_) => true,
            None => {
                self.is_broken = true;
                false
            }
        }
    }

    /// None if the text ends within it.
    fn string(&mut self, quote: char) -> Option<String> {
        let end = if quote == '“' { '”' } else { quote };
        self.take();
        let mut string = String::new();
        loop {
            match self.take() {
                None => {
                    self.is_broken = true;
                    return None;
                }
                Some('\\') => string.push_str(&self.escaped()?),
                Some(next) if next == end && self.closes() => return Some(string),
                Some(next) => string.push(next),
            }
        }
    }

    /// Whether the quote just read ends its string: models leave inner quotes unescaped.
    fn closes(&self) -> bool {
        let rest = &self.text[self.at..];
        let next = rest.trim_start();
        let space = &rest[..rest.len() - next.len()];
        match next.chars().next() {
            None | Some(',' | ':' | ']' | '}') => true,
            // A missing comma.
            Some('"' | '\'' | '“') => !space.is_empty(),
            Some(_) => space.contains('\n'),
        }
    }

    /// The character of an escape; none if the text ends within it.
    fn escaped(&mut self) -> Option<String> {
        let next = self.take();
        if next.is_none() {
            self.is_broken = true;
        }
        Some(match next? {
            'n' => "\n".into(),
            't' => "\t".into(),
            'r' => "\r".into(),
            'b' | 'f' => " ".into(),
            'u' => self.unicode().to_string(),
            mark @ ('"' | '\\' | '/' | '\'') => mark.to_string(),
            other => format!("\\{other}"),
        })
    }

    /// The character of `\uXXXX`, or of a pair of them.
    fn unicode(&mut self) -> char {
        let Some(first) = self.hex() else { return char::REPLACEMENT_CHARACTER };
        let rest = &self.text[self.at..];
        let unit = match rest.strip_prefix("\\u") {
            Some(_) if (0xD800..0xDC00).contains(&first) => {
                self.at += 2;
                let second = self.hex().unwrap_or(0);
                0x10000 + ((first - 0xD800) << 10) + (second.wrapping_sub(0xDC00) & 0x3FF)
            }
            _ => first,
        };
        char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        let value = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = value.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
        self.at += 4;
        Some(value)
    }

    /// None at the end of the text, where more digits may have been meant.
    fn number(&mut self) -> Option<Loose> {
        let text = self.run(|next| next.is_ascii_alphanumeric() || "+-.".contains(next));
        let number = text.parse().ok().map(Loose::Number);
        number.filter(|_| self.at < self.text.len())
    }

    fn word(&mut self) -> Option<Loose> {
        match self.run(char::is_alphabetic) {
            "null" | "None" => Some(Loose::Null),
            "true" | "false" | "True" | "False" | "NaN" => Some(Loose::Word),
            _ => None,
        }
    }

    fn bare_key(&mut self) -> Option<String> {
        let key = self.run(|next| next.is_alphanumeric() || next == '_');
        (!key.is_empty()).then(|| key.to_owned())
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &str {
        let rest = &self.text[self.at..];
        let length = rest.find(|next| !belongs(next)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let found = values(text);
        let shown: Vec<String> = found
            .iter()
            .map(|one| format!("{:?}{}", one.value, if one.is_complete { "" } else { " …" }))
            .collect();
        shown.join(" | ").replace("Text(", "(").replace("List(", "(").replace("Fields(", "(")
    }

    #[test]
    fn sound_json_is_read_as_it_is() {
        let json = r#"{"a": ["x\n\"y\" é 😀", -2.5, null, true], "b": {}}"#;
        assert_eq!(
            whole(json),
            Some(Loose::Fields(vec![
                (
                    "a".into(),
                    Loose::List(vec![
                        Loose::Text("x\n\"y\" é 😀".into()),
                        Loose::Number(-2.5),
                        Loose::Null,
                        Loose::Word,
                    ])
                ),
                ("b".into(), Loose::Fields(Vec::new())),
            ]))
        );
        assert_eq!(whole("[1] and more"), None);
    }

    #[test]
    fn what_models_get_wrong_is_read_as_it_was_meant() {
        for (text, expected) in [
            (r#"["a", "b",]"#, r#"([("a"), ("b")])"#),
            (r#"['it', "it's"]"#, r#"([("it"), ("it's")])"#),
            (r#"["is "x" so?", "b"]"#, r#"([("is \"x\" so?"), ("b")])"#),
            (r#"["a", "b "c", or d?", "e"]"#, r#"([("a")]) …"#),
            ("[\"a\"\n\"b\"]", r#"([("a"), ("b")])"#),
            (r#"{q: "a", q: "b"}"#, r#"([("q", ("a")), ("q", ("b"))])"#),
            (
                r#"See [3]: {"q": "a"} {"q": "b"}"#,
                r#"([Number(3.0)]) | ([("q", ("a"))]) | ([("q", ("b"))])"#,
            ),
            (r#"A [note] on ["a"]"#, r#"([("a")])"#),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn of_what_is_cut_off_the_finished_parts_stay() {
        for (text, expected) in [
            (r#"{"q": ["a", "b"#, r#"([("q", ([("a")]))]) …"#),
            (
                r#"[{"q": "a", "answer": "x"}, {"q": "b", "ans"#,
                r#"([([("q", ("a")), ("answer", ("x"))]), ([("q", ("b"))])]) …"#,
            ),
            (r#"{"grade": 2"#, ""),
            (r#"{"grade": 2,"#, r#"([("grade", Number(2.0))]) …"#),
            ("[\"a\\", ""),
            ("{", ""),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_is_too_deep_or_too_odd() {
        for text in ["[".repeat(100_000), "{\"a\":".repeat(100_000), "\"é\\ [\"\\u12é".into()] {
            assert!(values(&text).len() < 100_000);
        }
    }
}
