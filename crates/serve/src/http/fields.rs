//! The fields of a request's JSON. Errors name the field, down to its place in a list.

use super::refusal::{Kind, Refusal};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A longer message is cut: some hold what the client sent.
const LONGEST_MESSAGE: usize = 300;

/// The fields of all APIs. A field that is missing or null is None.
#[derive(Default)]
pub struct Fields {
    pub query: Option<String>,
    pub texts: Option<List<String>>,
    pub documents: Option<List<Document>>,
    pub truncate: Option<bool>,
    pub truncation_direction: Option<Direction>,
    pub raw_scores: Option<bool>,
    pub return_text: Option<bool>,
    pub return_documents: Option<bool>,
    pub rank_fields: Option<List<String>>,
    pub top_n: Option<i64>,
    pub max_tokens_per_doc: Option<i64>,
    pub first_stage_scores: Option<Named<List<Option<f32>>>>,
}

/// Values by their names. An error tells which of them is at fault.
pub struct Named<T>(pub BTreeMap<String, T>);

/// A list whose errors name the place.
pub struct List<T>(pub Vec<T>);

/// A text, or an object with a field `text`.
pub struct Document(pub String);

#[derive(Clone, Copy, Deserialize)]
pub enum Direction {
    #[serde(alias = "left")]
    Left,
    #[serde(alias = "right")]
    Right,
}

impl Fields {
    /// Reads the known fields of a body, and ignores all others.
    ///
    /// # Errors
    /// A body that is no JSON object in UTF-8; a known field of another type.
    pub fn read(body: &[u8], known: &'static [&'static str]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let message = format!("the body is not UTF-8 at byte {}", error.valid_up_to());
            Refusal::new(Kind::Syntax, message)
        })?;
        let mut json = serde_json::Deserializer::from_str(text);
        let fields = Known(known).deserialize(&mut json);
        fields.and_then(|fields| json.end().map(|()| fields)).map_err(|error| {
            // Inside a field, an error of JSON itself looks like one of the field.
            match serde_json::from_str::<IgnoredAny>(text) {
                Ok(_) => Refusal::new(Kind::Field, short(&error.to_string())),
                Err(error) => {
                    Refusal::new(Kind::Syntax, short(&format!("the body is not JSON: {error}")))
                }
            }
        })
    }
}

/// The names of the fields that are read.
struct Known(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Known {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Known {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            let known = self.0.iter().copied().find(|name| *name == key);
            match known.unwrap_or_default() {
                name @ "query" => fields.query = value(name, &mut map)?,
                name @ "texts" => fields.texts = value(name, &mut map)?,
                name @ "documents" => fields.documents = value(name, &mut map)?,
                name @ "truncate" => fields.truncate = value(name, &mut map)?,
                name @ "truncation_direction" => {
                    fields.truncation_direction = value(name, &mut map)?;
                }
                name @ "raw_scores" => fields.raw_scores = value(name, &mut map)?,
                name @ "return_text" => fields.return_text = value(name, &mut map)?,
                name @ "return_documents" => fields.return_documents = value(name, &mut map)?,
                name @ "rank_fields" => fields.rank_fields = value(name, &mut map)?,
                name @ "top_n" => fields.top_n = value(name, &mut map)?,
                name @ "max_tokens_per_doc" => fields.max_tokens_per_doc = value(name, &mut map)?,
                name @ "first_stage_scores" => fields.first_stage_scores = value(name, &mut map)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

/// Reads the value of a field. An error names it.
fn value<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    name: &str,
    map: &mut A,
) -> Result<Option<T>, A::Error> {
    map.next_value().map_err(|error| {
        let problem = error.to_string();
        A::Error::custom(format!("`{}", within(name, &problem)))
    })
}

/// Puts a name before a problem of its value, and closes the quotation. A list and named values
/// begin their own problems with the place, and have closed it.
fn within(name: &str, problem: &str) -> String {
    match problem.starts_with(['[', '.']) {
        true => format!("{name}{problem}"),
        false => format!("{name}`: {problem}"),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Values<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut values = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let value = map.next_value().map_err(|error| {
                        A::Error::custom(format!(".{}", within(&name, &error.to_string())))
                    })?;
                    values.insert(name, value);
                }
                Ok(Named(values))
            }
        }

        deserializer.deserialize_map(Values(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                let place = |at: usize| move |error| A::Error::custom(format!("[{at}]`: {error}"));
                while let Some(item) = items.next_element().map_err(place(list.len()))? {
                    list.push(item);
                }
                Ok(List(list))
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrObject;

        #[derive(Deserialize)]
        struct Object {
            text: String,
        }

        impl<'de> Visitor<'de> for TextOrObject {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or an object with `text`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Document, E> {
                Ok(Document(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
                let Object { text } = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Document(text))
            }
        }

        deserializer.deserialize_any(TextOrObject)
    }
}

/// Cuts the middle out of a long message: its beginning names the field, its end the place.
fn short(message: &str) -> String {
    let count = message.chars().count();
    if count <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    let half = LONGEST_MESSAGE / 2;
    let (start, end): (String, String) =
        (message.chars().take(half).collect(), message.chars().skip(count - half).collect());
    format!("{start} … {end}")
}
