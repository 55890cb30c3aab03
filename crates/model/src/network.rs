//! A network that scores pairs: an encoder, and what makes a score of its vectors.

use crate::batch::Packed;
use crate::engine::{Engine, StepDropout, values};
use crate::error::{Error, Result};
use crate::families::{Architecture, Family, Names};
use crate::labels::{self, output};
use crate::late_interaction::{Settings, load_network};
use crate::nn::{Encoder, Head, MaxSim};
use crate::parameters::Parameter;
use crate::spec::{HeadKind, Pooling, Spec};
use crate::weights::{self, Stored, Tensors};
use burn::module::Module;
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::path::Path;
use whetstone_kernels::Precision;

/// A network that gives a pair of texts one score: the logit of a cross-encoder, or the maximum
/// similarity of a late interaction.
#[derive(Module, Debug)]
pub struct PairNetwork {
    pub(crate) encoder: Encoder,
    pub(crate) top: Top,
    #[module(skip)]
    family: &'static Family,
}

/// What makes a score of an encoder's vectors.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a network has one")]
pub(crate) enum Top {
    Head(Head),
    MaxSim(MaxSim),
}

/// Standard deviation of a fresh head: BERT's `initializer_range`.
const HEAD_STD: f32 = 0.02;

impl PairNetwork {
    /// Loads a model folder that has a relevance head, or one of a late interaction.
    ///
    /// # Errors
    /// [`Error::NoHead`] for an encoder alone; names, shapes and files as in [`Error`].
    pub fn load(model_dir: &Path, engine: &Engine) -> Result<Self> {
        match Settings::read(model_dir)? {
            Some(settings) => Self::load_late(model_dir, &settings, engine),
            None => Self::load_label(model_dir, None, engine),
        }
    }

    /// Loads a model folder to train it as late interaction. An encoder that is none yet compares
    /// its own vectors.
    pub fn load_or_make_late(model_dir: &Path, engine: &Engine) -> Result<Self> {
        Self::load_late(model_dir, &Settings::read_or_make(model_dir, None)?, engine)
    }

    fn load_late(model_dir: &Path, settings: &Settings, engine: &Engine) -> Result<Self> {
        let family = Architecture::read(model_dir)?.family;
        let (encoder, max_sim) = load_network(model_dir, settings, engine)?;
        Ok(Self { encoder, top: Top::MaxSim(max_sim), family })
    }

    /// Loads a cross-encoder, with the score of a label where the head has several: its name, its
    /// number, or the difference of two.
    pub fn load_label(model_dir: &Path, label: Option<&str>, engine: &Engine) -> Result<Self> {
        let architecture = Architecture::read(model_dir)?;
        let tensors = weights::read(model_dir, &architecture)?;
        if !tensors.contains_key(&output(&architecture.family.names, "weight")) {
            return Err(Error::NoHead { path: model_dir.into() });
        }
        Self::from_tensors(model_dir, architecture, tensors, (label, engine))
    }

    /// Loads a model folder to train it. If it has no relevance head, or one of several labels and
    /// none is named, makes one from `seed`.
    pub fn load_or_init_head(
        model_dir: &Path,
        label: Option<&str>,
        seed: u64,
        engine: &Engine,
    ) -> Result<Self> {
        let architecture = Architecture::read(model_dir)?;
        let path = weights::place(model_dir);
        let mut tensors = weights::read(model_dir, &architecture)?;
        let (names, spec) = (&architecture.family.names, &architecture.spec);
        if label.is_none() {
            labels::drop_several(&mut tensors, names);
        }
        let has_head = tensors.contains_key(&output(names, "weight"));
        if label.is_some() && !has_head {
            return Err(Error::NoHead { path: model_dir.into() });
        }
        let word = tensors.get(&format!("{}.weight", names.word));
        if let (Some(word), false) = (word, has_head) {
            // The config's width counts only once a tensor confirms it.
            word.expect_shape(&path, &[spec.vocabulary, spec.embedding])?;
            add_head(&mut tensors, names, spec, seed);
        }
        Self::from_tensors(model_dir, architecture, tensors, (label, engine))
    }

