//! Under async-openai: one HTTP call, with what it leaves out (Retry-After, a limit on the body,
//! Azure's header and version) put in.

use crate::config::LlmConfig;
use crate::key::ApiKey;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

/// Largest answer that is read, in bytes; a real one has a few thousand.
const MAX_BODY_BYTES: usize = 4 << 20;
/// Longest message of a server that is passed on, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// The client of async-openai over [`Transport`], without its own retries, which know no bound in
/// time.
pub type Client = async_openai::Client<OpenAIConfig>;

/// Makes a client for an endpoint.
pub fn client(config: &LlmConfig, key: &ApiKey) -> Result<Client, reqwest::Error> {
    // An error means that someone has installed a provider before, which will do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let timeout = Duration::from_secs(config.timeout_s);
    // No redirects: the key goes where the config says, and nowhere else.
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(timeout);
    let http = http.connect_timeout(timeout.min(Duration::from_secs(20))).build()?;
    let base =
        OpenAIConfig::new().with_api_base(config.base_url.trim_end_matches('/')).with_api_key("");
    let header =
        HeaderName::try_from(config.api_key_header.to_lowercase()).unwrap_or(AUTHORIZATION);
    let value = key
        .secret()
        .map(|key| if header == AUTHORIZATION { format!("Bearer {key}") } else { key.to_owned() });
    let value = value.and_then(|value| HeaderValue::try_from(value).ok()).map(|mut value| {
        value.set_sensitive(true);
        value
    });
    let transport =
        Transport { http: http.clone(), header, value, version: config.api_version.clone() };
    Ok(Client::build(http, base).with_http_service(transport))
}

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Worth another try, after the time that the server asks for.
    Again { reason: String, after: Option<Duration>, limited: bool },
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
            OpenAIError::Reqwest(error) if error.is_builder() => {
                Self::Never { status: 0, message: error.to_string() }
            }
            OpenAIError::Reqwest(_) => again("broken connection"),
            OpenAIError::JSONDeserialize(..) => {
                again("an answer that is not the JSON of a completion")
            }
            OpenAIError::InvalidArgument(message) => Self::Never { status: 0, message },
            error => again(error.to_string()),
        }
    }

    /// Says what an error in place of an answer means, which some gateways send with status 200.
    pub fn of_body(error: &Value) -> Self {
        let (message, code) = message_of(error.to_string().as_bytes());
        let status = error.get("code").or(error.get("status")).and_then(Value::as_u64).unwrap_or(0);
        let status = u16::try_from(status).unwrap_or(0);
        let refusal = Refusal { status, message, code, after: None };
        match status {
            401..=404 | 429 => refusal.fault(),
            _ if refusal.is_spent() || refusal.code == "invalid_api_key" => refusal.never(),
            0 => again("an error in place of an answer"),
            _ => again(format!("an error {status} in place of an answer")),
        }
    }
}

pub fn again(reason: impl Into<String>) -> Fault {
    Fault::Again { reason: reason.into(), after: None, limited: false }
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
    /// Whether no money is left, which waiting does not mend.
    fn is_spent(&self) -> bool {
        const WORDS: &[&str] = &[
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_credits",
        ];
        WORDS.contains(&self.code.as_str())
    }

    fn never(self) -> Fault {
        Fault::Never { status: self.status, message: self.message }
    }

    fn fault(self) -> Fault {
        let status = self.status;
        match status {
            429 if self.is_spent() => self.never(),
            408 | 409 | 425 | 429 | 500.. => Fault::Again {
                reason: format!("status {status}"),
                after: self.after,
                limited: status == 429,
            },
            400 | 413 | 422 => Fault::Form { status, message: self.message },
            _ => self.never(),
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
    header: HeaderName,
    /// The key as the header has it.
    value: Option<HeaderValue>,
    version: Option<String>,
}

impl tower_service::Service<HttpRequestFactory> for Transport {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<reqwest::Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let Self { http, header, value, version } = self.clone();
        Box::pin(async move {
            let mut request = factory.build().await?;
            request.headers_mut().remove(AUTHORIZATION);
            if let Some(value) = value {
                request.headers_mut().insert(header, value);
            }
            if let Some(version) = version {
                request.url_mut().query_pairs_mut().append_pair("api-version", &version);
            }
            let response = http.execute(request).await?;
            let status = response.status();
            let after = retry_after(response.headers());
            let body = read_body(response).await?;
            if status.is_success() {
                return Ok(http::Response::new(body).into());
            }
            let (message, code) = message_of(&body);
            Err(OpenAIError::Boxed(Box::new(Refusal {
                status: status.as_u16(),
                message,
                code,
                after,
            })))
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

/// The wait that a server asks for: milliseconds (`retry-after-ms`), seconds or a date
/// (`Retry-After`, RFC 9110).
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1000.0).or_else(|| number("retry-after"));
    if let Some(seconds) = seconds {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(text("retry-after")?).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Message and code in the body of an error: OpenAI's shape, or the first words of any other.
fn message_of(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(body);
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = json.get("error").unwrap_or(&json);
    let message =
        error.get("message").or(json.get("detail")).and_then(Value::as_str).or(error.as_str());
    let message: String = message.unwrap_or(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    let word = |name: &str| error.get(name).and_then(Value::as_str);
    let code = word("code").or_else(|| word("type")).unwrap_or_default();
    (message.chars().take(MAX_MESSAGE_CHARS).collect(), code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(name: &'static str, value: &str) -> Option<Duration> {
        retry_after(&http::HeaderMap::from_iter([(
            HeaderName::from_static(name),
            value.parse().unwrap(),
        )]))
    }

    #[test]
    fn the_wait_is_read_in_all_three_forms() {
        assert_eq!(after("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(after("retry-after-ms", "1500"), Some(Duration::from_millis(1500)));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let wait = after("retry-after", &date).unwrap();
        assert!((58..=60).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(after("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("retry-after", "soon"), None);
        assert_eq!(after("retry-after", "-1"), None);
    }

    #[test]
    fn an_error_with_status_200_is_judged_by_what_it_says() {
        let fault = |json: &str| Fault::of_body(&serde_json::from_str(json).unwrap());
        assert!(matches!(
            fault(r#"{"code": 502, "message": "upstream"}"#),
            Fault::Again { limited: false, .. }
        ));
        assert!(matches!(fault(r#"{"code": 429}"#), Fault::Again { limited: true, .. }));
        assert!(matches!(
            fault(r#"{"code": 401, "message": "no"}"#),
            Fault::Never { status: 401, .. }
        ));
        assert!(matches!(
            fault(r#"{"code": "insufficient_quota", "message": "no"}"#),
            Fault::Never { .. }
        ));
        assert!(matches!(fault(r#""overloaded""#), Fault::Again { .. }));
    }
}
