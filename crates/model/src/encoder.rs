use crate::config::BertConfig;
use crate::device::is_fused;
use crate::embeddings::{Embeddings, mask, norm};
use crate::tokenizer::Packed;
use crate::weights::Slot;
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear, LinearConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use whetstone_kernels::{self as kernels, Dropout, LayerSpec, LayerTensors, Precision};

/// The dropout of one training step: its rates, and the seed that makes it the same again after a
/// resume.
#[derive(Clone, Copy, Debug)]
pub struct StepDropout {
    /// On embeddings, sub-layer outputs and the pooled vector.
    pub hidden: f32,
    /// On attention probabilities.
    pub attention: f32,
    pub seed: u64,
}

impl StepDropout {
    /// The mask of one place in the network.
    pub(crate) fn site(&self, rate: f32, layer: usize, place: u64) -> Dropout {
        Dropout::new(rate, self.seed, layer as u64 * 8 + place)
    }
}

/// One transformer layer: self-attention, then the feed-forward part, each added to its input and
/// normalised.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

/// BERT without a head.
#[derive(Module, Debug)]
pub struct Encoder {
    embeddings: Embeddings,
    layers: Vec<EncoderLayer>,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    eps: f32,
    #[module(skip)]
    precision: Precision,
}

/// The encoder's output for a batch, in the layout that suits the device.
pub enum Hidden {
    /// `[tokens, hidden]`.
    Packed(Tensor<2>),
    /// `[batch, seq, hidden]`.
    Padded(Tensor<3>),
}

impl Encoder {
    pub(crate) fn init(config: &BertConfig, device: &Device) -> Self {
        Self {
            embeddings: Embeddings::init(config, device),
            layers: (0..config.num_hidden_layers)
                .map(|_| EncoderLayer::init(config, device))
                .collect(),
            heads: config.num_attention_heads,
            eps: config.layer_norm_eps as f32,
            precision: Precision::F32,
        }
    }

    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Runs the fused layers on burn-flex, plain burn operations elsewhere.
    pub fn forward(&self, batch: &Packed, dropout: Option<StepDropout>, device: &Device) -> Hidden {
        if is_fused(device) {
            Hidden::Packed(self.forward_packed(batch, dropout, false))
        } else {
            Hidden::Padded(self.forward_padded(batch, dropout, device))
        }
    }

    /// Returns the vector of each sequence's first token, `[batch, hidden]`. On burn-flex the last
    /// layer computes no other.
    pub fn forward_first(
        &self,
        batch: &Packed,
        dropout: Option<StepDropout>,
        device: &Device,
    ) -> Tensor<2> {
        if is_fused(device) {
            self.forward_packed(batch, dropout, true)
        } else {
            first(self.forward_padded(batch, dropout, device))
        }
    }

    /// Returns `[tokens, hidden]`, or `[batch, hidden]` where only first tokens are asked for;
    /// burn-flex only.
    fn forward_packed(
        &self,
        batch: &Packed,
        dropout: Option<StepDropout>,
        first_only: bool,
    ) -> Tensor<2> {
        let embedding_dropout = dropout.map(|d| d.site(d.hidden, 0, 3)).unwrap_or_default();
        let mut x = self.embeddings.forward_fused(batch, embedding_dropout, self.eps); // [tokens, hidden]
        for (index, layer) in self.layers.iter().enumerate() {
            let site = |rate: fn(&StepDropout) -> f32, place| {
                dropout.map(|d| d.site(rate(&d), index, place)).unwrap_or_default()
            };
            let spec = LayerSpec {
                starts: batch.starts.clone().into(),
                heads: self.heads,
                eps: self.eps,
                first_only: first_only && index + 1 == self.layers.len(),
                precision: self.precision,
                attention_dropout: site(|d| d.attention, 0),
                output_dropout: site(|d| d.hidden, 1),
                ffn_dropout: site(|d| d.hidden, 2),
            };
            x = kernels::encoder_layer(x, layer.tensors(), spec);
        }
        x
    }

