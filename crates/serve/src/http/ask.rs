//! What clients ask for: the JSON of each API, read into the words of none.

use super::api::Api;
use super::fields::{Direction, Document, Fields, List, Named};
use super::refusal::{Kind, Refusal};
use crate::config::Limits;
use crate::fusion::FirstStages;
use crate::served::Cut;

/// The fields of text-embeddings-inference, with `first_stage_scores` of our own.
const TEI: &[&str] = &[
    "query",
    "texts",
    "truncate",
    "truncation_direction",
    "raw_scores",
    "return_text",
    "first_stage_scores",
];
/// The fields of Cohere and Jina, with `first_stage_scores` of our own. `model` is not read, since
/// the server has one.
const COHERE: &[&str] = &[
    "query",
    "documents",
    "top_n",
    "return_documents",
    "rank_fields",
    "max_tokens_per_doc",
    "first_stage_scores",
];

/// A query with its documents, and what is wanted of them.
#[derive(Debug)]
pub struct Ask {
    pub query: String,
    pub documents: Vec<String>,
    pub top_n: usize,
    pub cut: Cut,
    pub max_document_tokens: usize,
    /// Logits in place of probabilities.
    pub raw_scores: bool,
    /// Documents are sent back.
    pub echo: bool,
    /// The first stages' scores of the documents, to be joined with the model's.
    pub first_stage_scores: Option<FirstStages>,
}

impl Ask {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Names the field at fault.
    pub fn read(api: Api, body: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let ask = match api {
            Api::Tei => Self::of_tei(Fields::read(body, TEI)?)?,
            Api::V1 | Api::V2 => Self::of_cohere(Fields::read(body, COHERE)?, api)?,
        };
        ask.check(api.list(), limits)?;
        Ok(ask)
    }

    fn of_tei(fields: Fields) -> Result<Self, Refusal> {
        let cut = match (fields.truncate, fields.truncation_direction) {
            (Some(false), _) => Cut::Refuse,
            (_, Some(Direction::Left)) => Cut::Left,
            (_, Some(Direction::Right) | None) => Cut::Right,
        };
        let List(documents) = needed("texts", fields.texts)?;
        Ok(Self {
            query: needed("query", fields.query)?,
            documents,
            top_n: usize::MAX,
            cut,
            max_document_tokens: usize::MAX,
            raw_scores: fields.raw_scores.unwrap_or(false),
            echo: fields.return_text.unwrap_or(false),
            first_stage_scores: fields.first_stage_scores.map(plain),
        })
    }

    fn of_cohere(fields: Fields, api: Api) -> Result<Self, Refusal> {
        if fields.rank_fields.is_some_and(|List(names)| names != ["text"]) {
            return Err(Refusal::field(Kind::Field, "rank_fields", "can only be [\"text\"]"));
        }
        let List(documents) = needed("documents", fields.documents)?;
        Ok(Self {
            query: needed("query", fields.query)?,
            documents: documents.into_iter().map(|Document(text)| text).collect(),
            top_n: at_least_one("top_n", fields.top_n)?,
            cut: Cut::Right,
            max_document_tokens: at_least_one("max_tokens_per_doc", fields.max_tokens_per_doc)?,
            raw_scores: false,
            // Jina sends documents back unless it is told not to. Cohere's clients take both.
            echo: fields.return_documents.unwrap_or(api == Api::V1),
            first_stage_scores: fields.first_stage_scores.map(plain),
        })
    }

    fn check(&self, list: &'static str, limits: &Limits) -> Result<(), Refusal> {
        if self.query.trim().is_empty() {
            return Err(Refusal::field(Kind::Empty, "query", "is empty"));
        }
        if self.documents.is_empty() {
            return Err(Refusal::field(Kind::Empty, list, "is empty"));
        }
        let (count, most) = (self.documents.len(), limits.max_documents);
        if count > most {
            let problem = format!("has {count} documents, at most {most} are taken");
            return Err(Refusal::field(Kind::TooLarge, list, problem));
        }
        let most = limits.max_text_bytes;
        let too_long = |field: String, text: &String| {
            let problem = format!("has {} bytes, at most {most} are taken", text.len());
            Err(Refusal::field(Kind::TooLarge, field, problem))
        };
        if self.query.len() > most {
            return too_long("query".into(), &self.query);
        }
        if let Some(at) = self.documents.iter().position(|text| text.len() > most) {
            return too_long(format!("{list}[{at}]"), &self.documents[at]);
        }
        self.check_first_stage()
    }

    fn check_first_stage(&self) -> Result<(), Refusal> {
        for (name, scores) in self.first_stage_scores.iter().flatten() {
            let field = format!("first_stage_scores.{name}");
            let is_no_number = |score: &Option<f32>| score.is_some_and(|score| !score.is_finite());
            if let Some(at) = scores.iter().position(is_no_number) {
                let field = format!("{field}[{at}]");
                return Err(Refusal::field(Kind::Field, field, "is beyond the range of f32"));
            }
            let (count, documents) = (scores.len(), self.documents.len());
            if count != documents {
                let problem = format!("has {count} scores for {documents} documents");
                return Err(Refusal::field(Kind::Field, field, problem));
            }
        }
        Ok(())
    }
}

fn plain(Named(stages): Named<List<Option<f32>>>) -> FirstStages {
    stages.into_iter().map(|(name, List(scores))| (name, scores)).collect()
}