    fn from_tensors(
        model_dir: &Path,
        architecture: Architecture,
        mut tensors: Tensors,
        (label, engine): (Option<&str>, &Engine),
    ) -> Result<Self> {
        let path = weights::place(model_dir);
        labels::reduce(&mut tensors, &architecture.family.names, model_dir, label)?;
        let mut network = Self::without_values(architecture, engine);
        weights::fill(network.parameters(), tensors, &path, engine)?;
        Ok(network)
    }

    /// A network of which only the shapes are known. burn draws values when they are first read.
    pub(crate) fn without_values(
        Architecture { family, spec }: Architecture,
        engine: &Engine,
    ) -> Self {
        Self {
            encoder: Encoder::init(&spec, engine.device()),
            top: Top::Head(Head::init(&spec, engine.device())),
            family,
        }
    }

    /// The precision of its large products, as in [`Engine::precision_of`].
    pub fn precision(&self, engine: &Engine) -> Precision {
        engine.precision_of(&self.encoder.spec)
    }

    /// The engine that scores pairs again, as in [`Engine::exact`].
    pub fn exact(&self, engine: &Engine) -> Option<Engine> {
        engine.exact(&self.encoder.spec)
    }

    /// Returns the score of every pair.
    pub fn logits(&self, batch: &Packed, engine: &Engine) -> Vec<f32> {
        values(self.pass(batch, StepDropout::default(), engine))
    }

    /// Returns the score of every pair, `[batch]`.
    pub(crate) fn pass(&self, batch: &Packed, dropout: StepDropout, engine: &Engine) -> Tensor<1> {
        self.pass_with(batch, dropout, engine, None)
    }

    /// The same. `states` gets what comes out of every layer of a cross-encoder.
    pub(crate) fn pass_with(
        &self,
        batch: &Packed,
        dropout: StepDropout,
        engine: &Engine,
        states: Option<&mut Vec<Tensor<2>>>,
    ) -> Tensor<1> {
        match &self.top {
            Top::Head(head) => {
                let pooled = match head.pooling() {
                    Pooling::FirstToken => {
                        engine.first_tokens(&self.encoder, batch, dropout, states)
                    }
                    Pooling::Mean => engine.means(&self.encoder, batch, dropout, states),
                }; // [batch, hidden]
                head.forward(pooled, dropout.of_head()) // [batch]
            }
            Top::MaxSim(max_sim) => {
                let (rows, stride) = engine.all_tokens(&self.encoder, batch, dropout).rows();
                max_sim.forward(rows, batch, stride) // [batch]
            }
        }
    }

    /// Every parameter that training moves, under its Hugging Face name.
    pub fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut parameters = self.encoder.parameters(&self.family.names);
        if let Top::Head(head) = &mut self.top {
            parameters.extend(head.parameters(&self.family.names));
        }
        parameters
    }
}

/// Adds the head's last layer, and what stands before it if there is none.
fn add_head(tensors: &mut Tensors, names: &Names, spec: &Spec, seed: u64) {
    let hidden = spec.hidden;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = |len: usize| -> Vec<f32> {
        (0..len).map(|_| HEAD_STD * standard_normal(&mut rng)).collect()
    };
    let mut add = |part: &str, kind: &str, shape: Vec<usize>, values: Vec<f32>| {
        let name = format!("{part}.{kind}");
        tensors.entry(name.clone()).or_insert(Stored { file_name: name, shape, values });
    };
    add(names.head_output, "weight", vec![1, hidden], normal(hidden));
    add(names.head_output, "bias", vec![1], vec![0.0]);
    add(names.head_dense, "weight", vec![hidden, hidden], normal(hidden * hidden));
    if !matches!(spec.head, HeadKind::PooledGeluNorm { bias: false, .. }) {
        add(names.head_dense, "bias", vec![hidden], vec![0.0; hidden]);
    }
    if let Some(names) = &names.pre_norm {
        add(names.head_norm, "weight", vec![hidden], vec![1.0; hidden]);
    }
}

/// Box & Muller 1958.
fn standard_normal(rng: &mut ChaCha8Rng) -> f32 {
    let mut uniform = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let (u, v) = (1.0 - uniform(), uniform());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}
