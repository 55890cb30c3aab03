//! The way of a request: read, tokenize, score, answer.

use super::api::{self, Api, Ranking};
use super::ask::Ask;
use super::body::{self, Held};
use super::refusal::{Kind, Refusal};
use super::{RequestId, Scored, is_json};
use crate::event::Event;
use crate::fusion::joined;
use crate::served::{Prepared, Served, Texts, Unprepared};
use crate::shared::Shared;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use whetstone_records::one_line;

type Id = Extension<RequestId>;

pub async fn tei(shared: State<Arc<Shared>>, Extension(id): Id, request: Request) -> Response {
    respond(Api::Tei, shared.0, id, request).await
}

pub async fn v1(shared: State<Arc<Shared>>, Extension(id): Id, request: Request) -> Response {
    respond(Api::V1, shared.0, id, request).await
}

pub async fn v2(shared: State<Arc<Shared>>, Extension(id): Id, request: Request) -> Response {
    respond(Api::V2, shared.0, id, request).await
}

async fn respond(
    api: Api,
    shared: Arc<Shared>,
    RequestId(id): RequestId,
    request: Request,
) -> Response {
    let refusal = match rerank(api, &shared, &id, request).await {
        Ok(response) => return response,
        Err(refusal) => refusal,
    };
    if refusal.kind == Kind::Internal {
        shared.tell(Event::Failed { id: id.clone(), reason: refusal.message.clone() });
    }
    api.refuse(&refusal, &id)
}

async fn rerank(
    api: Api,
    shared: &Arc<Shared>,
    id: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let deadline = Instant::now() + shared.config.limits.request_timeout;
    if !is_json(request.headers()) {
        body::drain(request.into_body()).await;
        let message = "the header `content-type` must be application/json";
        return Err(Refusal::new(Kind::MediaType, message));
    }
    let slow = |_| Refusal::new(Kind::SlowBody, "the body did not come in time");
    let held = timeout_at(deadline, body::read(shared, request)).await.map_err(slow)??;
    let model = shared.model().ok_or_else(api::loading)?;
    let wait = shared.queue.wait(&shared.metrics);
    let full = || {
        let message = "too many requests are in work";
        Refusal::new(Kind::Overloaded, message).retry_after(seconds(wait))
    };
    let mut place = shared.queue.enter().filter(|_| Instant::now() + wait < deadline);
    let place = place.as_mut().ok_or_else(full)?;
    // The memory for the body counts as taken until the answer is out.
    let Held { bytes, room: _room } = held;
    let answer = async {
        let (ask, prepared) = prepare(api, shared, &model, bytes).await?;
        let scored =
            Scored { documents: ask.documents.len(), tokens: prepared.lengths.iter().sum() };
        let logits = place.score(Arc::clone(&model), prepared).await;
        let logits = logits.map_err(|reason| Refusal::new(Kind::Internal, reason))?;
        let order = order(&model, &ask, &logits);
        let ranking = Ranking { id, model: &model.name, ask: &ask, order, scored };
        let mut response = api.answer(&ranking);
        response.extensions_mut().insert(scored);
        Ok(response)
    };
    let late = |_| Refusal::new(Kind::TimedOut, "the scores did not come in time");
    timeout_at(deadline, answer).await.map_err(late)?
}

/// Parses and tokenizes on a thread of its own, since a long body takes a while. The work ends early
/// if this future is dropped.
async fn prepare(
    api: Api,
    shared: &Arc<Shared>,
    model: &Arc<Served>,
    body: Vec<u8>,
) -> Result<(Ask, Prepared), Refusal> {
    let (model, limits) = (Arc::clone(model), shared.config.limits);
    let alone = shared.queue.requests() == 1;
    let wanting = Arc::new(());
    let wanted = Arc::downgrade(&wanting);
    let work = move || {
        let ask = Ask::read(api, &body, &limits)?;
        drop(body);
        check_names(&ask, &model)?;
        let texts = Texts {
            query: &ask.query,
            documents: &ask.documents,
            cut: ask.cut,
            max_document_tokens: ask.max_document_tokens,
            top_n: ask.top_n,
        };
        let prepared =
            model.prepare(&texts, alone, &wanted).map_err(|error| unprepared(api, error))?;
        Ok((ask, prepared))
    };
    let failed = |_| Refusal::new(Kind::Internal, "the request could not be tokenized");
    let done = spawn_blocking(work).await.map_err(failed)?;
    drop(wanting);
    done
}

/// Refuses first stages that the model was not joined with.
fn check_names(ask: &Ask, model: &Served) -> Result<(), Refusal> {
    let Some(stages) = &ask.first_stage_scores else { return Ok(()) };
    let Some(join) = &model.fusion else {
        let problem = "cannot be used: the model has no fusion. Run `whetstone calibrate`";
        return Err(Refusal::field(Kind::Field, "first_stage_scores", problem));
    };
    let field = |name: &str| format!("first_stage_scores.{name}");
    if let Some(name) = stages.keys().find(|name| !join.weights.contains_key(*name)) {
        let known: Vec<&str> = join.weights.keys().map(String::as_str).collect();
        let problem = format!("is no first stage of the model, which has: {}", known.join(", "));
        return Err(Refusal::field(Kind::Field, field(name), problem));
    }
    match join.weights.keys().find(|name| !stages.contains_key(*name)) {
        Some(name) => {
            Err(Refusal::field(Kind::Field, field(name), "is missing, and the model joins it"))
        }
        None => Ok(()),
    }
}

fn unprepared(api: Api, error: Unprepared) -> Refusal {
    match error {
        Unprepared::TooLong { document, tokens, limit } => {
            let field = format!("{}[{document}]", api.list());
            let problem = format!("and the query have {tokens} tokens, at most {limit} are taken");
            Refusal::field(Kind::TooLarge, field, problem)
        }
        Unprepared::Unwanted => Refusal::new(Kind::TimedOut, "nobody waits for the scores"),
        Unprepared::Model(error) => Refusal::new(Kind::Internal, one_line(&error)),
    }
}

/// Returns the documents to send back with their scores, best first. Equal ones keep their order.
fn order(model: &Served, ask: &Ask, logits: &[f32]) -> Vec<(usize, f32)> {
    let joined = match (&ask.first_stage_scores, &model.fusion) {
        (Some(first_stages), Some(join)) => Some(joined(join, first_stages, logits)),
        _ => None,
    };
    // Probabilities are rounded more coarsely than logits near 1.
    let by = joined.as_deref().unwrap_or(logits);
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| by[b].total_cmp(&by[a]));
    order.truncate(ask.top_n);
    let score = |index: usize| match &joined {
        Some(joined) => joined[index],
        None if ask.raw_scores => logits[index],
        None => model.probability(logits[index]),
    };
    order.into_iter().map(|index| (index, score(index))).collect()
}

/// Whole seconds to wait, from 1 to 60.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs_f64().ceil() as u64).clamp(1, 60)
}
