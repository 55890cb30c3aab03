//! Sentences as words, and what can be told about a word without a dictionary of the language.

/// Words that carry no topic.
const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "above",
    "after",
    "again",
    "against",
    "all",
    "almost",
    "along",
    "already",
    "also",
    "although",
    "always",
    "am",
    "among",
    "an",
    "and",
    "another",
    "any",
    "are",
    "as",
    "at",
    "away",
    "be",
    "because",
    "been",
    "before",
    "being",
    "below",
    "between",
    "both",
    "but",
    "by",
    "can",
    "cannot",
    "could",
    "did",
    "do",
    "does",
    "done",
    "down",
    "during",
    "each",
    "either",
    "else",
    "etc",
    "even",
    "ever",
    "every",
    "few",
    "for",
    "from",
    "further",
    "had",
    "has",
    "have",
    "having",
    "he",
    "hence",
    "her",
    "here",
    "his",
    "how",
    "however",
    "i",
    "if",
    "in",
    "instead",
    "into",
    "is",
    "it",
    "its",
    "itself",
    "just",
    "least",
    "less",
    "like",
    "many",
    "may",
    "me",
    "might",
    "more",
    "moreover",
    "most",
    "much",
    "must",
    "my",
    "neither",
    "no",
    "nor",
    "not",
    "nothing",
    "now",
    "of",
    "off",
    "often",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "others",
    "otherwise",
    "our",
    "out",
    "over",
    "own",
    "per",
    "quite",
    "rather",
    "same",
    "shall",
    "she",
    "should",
    "since",
    "so",
    "some",
    "somebody",
    "something",
    "soon",
    "still",
    "such",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "thereby",
    "therefore",
    "these",
    "they",
    "this",
    "those",
    "though",
    "through",
    "thus",
    "to",
    "together",
    "too",
    "toward",
    "towards",
    "two",
    "under",
    "until",
    "up",
    "upon",
    "us",
    "used",
    "using",
    "very",
    "via",
    "was",
    "we",
    "well",
    "were",
    "what",
    "whatever",
    "when",
    "where",
    "whereas",
    "whether",
    "which",
    "while",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "within",
    "without",
    "would",
    "yet",
    "you",
    "your",
];

const PREPOSITIONS: &[&str] = &[
    "about",
    "above",
    "across",
    "after",
    "against",
    "along",
    "among",
    "around",
    "as",
    "at",
    "before",
    "behind",
    "below",
    "between",
    "by",
    "despite",
    "during",
    "following",
    "for",
    "from",
    "in",
    "inside",
    "into",
    "like",
    "near",
    "of",
    "on",
    "onto",
    "over",
    "per",
    "since",
    "than",
    "through",
    "throughout",
    "to",
    "toward",
    "towards",
    "under",
    "until",
    "upon",
    "using",
    "via",
    "with",
    "within",
    "without",
];

/// Words that point at something said before, so that a question that holds them cannot be understood alone.
const ANAPHORS: &[&str] = &[
    "it",
    "its",
    "itself",
    "they",
    "them",
    "their",
    "this",
    "these",
    "those",
    "he",
    "him",
    "his",
    "she",
    "her",
    "former",
    "latter",
    "here",
    "such",
    "both",
    "below",
    "above",
    "said",
    "aforementioned",
];

const DETERMINERS: &[&str] = &["a", "an", "the", "every", "each", "no", "any", "some", "all", "our", "your", "one"];

/// A word of a sentence with the punctuation that followed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// As written, without punctuation around it.
    pub text: String,
    pub lower: String,
    /// The first comma, semicolon, colon, dash or bracket after it.
    pub stop: Option<char>,
    /// Whether a bracket or quote opens before it.
    pub opens: bool,
}

impl Word {
    pub fn is_stop_word(&self) -> bool {
        STOP_WORDS.contains(&self.lower.as_str())
    }

    pub fn is_preposition(&self) -> bool {
        PREPOSITIONS.contains(&self.lower.as_str())
    }

    pub fn is_anaphor(&self) -> bool {
        ANAPHORS.contains(&self.lower.as_str())
    }

