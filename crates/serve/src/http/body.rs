//! Reads the body of a request, as far as it may go.

use super::refusal::{Kind, Refusal};
use crate::shared::Shared;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// A body that is too long is read to its end where it can be, but not for longer: a client that is
/// cut off while it sends does not read why.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A whole body, and its share of the memory for bodies.
pub struct Held {
    pub bytes: Vec<u8>,
    pub room: OwnedSemaphorePermit,
}

/// Reads a body.
///
/// # Errors
/// One that is longer than the limit, that does not come in time, or that ends early; too many
/// other bodies in memory.
pub async fn read(shared: &Arc<Shared>, request: Request) -> Result<Held, Refusal> {
    let limit = shared.config.limits.max_body_bytes;
    let too_large =
        || Refusal::new(Kind::TooLarge, format!("the body is longer than {limit} bytes"));
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let mut body = request.into_body();
    if length.is_some_and(|length| length > limit as u64) {
        drain(body).await;
        return Err(too_large());
    }
    let no_room = || {
        let message = "the server holds as many bodies as it can";
        Refusal::new(Kind::Overloaded, message).retry_after(1)
    };
    let mut room = Arc::clone(&shared.room).try_acquire_many_owned(0).map_err(|_| no_room())?;
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let cut_off = |_| Refusal::new(Kind::CutOff, "the body ended early");
        let Ok(data) = frame.map_err(cut_off)?.into_data() else { continue };
        if bytes.len() + data.len() > limit {
            drain(body).await;
            return Err(too_large());
        }
        let more = Arc::clone(&shared.room).try_acquire_many_owned(data.len() as u32);
        match more {
            Ok(more) => room.merge(more),
            Err(_) => {
                drain(body).await;
                return Err(no_room());
            }
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Held { bytes, room })
}

/// Throws the rest of a body away.
pub async fn drain(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // Whoever sends for longer is cut off.
    let _ = timeout(DRAIN_TIME, rest).await;
}
