//! The APIs that are spoken: the status and the shape of their answers.

use super::Scored;
use super::ask::Ask;
use super::refusal::{Kind, Refusal};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

/// An API that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// text-embeddings-inference.
    Tei,
    /// What Cohere's first version and Jina have in common.
    V1,
    /// Cohere's second version.
    V2,
}

/// The scores of a request, best first.
pub struct Ranking<'a> {
    pub id: &'a str,
    pub model: &'a str,
    pub ask: &'a Ask,
    /// The place of each document, and its score.
    pub order: Vec<(usize, f32)>,
    pub scored: Scored,
}

/// A document in text-embeddings-inference's answer.
#[derive(Serialize)]
struct TeiRank<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    score: f32,
}

/// A document in Cohere's and Jina's answer.
#[derive(Serialize)]
struct CohereRank<'a> {
    index: usize,
    relevance_score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<CohereDocument<'a>>,
}

#[derive(Serialize)]
struct CohereDocument<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct CohereAnswer<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    results: Vec<CohereRank<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Value>,
    meta: Value,
}

impl Api {
    /// The API that a path belongs to.
    pub fn of(path: &str) -> Self {
        match path {
            _ if path.starts_with("/v1/") => Self::V1,
            _ if path.starts_with("/v2/") => Self::V2,
            _ => Self::Tei,
        }
    }

    /// The field with the documents.
    pub fn list(self) -> &'static str {
        match self {
            Self::Tei => "texts",
            Self::V1 | Self::V2 => "documents",
        }
    }

    pub fn answer(self, ranking: &Ranking) -> Response {
        let text = |index: usize| ranking.ask.echo.then(|| &*ranking.ask.documents[index]);
        let order = ranking.order.iter().copied();
        if self == Self::Tei {
            let rank = |(index, score)| TeiRank { index, text: text(index), score };
            return json(&order.map(rank).collect::<Vec<_>>());
        }
        let rank = |(index, relevance_score)| CohereRank {
            index,
            relevance_score,
            document: text(index).map(|text| CohereDocument { text }),
        };
        let tokens = ranking.scored.tokens;
        let version = if self == Self::V1 { "1" } else { "2" };
        json(&CohereAnswer {
            id: ranking.id,
            // Jina's clients know these two.
            model: (self == Self::V1).then_some(ranking.model),
            usage: (self == Self::V1)
                .then(|| json!({ "total_tokens": tokens, "prompt_tokens": tokens })),
            results: order.map(rank).collect(),
            meta: json!({
                "api_version": { "version": version },
                "billed_units": { "search_units": 1 },
            }),
        })
    }

    /// Tells the client why there is no answer, in the shape that this API has for it.
    pub fn refuse(self, refusal: &Refusal, id: &str) -> Response {
        let message = &refusal.message;
        let shape = match self {
            Self::Tei => json!({ "error": message, "error_type": error_type(refusal.kind) }),
            // Cohere's clients read `message`, Jina's `detail`.
            Self::V1 => json!({ "message": message, "detail": message, "id": id }),
            Self::V2 => json!({ "message": message, "id": id }),
        };
        let mut response = json(&shape);
        *response.status_mut() = self.status(refusal.kind);
        if let Some(seconds) = refusal.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn status(self, kind: Kind) -> StatusCode {
        match (kind, self) {
            (Kind::Syntax | Kind::CutOff, _) => StatusCode::BAD_REQUEST,
            (Kind::Field | Kind::Empty, Self::V2) => StatusCode::BAD_REQUEST,
            (Kind::Empty, Self::Tei) => StatusCode::BAD_REQUEST,
            (Kind::Field | Kind::Empty, _) => StatusCode::UNPROCESSABLE_ENTITY,
            (Kind::TooLarge, _) => StatusCode::PAYLOAD_TOO_LARGE,
            (Kind::MediaType, _) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            (Kind::Key, _) => StatusCode::UNAUTHORIZED,
            (Kind::NoSuchPath, _) => StatusCode::NOT_FOUND,
            (Kind::WrongMethod, _) => StatusCode::METHOD_NOT_ALLOWED,
            (Kind::SlowBody, _) => StatusCode::REQUEST_TIMEOUT,
            (Kind::Loading | Kind::Overloaded, _) => StatusCode::SERVICE_UNAVAILABLE,
            (Kind::TimedOut, _) => StatusCode::GATEWAY_TIMEOUT,
            (Kind::Internal, Self::Tei) => StatusCode::FAILED_DEPENDENCY,
            (Kind::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// text-embeddings-inference's name for it.
fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Empty => "Empty",
        Kind::Loading => "Unhealthy",
        Kind::Overloaded | Kind::TimedOut => "Overloaded",
        Kind::Internal => "Backend",
        _ => "Validation",
    }
}

/// The refusal while the first model is loading.
pub fn loading() -> Refusal {
    Refusal::new(Kind::Loading, "the model is loading").retry_after(1)
}

pub fn json(value: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(value).expect("plain data always serialises");
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response()
}
