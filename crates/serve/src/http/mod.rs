//! The paths of the server, and what happens around every request: its id, its key, its line in the
//! log.

mod about;
mod api;
mod ask;
mod body;
mod fields;
mod refusal;
mod rerank;

use crate::event::Event;
use crate::shared::Shared;
use api::Api;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use refusal::{Kind, Refusal};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The header that names a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id of a client is replaced.
const LONGEST_ID: usize = 128;

/// All paths. The metrics name them, so that no client can invent new ones.
pub const PATHS: [&str; 7] =
    ["/rerank", "/v1/rerank", "/v2/rerank", "/health", "/info", "/metrics", "/openapi.json"];

/// The id of a request, for the handlers.
#[derive(Clone)]
struct RequestId(String);

/// What a handler scored, for the log.
#[derive(Clone, Copy)]
struct Scored {
    documents: usize,
    tokens: usize,
}

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/rerank", post(rerank::tei))
        .route("/v1/rerank", post(rerank::v1))
        .route("/v2/rerank", post(rerank::v2))
        .route("/health", get(about::health))
        .route("/info", get(about::info))
        .route("/metrics", get(about::metrics))
        .route("/openapi.json", get(about::openapi))
        .fallback(about::not_found)
        .method_not_allowed_fallback(about::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&shared), around))
        .with_state(shared)
}

/// Names the request, asks for a key, and writes the line in the log.
async fn around(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let mut entry = Entry::open(shared, &request);
    request.extensions_mut().insert(RequestId(entry.id.clone()));
    let mut response = match admitted(&entry, request.headers()) {
        true => next.run(request).await,
        false => {
            let refusal = Refusal::new(Kind::Key, "a valid API key is needed: Bearer KEY");
            let mut response = Api::of(&entry.path).refuse(&refusal, &entry.id);
            body::drain(request.into_body()).await;
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            response
        }
    };
    if let Ok(id) = HeaderValue::from_str(&entry.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    entry.close(&response);
    response
}

/// Whether the request needs no key or has one. Everybody may ask for the health.
fn admitted(entry: &Entry, headers: &HeaderMap) -> bool {
    let Some(keys) = entry.shared.keys() else { return true };
    let sent = headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
    entry.path == "/health" || keys.admit(sent)
}

/// Reads the body of a request to a path, without a server around it.
#[cfg(fuzzing)]
pub fn read(path: &str, body: &[u8], limits: &crate::Limits) -> Result<usize, (u16, String)> {
    let api = Api::of(path);
    match ask::Ask::read(api, body, limits) {
        Ok(ask) => Ok(ask.documents.len()),
        Err(refusal) => {
            let status = api.refuse(&refusal, "id").status().as_u16();
            Err((status, refusal.message))
        }
    }
}

/// Whether the body is said to be JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// A request on its way to the log. If it is dropped before its answer, the client went away.
struct Entry {
    shared: Arc<Shared>,
    id: String,
    method: String,
    path: String,
    started: Instant,
    is_open: bool,
}

impl Entry {
    fn open(shared: Arc<Shared>, request: &Request) -> Self {
        Self {
            shared,
            id: request_id(request.headers()),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            started: Instant::now(),
            is_open: true,
        }
    }

    fn ms(&self) -> f64 {
        (self.started.elapsed().as_secs_f64() * 1e5).round() / 100.0
    }

    fn close(&mut self, response: &Response) {
        self.is_open = false;
        let known = PATHS.into_iter().find(|path| *path == self.path).unwrap_or("other");
        let status = response.status().as_u16();
        self.shared.metrics.request(known, status, self.started.elapsed());
        let scored = response.extensions().get::<Scored>();
        self.shared.tell(Event::Request {
            id: self.id.clone(),
            method: self.method.clone(),
            path: self.path.clone(),
            status,
            ms: self.ms(),
            documents: scored.map(|scored| scored.documents),
            tokens: scored.map(|scored| scored.tokens),
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.is_open {
            self.shared.metrics.abandoned();
            let (id, method, path) = (self.id.clone(), self.method.clone(), self.path.clone());
            self.shared.tell(Event::Abandoned { id, method, path, ms: self.ms() });
        }
    }
}

/// Returns the client's id of the request, if it may stand in a log; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let sent = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let fits = |id: &&str| !id.is_empty() && id.len() <= LONGEST_ID;
    sent.filter(fits).map(str::to_owned).unwrap_or_else(|| {
        // The standard library's hashes have random keys.
        let random = RandomState::new().hash_one(COUNT.fetch_add(1, Ordering::Relaxed));
        format!("{random:016x}")
    })
}
