//! The languages that the stages know apart.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! languages {
    ($($(#[$doc:meta])* $name:ident $code:literal $short:literal,)*) => {
        /// The language of a corpus. It decides where sentences end, how words are compared, and
        /// which queries the built-in generator makes.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum Language {
            $($(#[$doc])* $name,)*
        }

        impl Language {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The English name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The code of ISO 639-3.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The code of ISO 639-1.
            fn short_code(self) -> &'static str {
                match self {
                    $(Self::$name => $short,)*
                }
            }
        }
    };
}

languages! {
    Arabic "ara" "ar",
    Chinese "cmn" "zh",
    Danish "dan" "da",
    Dutch "nld" "nl",
    #[default]
    English "eng" "en",
    French "fra" "fr",
    German "deu" "de",
    Greek "ell" "el",
    Hungarian "hun" "hu",
    Italian "ita" "it",
    Japanese "jpn" "ja",
    Korean "kor" "ko",
    Norwegian "nob" "no",
    Portuguese "por" "pt",
    Romanian "ron" "ro",
    Russian "rus" "ru",
    Spanish "spa" "es",
    Swedish "swe" "sv",
    Tamil "tam" "ta",
    Thai "tha" "th",
    Turkish "tur" "tr",
    /// A language without a list of its own: words are compared as they stand.
    Other "und" "",
}

impl Language {
    /// Returns the language with this English name or ISO 639 code, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        let is_named = |language: &&Self| {
            let names = [language.code(), language.short_code()];
            language.name().to_lowercase() == name || (names.contains(&&*name) && !name.is_empty())
        };
        Self::ALL.iter().find(is_named).copied()
    }

    /// Whether its words are not parted by spaces, or carry so many endings that pairs of letters
    /// tell more.
    pub fn is_unspaced(self) -> bool {
        matches!(self, Self::Chinese | Self::Japanese | Self::Korean | Self::Thai)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_found_by_its_name_and_by_its_codes() {
        for name in ["German", "german", "deu", "de", " DE "] {
            assert_eq!(Language::named(name), Some(Language::German), "{name}");
        }
        assert_eq!(Language::named("Klingon"), None);
        assert_eq!(Language::named(""), None);
        for language in Language::ALL {
            assert_eq!(Language::named(language.name()), Some(*language));
            assert_eq!(Language::named(language.code()), Some(*language));
        }
    }
}
