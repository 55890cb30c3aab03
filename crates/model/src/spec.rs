//! The structure of a network, in words that no family owns.

use crate::error::{Result, refuse};
use std::path::Path;

/// The shape of a network. A kind on which all families agree has one variant: whoever adds another
/// is led by the compiler to every place in this crate that must handle it. Other crates refuse
/// kinds that they do not know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Rows of the word table.
    pub vocabulary: usize,
    /// Rows of the token type table; 0 if there is none.
    pub token_types: usize,
    pub positions: Positions,
    /// Tokens of the longest input, special tokens included.
    pub longest_input: usize,
    /// Width of the embeddings. A linear layer brings them to `hidden` if the two differ.
    pub embedding: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Width of the feed-forward part of a layer.
    pub ffn: usize,
    pub feed_forward: FeedForward,
    pub norm: NormPlacement,
    /// Added to the variance in every LayerNorm.
    pub eps: f64,
    pub head: HeadKind,
    /// Rates that the model was trained with.
    pub dropout: DropoutRates,
}

/// How a token learns its position.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Positions {
    /// A learned vector for each position; the first token of a sequence has row `first`. Tokens
    /// `padding` have the row of that number and are not counted, even in the midst of a text.
    Absolute { rows: usize, first: usize, padding: Option<u32> },
    /// Attention turns queries and keys by angles that grow with the position (RoPE: Su et al.
    /// 2021).
    Rotary(Rotary),
    /// Attention scores the distance of two tokens apart from their contents (DeBERTa: He et al.
    /// 2021).
    Relative(Relative),
}

/// Scores of distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Rows of a table of positions, where the embeddings have one besides.
    pub absolute: Option<usize>,
    /// Distances beyond count as one.
    pub reach: usize,
    /// How many vectors distances of one sign share; None where each has its own.
    pub buckets: Option<usize>,
    /// Whether a query's contents score the distance.
    pub content_to_position: bool,
    /// Whether a key's contents do.
    pub position_to_content: bool,
    /// Whether distances take the keys and queries of contents.
    pub is_shared: bool,
    /// Whether the vectors of distances are normalised first.
    pub is_normed: bool,
}

/// Rotary positions, and how far the layers see.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotary {
    /// Sets the slowest turn in the layers that see the whole sequence.
    pub global_theta: f64,
    /// The same in the others.
    pub local_theta: f64,
    /// How many tokens the others see on either side.
    pub reach: usize,
    /// Every so many-th layer from the first on sees the whole sequence.
    pub global_every: usize,
}

impl Rotary {
    /// Whether a layer, counted from 0, sees the whole sequence.
    pub fn is_global(&self, layer: usize) -> bool {
        layer.is_multiple_of(self.global_every)
    }
}

/// Where LayerNorm stands in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormPlacement {
    /// After each residual.
    AfterResidual,
    /// Before each sub-layer but the very first, and once after the last. It has no bias.
    BeforeSublayer,
}

/// The function between the two linear layers of the feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedForward {
    /// The exact one, with erf.
    Gelu,
    /// The same of one half, times the other half (GeGLU: Shazeer 2020), without biases.
    GeGlu,
}

/// How the last layer's vectors become a logit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadKind {
    /// The first token's vector through a linear layer, tanh, and a linear layer.
    FirstTokenTanh,
    /// The same, with dropout before each of the two linear layers instead of the second alone.
    FirstTokenDropTanh,
    /// The same with GELU in place of tanh.
    FirstTokenDropGelu,
    /// As [`HeadKind::FirstTokenTanh`], with GELU in place of tanh.
    FirstTokenGelu,
    /// The same with max(x, 0).
    FirstTokenRelu,
    /// The pooled vector through a linear layer with or without bias, GELU, LayerNorm, and a linear
    /// layer.
    PooledGeluNorm { pooling: Pooling, bias: bool },
}

/// How token vectors become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    FirstToken,
    Mean,
}

impl HeadKind {
    /// Which vector the head reads.
    pub fn pooling(self) -> Pooling {
        match self {
            HeadKind::FirstTokenTanh
            | HeadKind::FirstTokenDropTanh
            | HeadKind::FirstTokenDropGelu
            | HeadKind::FirstTokenGelu
            | HeadKind::FirstTokenRelu => Pooling::FirstToken,
            HeadKind::PooledGeluNorm { pooling, .. } => pooling,
        }
    }
}

/// Shares of values that training drops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutRates {
    /// Of embeddings, sub-layer outputs and the pooled vector.
    pub hidden: f32,
    /// Of attention probabilities.
    pub attention: f32,
}

/// The fewest tokens that a pair is cut to.
pub(crate) const SHORTEST_INPUT: usize = 8;
/// More layers than any encoder has: a damaged config must not exhaust the memory.
const MOST_LAYERS: usize = 1024;

impl Spec {
    /// Whether kernels compute its layers. Where there are none, it runs padded on every device.
    pub(crate) fn has_kernels(&self) -> bool {
        match self.positions {
            Positions::Absolute { .. } | Positions::Rotary(_) => true,
            Positions::Relative(_) => false,
        }
    }

    /// Refuses impossible sizes. `path` is the config that they come from. The keys are those that
    /// Hugging Face's encoders share.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        for (key, value) in [
            ("vocab_size", self.vocabulary),
            ("embedding_size", self.embedding),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("intermediate_size", self.ffn),
        ] {
            if value == 0 {
                return refuse(path, key, "positive", value);
            }
        }
        if self.layers > MOST_LAYERS {
            return refuse(path, "num_hidden_layers", "at most 1024", self.layers);
        }
        if self.hidden == 0 || !self.hidden.is_multiple_of(self.heads) {
            return refuse(path, "hidden_size", "a multiple of num_attention_heads", self.hidden);
        }
        if self.longest_input < SHORTEST_INPUT {
            return refuse(path, "max_position_embeddings", "at least 8", self.longest_input);
        }
        for (key, rate) in [
            ("hidden_dropout_prob", self.dropout.hidden),
            ("attention_probs_dropout_prob", self.dropout.attention),
        ] {
            if !(0.0..1.0).contains(&rate) {
                return refuse(path, key, "in [0, 1)", rate);
            }
        }
        if !(self.eps > 0.0 && self.eps < 1.0) {
            return refuse(path, "layer_norm_eps", "in (0, 1)", self.eps);
        }
        Ok(())
    }
}