    /// Returns `[batch, seq, hidden]` in plain burn operations, on any device.
    pub(crate) fn forward_padded(
        &self,
        batch: &Packed,
        dropout: Option<StepDropout>,
        device: &Device,
    ) -> Tensor<3> {
        let (padded, is_padding) = pad(batch);
        let (sequences, seq) = (batch.sequences(), batch.longest());
        let embedding_dropout = dropout.map(|d| d.site(d.hidden, 0, 3));
        let x = self.embeddings.forward(&padded, embedding_dropout, device);
        let hidden = x.dims()[1];
        let mut x = x.reshape([sequences, seq, hidden]); // [batch, seq, hidden]
        let is_padding =
            Tensor::<1, Bool>::from_data(TensorData::new(is_padding, [sequences * seq]), device)
                .reshape([sequences, 1, 1, seq]);
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward_padded(
                x,
                &is_padding,
                self.heads,
                dropout.map(|d| (d, index)),
                device,
            );
        }
        x
    }

    pub(crate) fn slots(&mut self, prefix: &str) -> Vec<(String, Slot<'_>)> {
        let mut slots = Vec::new();
        let Embeddings { word, position, token_type, norm } = &mut self.embeddings;
        for (name, table) in [
            ("word_embeddings", &mut word.weight),
            ("position_embeddings", &mut position.weight),
            ("token_type_embeddings", &mut token_type.weight),
        ] {
            slots.push((format!("{prefix}embeddings.{name}.weight"), Slot::Table(table)));
        }
        norm_slots(norm, &format!("{prefix}embeddings.LayerNorm"), &mut slots);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let at = |name: &str| format!("{prefix}encoder.layer.{index}.{name}");
            linear_slots(&mut layer.query, &at("attention.self.query"), &mut slots);
            linear_slots(&mut layer.key, &at("attention.self.key"), &mut slots);
            linear_slots(&mut layer.value, &at("attention.self.value"), &mut slots);
            linear_slots(&mut layer.attention_output, &at("attention.output.dense"), &mut slots);
            norm_slots(&mut layer.attention_norm, &at("attention.output.LayerNorm"), &mut slots);
            linear_slots(&mut layer.intermediate, &at("intermediate.dense"), &mut slots);
            linear_slots(&mut layer.output, &at("output.dense"), &mut slots);
            norm_slots(&mut layer.output_norm, &at("output.LayerNorm"), &mut slots);
        }
        slots
    }
}

impl EncoderLayer {
    fn init(config: &BertConfig, device: &Device) -> Self {
        let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        Self {
            query: linear(hidden, hidden),
            key: linear(hidden, hidden),
            value: linear(hidden, hidden),
            attention_output: linear(hidden, hidden),
            attention_norm: norm(config, device),
            intermediate: linear(hidden, ffn),
            output: linear(ffn, hidden),
            output_norm: norm(config, device),
        }
    }

    fn forward_padded(
        &self,
        x: Tensor<3>,
        is_padding: &Tensor<4, Bool>,
        heads: usize,
        dropout: Option<(StepDropout, usize)>,
        device: &Device,
    ) -> Tensor<3> {
        let [sequences, seq, hidden] = x.dims();
        let split =
            |x: Tensor<3>| x.reshape([sequences, seq, heads, hidden / heads]).swap_dims(1, 2);
        let drop = |x: Tensor<2>, rate: fn(&StepDropout) -> f32, place| match dropout {
            Some((d, index)) if rate(&d) > 0.0 => {
                x.clone() * mask(d.site(rate(&d), index, place), x.dims(), device)
            }
            _ => x,
        };
        let flat = |x: Tensor<3>| x.reshape([sequences * seq, hidden]);
        let deep = |x: Tensor<2>| x.reshape([sequences, seq, hidden]);

        let query = split(self.query.forward(x.clone())); // [batch, heads, seq, hidden / heads]
        let key = split(self.key.forward(x.clone()));
        let value = split(self.value.forward(x.clone()));
        let scores = query.matmul(key.swap_dims(2, 3)) / ((hidden / heads) as f32).sqrt();
        let scores =
            scores.mask_fill(is_padding.clone().expand([sequences, heads, seq, seq]), -1e9);
        let weights = softmax(scores, 3).reshape([sequences * heads * seq, seq]);
        let weights = drop(weights, |d| d.attention, 0).reshape([sequences, heads, seq, seq]);
        let attended = weights.matmul(value).swap_dims(1, 2).reshape([sequences, seq, hidden]);
        let attended = deep(drop(flat(self.attention_output.forward(attended)), |d| d.hidden, 1));
        let x = self.attention_norm.forward(attended + x); // [batch, seq, hidden]
        let ffn = self.output.forward(gelu(self.intermediate.forward(x.clone())));
        let ffn = deep(drop(flat(ffn), |d| d.hidden, 2));
        self.output_norm.forward(ffn + x) // [batch, seq, hidden]
    }

