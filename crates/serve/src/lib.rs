//! A model folder over HTTP. It answers as text-embeddings-inference, Jina and Cohere do, so that
//! their clients need only another address.
//!
//! ```
//! use whetstone_serve::{ServeConfig, Server};
//!
//! let mut config = ServeConfig::new("../../tests/oracles/tiny-model");
//! config.port = 0;
//! let server = Server::bind(config, std::sync::Arc::new(|event| println!("{event:?}")))?;
//! println!("http://{}", server.address());
//! let handle = server.handle();
//! std::thread::spawn(move || handle.stop());
//! server.run()?;
//! # Ok::<(), whetstone_serve::Error>(())
//! ```

mod batch;
mod config;
mod error;
mod event;
mod fusion;
#[cfg(fuzzing)]
pub mod fuzzing;
mod http;
mod keys;
mod metrics;
mod patience;
mod queue;
mod reload;
mod scorer;
mod served;
mod server;
mod shared;

pub use config::{Limits, ServeConfig};
pub use error::{Error, Result};
pub use event::{Event, Level, Listener};
pub use keys::Keys;
pub use server::{Handle, Server};
