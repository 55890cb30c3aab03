//! Decides which values one training step drops.

use crate::nn::{HeadDropout, LayerDropout};
use whetstone_kernels::Dropout;

/// The dropout of one training step: its rates, and the seed that repeats it after a resume. The
/// default drops nothing.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(not(feature = "train"), allow(dead_code, reason = "only training drops"))]
pub struct StepDropout {
    /// On embeddings, sub-layer outputs and the pooled vector.
    pub hidden: f32,
    /// On attention probabilities.
    pub attention: f32,
    pub seed: u64,
}

impl StepDropout {
    /// Every layer has eight places for masks. The first layer leaves some free, and the embeddings
    /// and the head use those.
    #[cfg(feature = "train")]
    fn place(&self, rate: f32, layer: usize, place: u64) -> Dropout {
        match rate {
            0.0 => Dropout::default(),
            _ => Dropout::new(rate, self.seed, layer as u64 * 8 + place),
        }
    }

    #[cfg(not(feature = "train"))]
    fn place(&self, _rate: f32, _layer: usize, _place: u64) -> Dropout {
        Dropout::default()
    }

    pub(crate) fn of_layer(&self, layer: usize) -> LayerDropout {
        LayerDropout {
            attention: self.place(self.attention, layer, 0),
            attention_output: self.place(self.hidden, layer, 1),
            ffn_output: self.place(self.hidden, layer, 2),
            distances: self.place(self.hidden, layer, 6),
        }
    }

    /// ModernBERT drops attention's output at the rate of its probabilities.
    pub(crate) fn of_pre_norm_layer(&self, layer: usize) -> LayerDropout {
        LayerDropout {
            attention_output: self.place(self.attention, layer, 1),
            ..self.of_layer(layer)
        }
    }

    pub(crate) fn of_embeddings(&self) -> Dropout {
        self.place(self.hidden, 0, 3)
    }

    pub(crate) fn of_head(&self) -> HeadDropout {
        HeadDropout { input: self.place(self.hidden, 0, 5), inner: self.place(self.hidden, 0, 4) }
    }
}