    fn tensors(&self) -> LayerTensors {
        let bias =
            |linear: &Linear| linear.bias.as_ref().expect("BERT's linear layers have a bias").val();
        let beta =
            |norm: &LayerNorm| norm.beta.as_ref().expect("BERT's LayerNorms have a bias").val();
        LayerTensors {
            matrices: [
                self.query.weight.val(),
                self.key.weight.val(),
                self.value.weight.val(),
                self.attention_output.weight.val(),
                self.intermediate.weight.val(),
                self.output.weight.val(),
            ],
            vectors: [
                bias(&self.query),
                bias(&self.key),
                bias(&self.value),
                bias(&self.attention_output),
                self.attention_norm.gamma.val(),
                beta(&self.attention_norm),
                bias(&self.intermediate),
                bias(&self.output),
                self.output_norm.gamma.val(),
                beta(&self.output_norm),
            ],
        }
    }
}

/// The exact GELU, written out: burn's own has the tanh approximation as its gradient on most
/// backends.
fn gelu(x: Tensor<3>) -> Tensor<3> {
    x.clone() * ((x / std::f32::consts::SQRT_2).erf() + 1.0) * 0.5
}

/// The vector of each sequence's first token, `[batch, hidden]`.
pub(crate) fn first(x: Tensor<3>) -> Tensor<2> {
    let [sequences, _, hidden] = x.dims();
    x.slice([0..sequences, 0..1]).reshape([sequences, hidden])
}

impl Hidden {
    /// The mean over each sequence's tokens, row-major `[batch, hidden]`.
    pub(crate) fn mean(self, batch: &Packed) -> Vec<f32> {
        let (values, hidden, stride): (Vec<f32>, usize, Option<usize>) = match self {
            Hidden::Packed(x) => (to_vec(x.clone()), x.dims()[1], None),
            Hidden::Padded(x) => (to_vec(x.clone()), x.dims()[2], Some(x.dims()[1])),
        };
        let mut means = vec![0f32; batch.sequences() * hidden];
        for (index, (mean, span)) in
            means.chunks_exact_mut(hidden).zip(batch.starts.windows(2)).enumerate()
        {
            let len = span[1] - span[0];
            let first = stride.map_or(span[0], |seq| index * seq);
            for row in values[first * hidden..(first + len) * hidden].chunks_exact(hidden) {
                mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            mean.iter_mut().for_each(|sum| *sum /= len as f32);
        }
        means
    }
}

fn to_vec<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("the network computes in f32")
}

/// Returns the batch with every sequence filled up to the longest, and where the filling is.
fn pad(batch: &Packed) -> (Packed, Vec<bool>) {
    let seq = batch.longest();
    let mut padded = Packed::default();
    let mut is_padding = Vec::with_capacity(batch.sequences() * seq);
    for span in batch.starts.windows(2) {
        let fill = seq - (span[1] - span[0]);
        padded.ids.extend(&batch.ids[span[0]..span[1]]);
        padded.types.extend(&batch.types[span[0]..span[1]]);
        is_padding.resize(padded.ids.len(), false);
        // Any id will do: attention never looks at it.
        padded.ids.resize(padded.ids.len() + fill, 0);
        padded.types.resize(padded.ids.len(), 0);
        is_padding.resize(padded.ids.len(), true);
        padded.starts.push(padded.ids.len());
    }
    (padded, is_padding)
}

pub(crate) fn linear_slots<'a>(
    linear: &'a mut Linear,
    name: &str,
    slots: &mut Vec<(String, Slot<'a>)>,
) {
    slots.push((format!("{name}.weight"), Slot::Matrix(&mut linear.weight)));
    vector_slot(linear.bias.as_mut(), format!("{name}.bias"), slots);
}

fn norm_slots<'a>(norm: &'a mut LayerNorm, name: &str, slots: &mut Vec<(String, Slot<'a>)>) {
    slots.push((format!("{name}.weight"), Slot::Vector(&mut norm.gamma)));
    vector_slot(norm.beta.as_mut(), format!("{name}.bias"), slots);
}

fn vector_slot<'a>(
    param: Option<&'a mut Param<Tensor<1>>>,
    name: String,
    slots: &mut Vec<(String, Slot<'a>)>,
) {
    slots.extend(param.map(|param| (name, Slot::Vector(param))));
}
