//! What the server says about itself, and answers outside the APIs.

use super::api::{self, Api};
use super::refusal::{Kind, Refusal};
use super::{PATHS, RequestId, body};
use crate::server::tokenizing_threads;
use crate::shared::Shared;
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use whetstone_model::Precision;

/// The OpenAPI document.
const OPENAPI: &str = include_str!("../openapi.json");

/// 200 once the model scores, 503 before.
pub async fn health(
    State(shared): State<Arc<Shared>>,
    Extension(RequestId(id)): Extension<RequestId>,
) -> Response {
    match shared.model() {
        Some(_) => api::json(&json!({ "status": "ready" })),
        None => Api::Tei.refuse(&api::loading(), &id),
    }
}

/// What is served, with text-embeddings-inference's names where it has them. Its clients want all
/// of them, also where there is nothing to tell.
pub async fn info(
    State(shared): State<Arc<Shared>>,
    Extension(RequestId(id)): Extension<RequestId>,
) -> Response {
    let Some(model) = shared.model() else { return Api::Tei.refuse(&api::loading(), &id) };
    let limits = &shared.config.limits;
    api::json(&json!({
        "model_id": model.name,
        "model_sha": null,
        "model_dtype": match model.placement.precision {
            Precision::F32 => "float32",
            Precision::Bf16 => "bfloat16",
            Precision::F16 => "float16",
        },
        "model_type": { "reranker": { "id2label": { "0": "LABEL_0" }, "label2id": { "LABEL_0": 0 } } },
        "max_concurrent_requests": limits.max_requests,
        "max_input_length": model.tokenizer.max_seq_tokens(),
        "max_client_batch_size": limits.max_documents,
        "max_batch_tokens": model.tokens_at_once(),
        "max_batch_requests": null,
        "tokenization_workers": tokenizing_threads(),
        "auto_truncate": true,
        "sha": null,
        "docker_label": null,
        "version": env!("CARGO_PKG_VERSION"),
        "device": shared.config.placement.device.to_string(),
        "scores": if model.scaling.is_some() { "calibrated" } else { "sigmoid" },
        "fusion": model.fusion.as_ref().map(|join| join.to_string()),
        // The names that `first_stage_scores` may have.
        "first_stages": model.fusion.iter().flat_map(|join| join.weights.keys()).collect::<Vec<_>>(),
    }))
}

/// Counters for Prometheus.
pub async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(CONTENT_TYPE, kind)], shared.metrics.text(&shared.now())).into_response()
}

pub async fn openapi() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI).into_response()
}

pub async fn not_found(
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    body::drain(request.into_body()).await;
    let message = format!("there is no `{path}`; there are {}", PATHS.join(", "));
    Api::of(&path).refuse(&Refusal::new(Kind::NoSuchPath, message), &id)
}

pub async fn wrong_method(
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
) -> Response {
    let path = request.uri().path();
    let allowed = if path.ends_with("/rerank") { Method::POST } else { Method::GET };
    let message = format!("`{path}` takes {allowed}, not {}", request.method());
    let mut response = Api::of(path).refuse(&Refusal::new(Kind::WrongMethod, message), &id);
    if let Ok(allowed) = HeaderValue::from_str(allowed.as_str()) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_openapi_document_has_every_path() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let mut documented: Vec<&str> =
            document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut served = PATHS.to_vec();
        documented.sort();
        served.sort();
        assert_eq!(documented, served);
    }
}
