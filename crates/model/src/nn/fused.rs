//! What GPUs compute in one pass with our kernels, and other devices in burn's own operations.

#[cfg(feature = "train")]
use super::dropout;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use whetstone_kernels::Dropout;
#[cfg(feature = "gpu")]
use whetstone_kernels::gpu::{
    self, LayerDrops, LayerSettings, LayerWeights, LinearWeights, NormWeights, Taken,
};
#[cfg(feature = "gpu")]
use {
    super::product::float_dtype,
    super::{EncoderLayer, LayerDropout},
    whetstone_kernels::Precision,
};

/// The keys of a batch that attention must not see.
#[derive(Clone)]
pub enum HiddenKeys {
    #[cfg(feature = "gpu")]
    Flags {
        /// `[batch, seq]`, 1 for a hidden key, else 0.
        is_hidden: Tensor<2>,
        /// How far a token sees; None for all of the sequence.
        reach: Option<usize>,
    },
    Mask {
        /// `[batch, 1, 1, seq]`, or `[batch, 1, seq, seq]` where tokens see differently.
        mask: Tensor<4, Bool>,
        /// Whether some token sees none at all, not even itself.
        has_blind_tokens: bool,
    },
}

impl HiddenKeys {
    /// # Shapes
    /// - is_hidden: `[batch · seq]`
    pub fn new(is_hidden: Vec<bool>, [batch, seq]: [usize; 2], device: &Device) -> Self {
        #[cfg(feature = "gpu")]
        if gpu::serves(device) {
            let flags: Vec<f32> = is_hidden.into_iter().map(f32::from).collect();
            let is_hidden = Tensor::from_data(TensorData::new(flags, [batch, seq]), device);
            return Self::Flags { is_hidden, reach: None };
        }
        let mask = TensorData::new(is_hidden, [batch, 1, 1, seq]);
        Self::Mask { mask: Tensor::from_data(mask, device), has_blind_tokens: false }
    }

    /// The same for tokens that see only as far as `reach` places. With blind tokens, some see
    /// nothing then.
    pub fn within(&self, reach: usize, has_blind_tokens: bool) -> Self {
        match self {
            #[cfg(feature = "gpu")]
            Self::Flags { is_hidden, .. } => {
                Self::Flags { is_hidden: is_hidden.clone(), reach: Some(reach) }
            }
            Self::Mask { mask, .. } => {
                let [batch, _, _, seq] = mask.dims();
                let is_far = |at: usize| (at / seq).abs_diff(at % seq) > reach;
                let is_far: Vec<bool> = (0..seq * seq).map(is_far).collect();
                let is_far = TensorData::new(is_far, [1, 1, seq, seq]);
                let is_far = Tensor::<4, Bool>::from_data(is_far, &mask.device());
                let all = [batch, 1, seq, seq];
                let mask = mask.clone().expand(all).bool_or(is_far.expand(all));
                Self::Mask { mask, has_blind_tokens }
            }
        }
    }

    pub fn seq(&self) -> usize {
        match self {
            #[cfg(feature = "gpu")]
            Self::Flags { is_hidden, .. } => is_hidden.dims()[1],
            Self::Mask { mask, .. } => mask.dims()[3],
        }
    }

    pub fn device(&self) -> Device {
        match self {
            #[cfg(feature = "gpu")]
            Self::Flags { is_hidden, .. } => is_hidden.device(),
            Self::Mask { mask, .. } => mask.device(),
        }
    }
}

/// Runs a whole layer where one pass over a GPU does; else None.
///
/// # Shapes
/// - x: `[batch, seq, hidden]`
/// - output: `[batch, seq, hidden]`, or `[batch, 1, hidden]` of first tokens
#[cfg(feature = "gpu")]
pub fn layer(
    layer: &EncoderLayer,
    x: &Tensor<3>,
    hidden: &HiddenKeys,
    dropout: LayerDropout,
    (precision, first_only): (Precision, bool),
) -> Option<Tensor<3>> {
    let HiddenKeys::Flags { is_hidden, reach } = hidden else { return None };
    let linear = |linear: &Linear| {
        let bias = linear.bias.as_ref()?.val();
        Some(LinearWeights { matrix: linear.weight.val(), bias })
    };
    let eps = layer.spec.eps;
    let weights = LayerWeights {
        query: linear(&layer.query)?,
        key: linear(&layer.key)?,
        value: linear(&layer.value)?,
        attention_output: linear(&layer.attention_output)?,
        intermediate: linear(&layer.intermediate)?,
        output: linear(&layer.output)?,
        attention_norm: weights(&layer.attention_norm, eps),
        output_norm: weights(&layer.output_norm, eps),
    };
    let drops = LayerDrops {
        attention: dropout.attention,
        attention_output: dropout.attention_output,
        output: dropout.ffn_output,
    };
    let settings = LayerSettings {
        heads: layer.spec.heads,
        reach: *reach,
        dtype: float_dtype(precision),
        first_only,
    };
    Some(gpu::layer(x.clone(), is_hidden.clone(), weights, &drops, settings))
}

/// Attention of every head: softmax(query · keyᵀ · scale) · value.
///
/// # Shapes
/// - query, key, value: `[batch, heads, seq, size]`
/// - output: `[batch, seq, hidden]`
pub fn attention(
    parts: [Tensor<4>; 3],
    scale: f32,
    hidden: &HiddenKeys,
    dropout: Dropout,
) -> Tensor<3> {
    #[cfg(feature = "gpu")]
    if let HiddenKeys::Flags { is_hidden, reach } = hidden {
        return merged(gpu::attention(parts, is_hidden.clone(), (scale, *reach), dropout));
    }
    let [query, key, value] = parts;
    let scores = query.matmul(key.swap_dims(2, 3)); // [batch, heads, seq, seq]
    attend((scores, scale), value, hidden, dropout)
}

