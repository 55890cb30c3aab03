//! How the filters and the built-in generator compare the words of a language.

use super::built_in;
use whetstone_eval::Terms;
use whetstone_records::Language;

/// Stems and small words of a language.
pub struct Lexicon {
    pub language: Language,
    terms: Terms,
}

impl Lexicon {
    pub fn of(language: Language) -> Self {
        Self { language, terms: Terms::of(language) }
    }

    /// Whether a word in small letters has no topic of its own.
    pub fn is_general(&self, lower: &str) -> bool {
        match self.language {
            Language::English => built_in::is_general(lower),
            _ => self.terms.tokenize(lower).is_empty(),
        }
    }

    /// The part of a word in small letters that its forms share.
    pub fn stem(&self, lower: &str) -> String {
        match self.language {
            Language::English => built_in::stem(lower),
            _ => self.terms.tokenize(lower).concat(),
        }
    }

    /// Whether a query asks about the passage itself, or about nothing in particular.
    pub fn is_anaphoric(&self, lower: &str) -> bool {
        let own = anaphors(self.language).iter();
        own.chain(ENGLISH_ANAPHORS).any(|phrase| lower.contains(phrase))
    }
}

const ENGLISH_ANAPHORS: &[&str] = &[
    "this passage",
    "the passage",
    "this text",
    "the text",
    "this document",
    "the document",
    "this article",
    "the article",
    "this section",
    "the section",
    "the author",
    "mentioned above",
    "described above",
    "this study",
    "the study say",
    "the above",
    "this paper",
    "this paragraph",
    "the paragraph",
    "given passage",
    "provided text",
    "according to the text",
    "the following",
];

fn anaphors(language: Language) -> &'static [&'static str] {
    match language {
        Language::German => &[
            "dieser text",
            "diesem text",
            "der text",
            "dem text",
            "im text",
            "dieser abschnitt",
            "diesem abschnitt",
            "im abschnitt",
            "dieses dokument",
            "diesem dokument",
            "dieser artikel",
            "diesem artikel",
            "der autor",
            "oben genannt",
            "folgenden",
        ],
        Language::Spanish => &[
            "este texto",
            "el texto",
            "este documento",
            "el documento",
            "este artículo",
            "el artículo",
            "este párrafo",
            "esta sección",
            "este pasaje",
            "el autor",
            "lo anterior",
            "siguiente",
        ],
        Language::French => &[
            "ce texte",
            "le texte",
            "ce document",
            "le document",
            "cet article",
            "l'article",
            "ce passage",
            "cette section",
            "l'auteur",
            "ci-dessus",
            "ci-dessous",
        ],
        Language::Chinese => &[
            "本文", "这段", "該段", "该段", "上文", "文中", "作者", "上述", "以下", "这篇", "這篇",
        ],
        Language::Japanese => &["この文", "本文", "この段落", "著者", "上記", "以下の", "この記事"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_words_and_forms_are_those_of_the_language() {
        let german = Lexicon::of(Language::German);
        assert!(german.is_general("und") && !german.is_general("ventile"));
        assert_eq!(german.stem("ventile"), german.stem("ventil"));
        assert!(!Lexicon::of(Language::English).is_general("und"));
        let chinese = Lexicon::of(Language::Chinese);
        assert_eq!((chinese.stem("水"), chinese.is_general("水")), ("水".to_owned(), false));
    }

    #[test]
    fn a_query_about_the_passage_itself_is_known_in_its_language() {
        let asks = |language, query: &str| Lexicon::of(language).is_anaphoric(query);
        assert!(asks(Language::German, "was steht in diesem text über pumpen"));
        assert!(!asks(Language::German, "wann wird die pumpe geprüft"));
        assert!(asks(Language::Spanish, "qué dice el texto sobre la bomba"));
        assert!(asks(Language::Chinese, "作者怎么说"));
        assert!(asks(Language::English, "what does the passage say"));
    }
}