    pub fn is_determiner(&self) -> bool {
        DETERMINERS.contains(&self.lower.as_str())
    }

    /// Whether the word names one thing among its like: `VX-40`, `K-204`, `E2F1`, `2024`, `5.1`.
    pub fn is_identifier(&self) -> bool {
        let digit = self.text.chars().any(|c| c.is_ascii_digit());
        let letter = self.text.chars().any(char::is_alphabetic);
        let year = self.text.len() == 4 && (self.text.starts_with("19") || self.text.starts_with("20"));
        let capitals = self.text.chars().filter(|c| c.is_uppercase()).count();
        (digit && letter && !self.text.contains('=')) || (year && digit) || (capitals >= 2 && self.text.len() <= 12)
    }

    pub fn is_capitalised(&self) -> bool {
        self.text.chars().next().is_some_and(char::is_uppercase)
    }

    pub fn is_number(&self) -> bool {
        let digits = self.text.trim_start_matches(['-', '−', '+', '±', '>', '<', '~', '≥', '≤']);
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.chars().all(|c| c.is_ascii_digit() || ".,:/–-½¼¾%".contains(c))
    }

    /// The number that a word such as `twelve` stands for is of no interest, only that it is one.
    pub fn is_number_word(&self) -> bool {
        const NUMBERS: &[&str] = &[
            "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "fifteen",
            "twenty", "thirty", "forty", "fifty", "sixty", "ninety", "hundred", "thousand", "half", "twice",
        ];
        NUMBERS.contains(&self.lower.as_str())
    }
}

/// Returns the words of a sentence.
pub fn words(sentence: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for raw in sentence.split_whitespace() {
        let text = raw.trim_matches(|c: char| !c.is_alphanumeric() && !"%°½¼¾µ€$£".contains(c));
        let start = raw.find(text).unwrap_or(0);
        // A minus or a comparison belongs to its number.
        let signed = text.starts_with(|c: char| c.is_ascii_digit());
        let sign = raw[..start].chars().last().filter(|c| signed && "-−±<>≥≤~".contains(*c));
        let start = start - sign.map_or(0, char::len_utf8);
        let end = raw.rfind(text).unwrap_or(0) + text.len();
        let after = raw.get(end..).unwrap_or_default();
        if text.is_empty() {
            if let Some(last) = words.last_mut() {
                last.stop = last.stop.or(raw.chars().find(|c| ",;:–—()|→->".contains(*c)));
            }
            continue;
        }
        words.push(Word {
            text: raw[start..end].to_owned(),
            lower: raw[start..end].to_lowercase(),
            stop: after.chars().find(|c| ",;:–—)]".contains(*c)),
            opens: raw[..start].contains(['(', '[', '"', '“', '‘']),
        });
    }
    words
}

/// Joins words with single spaces, keeping commas only.
pub fn join(words: &[Word]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(&word.text);
        if word.stop == Some(',') && index + 1 < words.len() {
            text.push(',');
        }
    }
    text
}

/// Cuts a sentence's words at commas, semicolons, colons, dashes and brackets.
pub fn clauses(words: &[Word]) -> Vec<&[Word]> {
    let mut clauses = Vec::new();
    let mut start = 0;
    for index in 0..words.len() {
        let border = words[index].stop.is_some() || words.get(index + 1).is_some_and(|next| next.opens);
        if border || index + 1 == words.len() {
            clauses.push(&words[start..index + 1]);
            start = index + 1;
        }
    }
    clauses
}

/// A crude stem, so that `valves` and `valve` count as one term.
pub fn stem(lower: &str) -> String {
    let stem = match lower {
        _ if lower.len() <= 3 || lower.chars().any(|c| c.is_ascii_digit()) => lower,
        _ if lower.ends_with("ies") => return format!("{}y", &lower[..lower.len() - 3]),
        _ if lower.ends_with("sses") => &lower[..lower.len() - 2],
        _ if lower.ends_with("ss") || lower.ends_with("us") || lower.ends_with("is") => lower,
        _ => lower.strip_suffix('s').unwrap_or(lower),
    };
    stem.to_owned()
}
