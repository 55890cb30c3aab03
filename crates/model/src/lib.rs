//! The network of Whetstone in burn: BERT from Hugging Face folders, as a cross-encoder that scores
//! a pair and as a bi-encoder that embeds a text, with the tokenizer and the device that they run
//! on.

mod bi_encoder;
mod config;
mod cross_encoder;
mod device;
mod embeddings;
mod encoder;
mod error;
mod score;
mod tokenizer;
mod weights;

pub use bi_encoder::BiEncoder;
/// burn's device: a value, chosen at run time.
pub use burn::tensor::Device;
pub use config::BertConfig;
pub use cross_encoder::{CrossEncoder, CrossEncoderNetwork, has_head};
pub use device::{DeviceName, open_device, open_devices};
pub use encoder::StepDropout;
pub use error::{Error, Result};
pub use tokenizer::{Packed, PairTokenizer, Tokens};
pub use weights::Slot;
pub use whetstone_kernels::Precision;
