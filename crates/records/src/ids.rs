//! Identifiers, each of its own type.

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(IdVisitor).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        // Lets a plain &str look up a map keyed by the id.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id!(
    /// A source file of the corpus: its path below the corpus folder, with `/`.
    DocumentId
);
id!(
    /// A piece of a document, the unit that is retrieved.
    PassageId
);
id!(
    /// A question or keyword query, generated or human.
    QueryId
);

/// Accepts a string or a whole number, which many exporters write as an id.
struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id: a text or a whole number")
    }

    fn visit_str<E: Error>(self, id: &str) -> Result<String, E> {
        Ok(id.to_owned())
    }

    fn visit_string<E: Error>(self, id: String) -> Result<String, E> {
        Ok(id)
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<String, E> {
        Ok(id.to_string())
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<String, E> {
        Ok(id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_a_whole_number_and_is_written_as_a_text() {
        for (text, id) in [("\"a\"", "a"), ("17", "17"), ("-1", "-1"), ("\"\\u0061\"", "a")] {
            assert_eq!(serde_json::from_str::<QueryId>(text).unwrap().as_str(), id);
        }
        assert_eq!(serde_json::to_string(&QueryId::new("17")).unwrap(), "\"17\"");
        for text in ["1.5", "null", "[1]", "true"] {
            assert!(serde_json::from_str::<QueryId>(text).is_err(), "{text}");
        }
    }
}
