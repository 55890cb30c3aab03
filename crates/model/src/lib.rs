//! Hugging Face networks in burn: a cross-encoder that scores a pair, a bi-encoder that embeds a text
//! and a late interaction that embeds each token, with their tokenizer and the engine that runs
//! them.
//!
//! A program that reranks needs only [`Reranker`]. The feature `train` adds what training needs:
//! backward passes, dropout, the optimizer's step, saving.

mod batch;
mod bi_encoder;
mod cross_encoder;
mod description;
mod engine;
mod error;
mod families;
mod file;
mod footprint;
mod group;
mod header;
mod kept_scores;
mod labels;
mod late_interaction;
mod near_ties;
mod network;
mod nn;
mod numbering;
mod parameters;
mod reranker;
mod scorer;
mod sentence;
mod spec;
#[cfg(feature = "train")]
mod tensor_file;
mod tokenizer;
mod tokenizer_files;
#[cfg(feature = "train")]
mod training;
mod weights;

pub use batch::{Compared, Packed};
pub use bi_encoder::BiEncoder;
pub use cross_encoder::CrossEncoder;
pub use description::{
    BiEncoderDescription, Description, LateInteractionDescription, TokenizerDescription,
};
#[cfg(feature = "train")]
pub use engine::{AdamWState, Reading, StepDropout};
pub use engine::{
    DeviceName, Engine, Placement, Surveyed, devices, is_trying_out, longest_text_tokens,
};
pub use error::{Error, Result};
pub use families::{
    Architecture, ConfigFields, Export, Family, Names, Piece, PreNormNames, RelativeNames, Role,
    Template,
};
pub use footprint::{Fitting, TrainingBatch, largest_tensor};
pub use kept_scores::KeptScores;
pub use labels::{HeadStart, head_start};
pub use late_interaction::{
    AroundNetwork, LateInteraction, Projection, TokenNetwork, TokenVectors, dot, max_similarity,
};
pub use near_ties::near_ties;
pub use network::PairNetwork;
pub use parameters::{Parameter, Slot};
pub use reranker::{Ranked, Reranker, RerankerOptions};
pub use scorer::Scorer;
pub use spec::{
    DropoutRates, FeedForward, HeadKind, NormPlacement, Pooling, Positions, Relative, Rotary, Spec,
};
#[cfg(feature = "train")]
pub use tensor_file::{Unwritten, write_tensors};
pub use tokenizer::{PairTokenizer, Tokens};
pub use tokenizer_files::read_tokenizer;
pub use weights::{PROJECTION, Stored, Tensors, transpose};
#[cfg(feature = "train")]
pub use whetstone_kernels::AdamWStep;
pub use whetstone_kernels::{Precision, Rotation};
