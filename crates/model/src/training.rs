//! What only training needs from a network: backward passes, freezing, mixing, saving.

use crate::batch::Packed;
use crate::engine::{Engine, StepDropout, values};
use crate::error::Result;
use crate::families::Role;
use crate::late_interaction::{Settings, write_beside};
use crate::network::{PairNetwork, Top};
use crate::parameters::{Parameter, Slot};
use crate::tensor_file::{Unwritten, write_tensors};
use crate::weights::transpose;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use std::path::Path;
use whetstone_records::ModelDir;

impl PairNetwork {
    /// Returns the logit of every pair, `[batch]`. On an engine for training, they are
    /// differentiable.
    pub fn forward(&self, batch: &Packed, dropout: StepDropout, engine: &Engine) -> Tensor<1> {
        self.pass(batch, dropout, engine)
    }

    /// Returns the same, and what comes out of every layer, `[tokens, hidden]`. Of the last one it
    /// is what the first tokens have, `[batch, hidden]`, where the head reads no other.
    pub fn forward_with_states(
        &self,
        batch: &Packed,
        dropout: StepDropout,
        engine: &Engine,
    ) -> (Tensor<1>, Vec<Tensor<2>>) {
        let mut states = Vec::new();
        let logits = self.pass_with(batch, dropout, engine, Some(&mut states));
        (logits, states)
    }

    /// How many encoder layers there are.
    pub fn layers(&self) -> usize {
        self.encoder.spec.layers
    }

    /// The network on another engine. On its own engine, it shares its memory.
    pub fn on(&self, engine: &Engine) -> Self {
        self.clone().fork(engine.device())
    }

    /// The network for scoring: without gradients.
    pub fn for_inference(&self) -> Self {
        self.valid()
    }

    /// Freezes the embeddings from now on: they get no gradient.
    pub fn freeze_embeddings(&mut self) {
        for parameter in self.parameters() {
            if parameter.role == Role::Embedding {
                parameter.slot.freeze();
            }
        }
    }

    /// Moves every parameter a `share` of the way towards that of `other`. With `keep_head`, the
    /// head stays. This follows LM-Cocktail (Xiao et al. 2023): what fine-tuning forgot comes back,
    /// and most of what it learned stays.
    pub fn blend(&mut self, mut other: Self, share: f32, keep_head: bool) {
        for (own, other) in self.parameters().into_iter().zip(other.parameters()) {
            if !(keep_head && own.role == Role::Head) {
                own.slot.blend(other.slot, share);
            }
        }
    }

    /// Writes a complete `model.safetensors` with Hugging Face's names and layouts, or nothing. A
    /// late interaction also gets PyLate's files beside it; what they say comes from `base`, the
    /// folder that training began with, and passages are cut at `max_seq_tokens`.
    pub fn save(&self, folder: &Path, base: &Path, max_seq_tokens: usize) -> Result<()> {
        if let Top::MaxSim(max_sim) = &self.top {
            let settings = Settings::read_or_make(base, Some(max_seq_tokens))?;
            write_beside(folder, &settings, (max_sim, self.encoder.spec.hidden))?;
        }
        self.save_weights(&ModelDir::new(folder).weights())
    }

    /// Writes a complete `model.safetensors` with Hugging Face's names and layouts, or nothing.
    pub fn save_weights(&self, path: &Path) -> Result<()> {
        let mut network = self.clone();
        let parameters = network.parameters().into_iter();
        let tensors = parameters.map(|Parameter { name, slot, .. }| Unwritten {
            name,
            shape: slot.file_shape(),
            values: move || slot.values(),
        });
        // transformers refuses a file whose metadata does not name the framework that wrote it.
        write_tensors(path, tensors.collect(), ("format", "pt"))
    }
}

impl Slot<'_> {
    fn freeze(self) {
        fn freeze<const D: usize>(param: &mut Param<Tensor<D>>) {
            *param = param.clone().set_require_grad(false);
        }
        match self {
            Slot::Table(param) | Slot::Matrix(param) => freeze(param),
            Slot::Vector(param) => freeze(param),
        }
    }

    /// self := self + share · (other − self); the two are slots of the same name.
    fn blend(self, other: Slot, share: f32) {
        fn mix<const D: usize>(param: &mut Param<Tensor<D>>, other: &Param<Tensor<D>>, share: f32) {
            let (own, other) = (param.val().inner(), other.val().inner());
            *param = Param::from_tensor(Tensor::from_inner(own.clone() + (other - own) * share));
        }
        match (self, other) {
            (Slot::Table(own), Slot::Table(other)) | (Slot::Matrix(own), Slot::Matrix(other)) => {
                mix(own, other, share)
            }
            (Slot::Vector(own), Slot::Vector(other)) => mix(own, other, share),
            _ => unreachable!("slots of the same name are of the same kind"),
        }
    }

    /// The values in the file's layout.
    fn values(&self) -> Vec<f32> {
        match self {
            Slot::Table(param) => values(param.val().inner()),
            Slot::Matrix(param) => {
                let [rows, cols] = param.val().dims();
                transpose(&values(param.val().inner()), rows, cols)
            }
            Slot::Vector(param) => values(param.val().inner()),
        }
    }
}