/// Returns a number from 1 on; without one, no limit.
fn at_least_one(field: &'static str, value: Option<i64>) -> Result<usize, Refusal> {
    match value {
        None => Ok(usize::MAX),
        Some(value @ 1..) => Ok(usize::try_from(value).unwrap_or(usize::MAX)),
        Some(value) => {
            let problem = format!("must be at least 1, got {value}");
            Err(Refusal::field(Kind::Field, field, problem))
        }
    }
}

fn needed<T>(field: &'static str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::field(Kind::Field, field, "is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(api: Api, body: &str) -> (Kind, String) {
        let limits = Limits { max_documents: 3, max_text_bytes: 20, ..Limits::default() };
        let refusal = Ask::read(api, body.as_bytes(), &limits).unwrap_err();
        (refusal.kind, refusal.message)
    }

    #[test]
    fn the_first_stage_at_fault_is_named() {
        let cases = [
            (
                r#"{"query": "q", "texts": ["a"], "first_stage_scores": {"bm25": [1, null]}}"#,
                Kind::Field,
                "`first_stage_scores.bm25` has 2 scores for 1 documents",
            ),
            (
                r#"{"query": "q", "texts": ["a"], "first_stage_scores": {"bm25": [1, "x"]}}"#,
                Kind::Field,
                "`first_stage_scores.bm25[1]`: invalid type: string \"x\", expected f32 at line 1 \
                 column 69",
            ),
            (
                r#"{"query": "q", "texts": ["a"], "first_stage_scores": {"bm25": 3}}"#,
                Kind::Field,
                "`first_stage_scores.bm25`: invalid type: integer `3`, expected a list at line 1 column 63",
            ),
            (
                r#"{"query": "q", "texts": ["a"], "first_stage_scores": {"bm25": [1e200]}}"#,
                Kind::Field,
                "`first_stage_scores.bm25[0]` is beyond the range of f32",
            ),
        ];
        for (body, kind, message) in cases {
            assert_eq!(refusal(Api::Tei, body), (kind, message.to_owned()), "{body}");
        }
    }

    #[test]
    fn each_field_at_fault_is_named() {
        let cases = [
            (r#"{"query": " ", "texts": ["a"]}"#, Kind::Empty, "`query` is empty"),
            (r#"{"query": "q", "texts": []}"#, Kind::Empty, "`texts` is empty"),
            (
                r#"{"query": "q", "texts": ["a", "b", "c", "d"]}"#,
                Kind::TooLarge,
                "`texts` has 4 documents, at most 3 are taken",
            ),
            (
                r#"{"query": "q", "texts": ["a", "a text of many, many words"]}"#,
                Kind::TooLarge,
                "`texts[1]` has 26 bytes, at most 20 are taken",
            ),
            (
                r#"{"query": "q", "texts": ["a", 3]}"#,
                Kind::Field,
                "`texts[1]`: invalid type: integer `3`, expected a string at line 1 column 31",
            ),
            (r#"{"texts": ["a"]}"#, Kind::Field, "`query` is missing"),
            (r#"{"query": null, "texts": ["a"]}"#, Kind::Field, "`query` is missing"),
            (
                r#"["query"]"#,
                Kind::Field,
                "invalid type: sequence, expected a JSON object at line 1 column 0",
            ),
            (
                r#"{"query": "q""#,
                Kind::Syntax,
                "the body is not JSON: EOF while parsing an object at line 1 column 13",
            ),
        ];
        for (body, kind, message) in cases {
            assert_eq!(refusal(Api::Tei, body), (kind, message.to_owned()), "{body}");
        }
        let cases = [
            (r#""top_n": -1"#, "`top_n` must be at least 1, got -1"),
            (r#""max_tokens_per_doc": 0"#, "`max_tokens_per_doc` must be at least 1, got 0"),
            (r#""rank_fields": ["title"]"#, "`rank_fields` can only be [\"text\"]"),
        ];
        for (field, message) in cases {
            let body = format!(r#"{{"query": "q", "documents": ["a"], {field}}}"#);
            assert_eq!(refusal(Api::V2, &body), (Kind::Field, message.to_owned()));
        }
        let body = r#"{"query": "q", "documents": [{"text": "a"}, {"title": "b"}]}"#;
        let message = "`documents[1]`: missing field `text` at line 1 column 58";
        assert_eq!(refusal(Api::V1, body), (Kind::Field, message.to_owned()));
    }

    #[test]
    fn bytes_that_are_no_text_are_named_and_a_long_message_is_cut() {
        let limits = Limits::default();
        let refused = Ask::read(Api::Tei, b"{\"query\": \"\xff\"}", &limits).unwrap_err();
        assert_eq!(refused.message, "the body is not UTF-8 at byte 11");
        let body =
            format!(r#"{{"query": "q", "documents": ["a"], "top_n": "{}"}}"#, "é".repeat(9999));
        let (kind, message) = refusal(Api::V2, &body);
        assert_eq!(kind, Kind::Field);
        assert!(message.starts_with("`top_n`: invalid type: string") && message.len() < 700);
    }

    #[test]
    fn documents_are_texts_or_objects_and_unknown_fields_are_ignored() {
        let body = r#"{"query": "q", "model": "any", "documents": ["a", {"id": 1, "text": "b"}],
            "top_n": null, "max_chunks_per_doc": 3, "priority": {"deep": [1]}}"#;
        for (api, echo) in [(Api::V1, true), (Api::V2, false)] {
            let ask = Ask::read(api, body.as_bytes(), &Limits::default()).unwrap();
            assert_eq!((ask.documents, ask.echo), (vec!["a".to_owned(), "b".to_owned()], echo));
            assert_eq!((ask.top_n, ask.cut), (usize::MAX, Cut::Right));
        }
    }
}
