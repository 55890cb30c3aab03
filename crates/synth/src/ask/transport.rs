//! Under async-openai: one HTTP call, with what it leaves out (Retry-After, a limit on the body) put in.

use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Largest answer that is read, in bytes; a real one has a few thousand.
const MAX_BODY_BYTES: usize = 4 << 20;
/// Longest message of a server that is passed on, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// The client of async-openai over [`Transport`], without its own retries, which know no bound in time.
pub type Client = async_openai::Client<OpenAIConfig>;

/// Makes a client for an endpoint.
pub fn client(base_url: &str, key: Option<&str>, timeout: Duration) -> Result<Client, reqwest::Error> {
    // An error means that someone has installed a provider before, which will do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http =
        reqwest::Client::builder().timeout(timeout).connect_timeout(timeout.min(Duration::from_secs(20))).build()?;
    let config =
        OpenAIConfig::new().with_api_base(base_url.trim_end_matches('/')).with_api_key(key.unwrap_or_default());
    let transport = Transport { http: http.clone(), has_key: key.is_some() };
    Ok(Client::build(http, config).with_http_service(transport))
}

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Worth another try, after the time that the server asks for.
    Again { reason: String, after: Option<Duration> },
    /// The server does not take a request of this form, or not this passage.
    Form { status: u16, message: String },
    /// No call will ever be answered: a wrong key, model, address, or no money left.
    Never { status: u16, message: String },
}

impl Fault {
    /// Says what an error of async-openai means for the next try.
    pub fn of(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(error) => match error.downcast::<Refusal>() {
                Ok(refusal) => refusal.fault(),
                Err(error) => again(error.to_string()),
            },
            OpenAIError::Reqwest(error) if error.is_timeout() => again("time-out"),
            OpenAIError::Reqwest(error) if error.is_connect() => again("no connection"),
            OpenAIError::Reqwest(error) if error.is_builder() => Self::Never { status: 0, message: error.to_string() },
            OpenAIError::Reqwest(_) => again("broken connection"),
            OpenAIError::JSONDeserialize(..) => again("a body that is not JSON"),
            OpenAIError::InvalidArgument(message) => Self::Never { status: 0, message },
            error => again(error.to_string()),
        }
    }
}

pub fn again(reason: impl Into<String>) -> Fault {
    Fault::Again { reason: reason.into(), after: None }
}

/// A status other than success.
#[derive(Debug, thiserror::Error)]
#[error("status {status}: {message}")]
struct Refusal {
    status: u16,
    message: String,
    /// The server's own word for the error, such as `insufficient_quota`.
    code: String,
    after: Option<Duration>,
}

impl Refusal {
    fn fault(self) -> Fault {
        let Self { status, message, .. } = self;
        match status {
            429 if self.code == "insufficient_quota" => Fault::Never { status, message },
            408 | 409 | 425 | 429 | 500.. => Fault::Again { reason: format!("status {status}"), after: self.after },
            400 | 413 | 422 => Fault::Form { status, message },
            _ => Fault::Never { status, message },
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("an answer of more than {MAX_BODY_BYTES} bytes")]
struct Oversized;

/// One try of a call.
#[derive(Clone)]
struct Transport {
    http: reqwest::Client,
    has_key: bool,
}

impl tower_service::Service<HttpRequestFactory> for Transport {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<reqwest::Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let Self { http, has_key } = self.clone();
        Box::pin(async move {
            let mut request = factory.build().await?;
            if !has_key {
                request.headers_mut().remove(http::header::AUTHORIZATION);
            }
            let response = http.execute(request).await?;
            let status = response.status();
            let after = retry_after(response.headers());
            let body = read_body(response).await?;
            if status.is_success() {
                return Ok(http::Response::new(body).into());
            }
            let (message, code) = message_of(&body);
            Err(OpenAIError::Boxed(Box::new(Refusal { status: status.as_u16(), message, code, after })))
        })
    }
}

async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, OpenAIError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_BODY_BYTES {
            return Err(OpenAIError::Boxed(Box::new(Oversized)));
        }
    }
    Ok(body)
}

/// The wait that a server asks for, in seconds (`Retry-After`) or milliseconds (`retry-after-ms`). The form with a date
/// is not in use among these servers.
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Message and code in the body of an error: OpenAI's shape, or the first words of any other.
fn message_of(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = json.get("error").unwrap_or(&json);
    let message = error.get("message").or(json.get("detail")).and_then(Value::as_str).or(error.as_str());
    let message: String = message.unwrap_or(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    let code = error.get("code").or(error.get("type")).and_then(Value::as_str).unwrap_or_default();
    (message.chars().take(MAX_MESSAGE_CHARS).collect(), code.to_owned())
}
