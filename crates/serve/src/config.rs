//! What is served, where, and the limits that keep one client from harming the others.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;
use whetstone_model::Placement;

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The folder of a cross-encoder.
    pub model: PathBuf,
    pub host: IpAddr,
    /// 0 lets the system choose a port.
    pub port: u16,
    pub placement: Placement,
    /// A file with an API key on each line; without one, everybody may ask.
    pub api_keys: Option<PathBuf>,
    /// Serve other machines without keys.
    pub allow_anonymous: bool,
    pub limits: Limits,
}

impl ServeConfig {
    /// The model on 127.0.0.1:8080, on the CPU in f32, with the default limits.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            host: Ipv4Addr::LOCALHOST.into(),
            port: 8080,
            placement: Placement::default(),
            api_keys: None,
            allow_anonymous: false,
            limits: Limits::default(),
        }
    }
}

/// How much one client may ask for, and how long anybody waits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest body of a request.
    pub max_body_bytes: usize,
    /// Documents in a request.
    pub max_documents: usize,
    /// The longest document, and the longest query.
    pub max_text_bytes: usize,
    /// Requests in work at once. One more is refused.
    pub max_requests: usize,
    /// Bytes of all bodies that are held at once.
    pub max_held_bytes: usize,
    /// Connections that are open at once.
    pub max_connections: usize,
    /// From the first byte of a request to its answer.
    pub request_timeout: Duration,
    /// For the head of a request; also how long an idle connection stays open.
    pub head_timeout: Duration,
    /// How long a client may leave an answer unread.
    pub write_timeout: Duration,
    /// How long requests in work may take after the server was told to stop.
    pub grace: Duration,
    /// How often the server looks for a new manifest in the model's folder.
    pub poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 16 << 20,
            max_documents: 1000,
            max_text_bytes: 1 << 20,
            max_requests: 256,
            max_held_bytes: 256 << 20,
            max_connections: 4096,
            request_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(30),
            poll: Duration::from_secs(2),
        }
    }
}
