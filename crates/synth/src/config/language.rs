//! `language`.

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use whetstone_records::Language;

/// `language`: which language the corpus is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LanguageSetting {
    /// The one that most of the corpus is in; English where no language is clear.
    #[default]
    Auto,
    Is(Language),
}

const AUTO: &str = "auto";

impl Serialize for LanguageSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::Is(language) => language.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LanguageSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == AUTO {
            return Ok(Self::Auto);
        }
        Language::named(&text).map(Self::Is).ok_or_else(|| {
            let known: Vec<&str> = Language::ALL.iter().map(|language| language.name()).collect();
            let expected = format!("\"auto\" or one of {}", known.join(", "));
            D::Error::invalid_value(Unexpected::Str(&text), &expected.as_str())
        })
    }
}
