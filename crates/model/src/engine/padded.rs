//! Pads the sequences of a batch to one length and uses plain burn operations, which run on any
//! device.

use super::{Engine, StepDropout};
use crate::batch::Packed;
use crate::nn::{Encoder, HiddenKeys, Layers, PreNormLayers, Sights, normalise};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Returns `[batch, seq, hidden]`, or `[batch, 1, hidden]` if only first tokens are wanted: then the
/// last layer computes only those. `states` gets what comes out of every layer, `[tokens, hidden]`,
/// and of such a last one `[batch, hidden]`.
pub fn forward(
    encoder: &Encoder,
    batch: &Packed,
    dropout: StepDropout,
    (engine, first_only): (&Engine, bool),
    mut states: Option<&mut Vec<Tensor<2>>>,
) -> Tensor<3> {
    let (device, precision) = (&engine.device, engine.precision_of(&encoder.spec));
    let (sequences, seq) = (batch.sequences(), padded_len(batch, encoder.spec.longest_input));
    let (padded, is_padding) = pad(batch, seq);
    let is_real: Vec<bool> = is_padding.iter().map(|is_padding| !is_padding).collect();
    let x = encoder.embeddings.forward(&padded, &is_real, dropout.of_embeddings(), device);
    let mut x = x.reshape([sequences, seq, encoder.spec.hidden]); // [batch, seq, hidden]
    let is_cut = |index: usize| first_only && index + 1 == encoder.spec.layers;
    let how = |index: usize| (precision, is_cut(index));
    let mut note = |x: &Tensor<3>, index: usize| {
        let Some(states) = &mut states else { return };
        states.push(match is_cut(index) {
            true => first(x.clone()),
            false => real_tokens(x, &is_real, device),
        });
    };
    let hidden = HiddenKeys::new(hidden_keys(batch, seq), [sequences, seq], device);
    match &encoder.layers {
        Layers::PreNorm(PreNormLayers { layers, rotary }) => {
            let size = encoder.spec.hidden / encoder.spec.heads;
            let sights = Sights::new(rotary, size, hidden, batch.seen.is_some());
            for (index, layer) in layers.iter().enumerate() {
                let dropout = dropout.of_pre_norm_layer(index);
                x = layer.forward(x, sights.of(layer), dropout, how(index));
                note(&x, index);
            }
        }
        Layers::Disentangled(shared) => {
            let distances = shared.distances(hidden);
            for (index, layer) in shared.layers.iter().enumerate() {
                let dropout = dropout.of_layer(index);
                x = layer.forward(x, &distances, dropout, how(index));
                note(&x, index);
            }
        }
        Layers::PostNorm(layers) => {
            for (index, layer) in layers.iter().enumerate() {
                let dropout = dropout.of_layer(index);
                x = layer.forward(x, &hidden, dropout, how(index));
                note(&x, index);
            }
        }
    }
    match &encoder.final_norm {
        Some(norm) => {
            let dims @ [sequences, tokens, hidden] = x.dims();
            let flat = x.reshape([sequences * tokens, hidden]);
            normalise((norm, encoder.spec.eps), flat).reshape(dims)
        }
        None => x,
    }
}

/// The vectors of tokens that are no padding, `[tokens, hidden]`.
fn real_tokens(x: &Tensor<3>, is_real: &[bool], device: &Device) -> Tensor<2> {
    let [sequences, seq, hidden] = x.dims();
    let places = is_real.iter().zip(0..).filter(|(is_real, _)| **is_real);
    let places: Vec<i64> = places.map(|(_, place)| place).collect();
    let count = places.len();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), device);
    x.clone().reshape([sequences * seq, hidden]).select(0, places)
}

/// The vector of each sequence's first token, `[batch, hidden]`.
pub fn first(x: Tensor<3>) -> Tensor<2> {
    x.narrow(1, 0, 1).squeeze_dim(1)
}

/// Returns the length that all sequences of a batch are padded to. There are only a few, because a
/// GPU looks for its fastest kernels anew for every shape, and has some that want a multiple of 32.
pub fn padded_len(batch: &Packed, longest_input: usize) -> usize {
    let longest = batch.longest();
    let multiple = if longest <= 128 { 32 } else { 64 };
    longest.next_multiple_of(multiple).min(longest_input.max(longest))
}

/// Returns the batch with every sequence padded to `seq`, and the mask of the padding.
fn pad(batch: &Packed, seq: usize) -> (Packed, Vec<bool>) {
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

/// Returns which places of a padded batch attention must not see: padding, and what the batch hides.
fn hidden_keys(batch: &Packed, seq: usize) -> Vec<bool> {
    let lengths = batch.starts.windows(2).map(|span| span[1] - span[0]);
    let seen = batch.seen.clone().unwrap_or_else(|| lengths.collect());
    seen.iter().flat_map(|seen| (0..seq).map(move |place| place >= *seen)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_padded_to_few_lengths_and_never_beyond_the_positions() {
        let of_length = |len: usize, longest_input: usize| {
            let mut batch = Packed::default();
            batch.push(&vec![1; len], 0);
            batch.end_sequence();
            padded_len(&batch, longest_input)
        };
        let lengths: std::collections::BTreeSet<usize> =
            (1..=512).map(|len| of_length(len, 512)).collect();
        let expected = [32, 64, 96, 128, 192, 256, 320, 384, 448, 512];
        assert_eq!(lengths, expected.into());
        assert_eq!(of_length(70, 80), 80);
    }
}
