//! Finds passages for queries.
//!
//! Every way to search is a [`Retriever`]: BM25 ([`Bm25`]), the embeddings of a bi-encoder
//! ([`Dense`]), a late interaction ([`LateInteraction`]), the run file of any other search
//! ([`RunFile`]). [`RetrieverConfig`] is a retriever in a config.
//!
//! ```
//! use whetstone_retrieve::{Material, RetrieverConfig};
//! use whetstone_records::{Passage, Query};
//!
//! let passages = r#"[{"_id": "p1", "text": "Oil the chain."}, {"_id": "p2", "text": "A red valve."}]"#;
//! let passages: Vec<Passage> = serde_json::from_str(passages)?;
//! let queries: Vec<Query> = vec![serde_json::from_str(r#"{"_id": "q1", "text": "red valves"}"#)?];
//! let config: RetrieverConfig = serde_json::from_str(r#"{"kind": "bm25", "k1": 1.2}"#)?;
//! let retriever = config.settings().build(&Material::new(&passages, &queries, None)).unwrap();
//! let best = retriever.search(0..1, 10)[0][0];
//! assert_eq!((retriever.name(), passages[best.passage as usize].id.as_str()), ("bm25", "p2"));
//! # Ok::<(), serde_json::Error>(())
//! ```

mod bm25;
mod dense;
mod embeddings;
mod error;
mod late_interaction;
mod products;
mod registry;
mod retriever;
mod run;
mod search;
mod shards;
mod token_store;
mod top;

pub use bm25::{Bm25, Bm25Parameters};
pub use dense::{Dense, DenseSettings};
pub use embeddings::{EmbeddingCache, Encode, TextKind};
pub use error::{Error, Result};
pub use late_interaction::{LateInteraction, LateInteractionSettings};
pub use registry::{Material, NamedModel, RetrieverConfig, Settings};
pub use retriever::Retriever;
pub use run::{RunFile, RunSettings};
pub use search::bm25_run;
pub use top::{Scored, ranking_order};