/// Puts the heads, `[batch, heads, seq, size]`, side by side, `[batch, seq, hidden]`.
fn merged(heads: Tensor<4>) -> Tensor<3> {
    let [batch, count, seq, size] = heads.dims();
    heads.swap_dims(1, 2).reshape([batch, seq, count * size])
}

/// Returns the values by the weights that the scores give them, each score multiplied by `scale`.
///
/// # Shapes
/// - scores: `[batch, heads, seq, seq]`
/// - value: `[batch, heads, seq, size]`
/// - output: `[batch, seq, hidden]`
pub fn attend(
    (scores, scale): (Tensor<4>, f32),
    value: Tensor<4>,
    hidden: &HiddenKeys,
    dropout: Dropout,
) -> Tensor<3> {
    let [batch, heads, seq, _] = value.dims();
    let weights = match hidden {
        #[cfg(feature = "gpu")]
        HiddenKeys::Flags { is_hidden, reach } => {
            gpu::attention_weights(scores, is_hidden.clone(), (scale, *reach), dropout)
        }
        HiddenKeys::Mask { mask, has_blind_tokens } => {
            let mask = mask.clone().expand([batch, heads, seq, seq]);
            let mut weights = softmax((scores * scale).mask_fill(mask.clone(), -1e9), 3);
            if *has_blind_tokens {
                // As in PyTorch's attention, they take in nothing, and not the mean of all.
                weights = weights.mask_fill(mask, 0.0);
            }
            let weights = weights.reshape([batch * heads * seq, seq]);
            drop(weights, dropout).reshape([batch, heads, seq, seq])
        }
    };
    merged(weights.matmul(value))
}

/// Drops what the CPU's kernels drop.
pub fn drop(x: Tensor<2>, dropout: Dropout) -> Tensor<2> {
    #[cfg(feature = "gpu")]
    if gpu::serves(&x.device()) {
        return gpu::drop(x, dropout);
    }
    #[cfg(feature = "train")]
    return dropout::drop(x, dropout);
    #[cfg(not(feature = "train"))]
    {
        let _ = dropout;
        x
    }
}

/// Normalises rows, `[rows, columns]`.
pub fn normalise((norm, eps): (&LayerNorm, f64), x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "gpu")]
    if gpu::serves(&x.device()) {
        return gpu::layer_norm(x, weights(norm, eps));
    }
    let _ = eps;
    norm.forward(x)
}

/// Normalises rows of dropout(x + the layer's bias) + residual, `[rows, columns]` both.
pub fn add_and_normalise(
    (layer, x): (&Linear, Tensor<2>),
    residual: Tensor<2>,
    (norm, eps): (&LayerNorm, f64),
    dropout: Dropout,
) -> Tensor<2> {
    #[cfg(feature = "gpu")]
    if let (true, Some(bias)) = (gpu::serves(&x.device()), &layer.bias) {
        return gpu::add_and_norm((x, bias.val()), residual, weights(norm, eps), dropout);
    }
    normalise((norm, eps), drop(add_bias(layer, x), dropout) + residual)
}

#[cfg(feature = "gpu")]
fn weights(norm: &LayerNorm, eps: f64) -> NormWeights {
    let beta = norm.beta.as_ref().map(|beta| beta.val());
    NormWeights { gamma: norm.gamma.val(), beta, eps: eps as f32 }
}

/// A linear layer in f32.
pub fn dense(layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "gpu")]
    if gpu::serves(&x.device()) {
        return super::product::linear(layer, x, Precision::F32);
    }
    layer.forward(x)
}

/// Adds a layer's bias to its product, `[rows, columns]`.
pub fn add_bias(layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    match &layer.bias {
        None => x,
        #[cfg(feature = "gpu")]
        Some(bias) if gpu::serves(&x.device()) => gpu::add_bias(x, bias.val()),
        Some(bias) => x + bias.val().unsqueeze(),
    }
}

/// The same, and the exact GELU of that.
pub fn add_bias_and_gelu(layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "gpu")]
    if let (true, Some(bias)) = (gpu::serves(&x.device()), &layer.bias) {
        return gpu::add_bias_and_gelu(x, bias.val());
    }
    gelu(add_bias(layer, x))
}

/// The exact GELU, written out: burn's own has the tanh approximation as its gradient on most
/// backends.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() * ((x / std::f32::consts::SQRT_2).erf() + 1.0) * 0.5
}

/// Takes rows of a table, `[rows, columns]`, by their numbers. Only what is counted has a gradient
/// that is not 0.
pub fn take_rows(table: Tensor<2>, ids: &[u32], is_counted: &[bool], device: &Device) -> Tensor<2> {
    let on = |values: Vec<i32>| {
        let len = values.len();
        Tensor::<1, Int>::from_data(TensorData::new(values, [len]), device)
    };
    let numbers = on(ids.iter().map(|&id| id as i32).collect());
    #[cfg(feature = "gpu")]
    if device.is_autodiff() && table.is_require_grad() && gpu::serves(device) {
        let Taken { places, stretches, starts, rows } = Taken::of(ids, |at| is_counted[at]);
        let [places, stretches, starts, rows] = [places, stretches, starts, rows].map(on);
        let taken = Taken { places, stretches, starts, rows };
        return gpu::take_rows(table, numbers, taken);
    }
    let _ = is_counted;
    table.select(0, numbers) // [taken, columns]
}
