//! One HTTP call for async-openai. It adds what async-openai lacks: Retry-After, a size limit,
//! Azure's header and version.

use crate::config::LlmConfig;
use crate::key::ApiKey;
use crate::request::names_system_role;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

/// Largest answer to read, in bytes; a real one has a few thousand.
const MAX_BODY_BYTES: usize = 4 << 20;
/// Longest part of a server's message to pass on, in characters.
const MAX_MESSAGE_CHARS: usize = 200;

/// The client of async-openai over [`Transport`], without its own retries, which have no time
/// limit.
pub type Client = async_openai::Client<OpenAIConfig>;

/// Makes a client for an endpoint.
pub fn client(config: &LlmConfig, key: &ApiKey) -> Result<Client, reqwest::Error> {
    // An error means that a provider is already installed, which will do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let timeout = Duration::from_secs(config.timeout_s);
    // No redirects: the key must go only where the config says.
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

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Worth another try, after the wait that the server asks for.
    Again { reason: String, after: Option<Duration>, limited: bool },
    /// The server rejects this form of request, or this passage.
    Form { status: u16, message: String },
    /// No call can succeed: a wrong key, model or address, or no money left.
    Never { status: u16, message: String },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Again { reason, .. } => f.write_str(reason),
            Fault::Form { status, message } | Fault::Never { status, message } => {
                write!(f, "refused with status {status}: {message}")
            }
        }
    }
}

impl Fault {
    /// Decides what an error of async-openai means for the next try.
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
            OpenAIError::InvalidArgument(message) => Self::Never { status: 0, message },
            error => again(error.to_string()),
        }
    }

    /// Decides what an error instead of an answer means. Some gateways send it with status 200.
    pub fn of_body(error: &Value) -> Self {
        let (message, code) = message_of(error.to_string().as_bytes());
        let number = ["code", "status", "status_code"].iter().find_map(|name| {
            let value = error.get(*name)?;
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        });
        // Without a number of its own, it has the answer's.
        let status = number.and_then(|number| u16::try_from(number).ok()).unwrap_or(200);
        let refusal = Refusal { status, message, code, after: None };
        match status {
            400..=499 => refusal.fault(),
            _ if refusal.is_spent() || refusal.code == "invalid_api_key" => refusal.never(),
            _ if refusal.is_of_form() => refusal.form(),
            200 => again(format!("an error in place of an answer: {}", refusal.message)),
            _ => refusal.fault(),
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
    /// Whether the money is used up, which waiting does not cure.
    fn is_spent(&self) -> bool {
        const WORDS: &[&str] = &[
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient_credits",
        ];
        WORDS.contains(&self.code.as_str())
    }

    /// Whether the request is at fault: the same request would be refused again.
    fn is_of_form(&self) -> bool {
        const WORDS: &[&str] = &["invalid_request", "context_length", "badrequest", "validation"];
        let code = self.code.to_lowercase();
        WORDS.iter().any(|word| code.contains(word)) || names_system_role(&self.message)
    }

    fn never(self) -> Fault {
        Fault::Never { status: self.status, message: self.message }
    }

    fn form(self) -> Fault {
        Fault::Form { status: self.status, message: self.message }
    }

    fn fault(self) -> Fault {
        let status = self.status;
        match status {
            429 if self.is_spent() => self.never(),
            400 | 413 | 422 => self.form(),
            // llama.cpp reports a template's refusal as an internal error.
            500.. if names_system_role(&self.message) => self.form(),
            408 | 409 | 425 | 429 | 500.. => Fault::Again {
                reason: match self.message.as_str() {
                    "" | "{}" => format!("status {status}"),
                    message => format!("status {status}: {message}"),
                },
                after: self.after,
                limited: status == 429,
            },
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
    let words = [error.get("message"), json.get("detail"), json.get("message"), Some(error)];
    let message = words.into_iter().flatten().filter_map(Value::as_str).find(|it| !it.is_empty());
    let word = |name: &str| error.get(name).and_then(Value::as_str);
    let code = word("code").or_else(|| word("type")).unwrap_or_default();
    (opening(message.unwrap_or(&text)), code.to_owned())
}

/// The first words of a server's text, on one line.
pub fn opening(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(MAX_MESSAGE_CHARS).collect();
    words.join(" ").chars().take(MAX_MESSAGE_CHARS).collect()
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
