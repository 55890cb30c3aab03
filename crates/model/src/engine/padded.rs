//! Pads every sequence to the longest and uses plain burn operations, which run on any device.

use super::StepDropout;
use crate::batch::Packed;
use crate::nn::{Encoder, Layers, PreNormLayers, Sights};
use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Returns `[batch, seq, hidden]`.
pub fn forward(
    encoder: &Encoder,
    batch: &Packed,
    dropout: StepDropout,
    device: &Device,
) -> Tensor<3> {
    let (padded, is_padding) = pad(batch);
    let (sequences, seq) = (batch.sequences(), batch.longest());
    let x = encoder.embeddings.forward(&padded, dropout.of_embeddings(), device); // [batch · seq, hidden]
    let mut x = x.reshape([sequences, seq, encoder.spec.hidden]); // [batch, seq, hidden]
    let is_padding =
        Tensor::<1, Bool>::from_data(TensorData::new(is_padding, [sequences * seq]), device)
            .reshape([sequences, 1, 1, seq]); // [batch, 1, 1, seq]
    match &encoder.layers {
        Layers::PreNorm(PreNormLayers { layers, rotary }) => {
            let sights = Sights::new(rotary, encoder.spec.hidden / encoder.spec.heads, &is_padding);
            for (index, layer) in layers.iter().enumerate() {
                let dropout = dropout.of_pre_norm_layer(index);
                x = layer.forward(x, sights.of(layer), dropout); // [batch, seq, hidden]
            }
        }
        Layers::PostNorm(layers) => {
            for (index, layer) in layers.iter().enumerate() {
                x = layer.forward(x, &is_padding, dropout.of_layer(index)); // [batch, seq, hidden]
            }
        }
    }
    match &encoder.final_norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

/// The vector of each sequence's first token, `[batch, hidden]`.
pub fn first(x: Tensor<3>) -> Tensor<2> {
    let [sequences, _, hidden] = x.dims();
    x.slice([0..sequences, 0..1]).reshape([sequences, hidden])
}

/// Returns the batch with every sequence padded to the longest, and the mask of the padding.
fn pad(batch: &Packed) -> (Packed, Vec<bool>) {
    let seq = batch.longest();
    let mut padded = Packed::default();
    let mut is_padding = Vec::with_capacity(batch.sequences() * seq);
    for span in batch.starts.windows(2) {
        let fill = seq - (span[1] - span[0]);
        padded.ids.extend(&batch.ids[span[0]..span[1]]);
        padded.types.extend(&batch.types[span[0]..span[1]]);
        is_padding.resize(padded.ids.len(), false);
        // Any id will do: attention ignores it.
        padded.ids.resize(padded.ids.len() + fill, 0);
        padded.types.resize(padded.ids.len(), 0);
        is_padding.resize(padded.ids.len(), true);
        padded.starts.push(padded.ids.len());
    }
    (padded, is_padding)
}
