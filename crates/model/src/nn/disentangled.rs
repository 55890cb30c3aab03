//! Transformer layers whose attention scores contents and distances apart (DeBERTa: He et al.
//! 2021).

use super::fused::{HiddenKeys, attend, drop, normalise};
use super::product::linear;
use super::{EncoderLayer, LayerDropout, norm};
use crate::spec::{Relative, Spec};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use whetstone_kernels::Precision;

/// Layers that share the vectors of distances.
#[derive(Module, Debug)]
pub struct DisentangledLayers {
    pub(crate) layers: Vec<DisentangledLayer>,
    /// A vector for each distance or bucket of distances.
    pub(crate) distances: Embedding,
    pub(crate) norm: Option<LayerNorm>,
    #[module(skip)]
    relative: Relative,
    #[module(skip)]
    eps: f64,
}

/// A layer with what it needs to look at distances.
#[derive(Module, Debug)]
pub struct DisentangledLayer {
    pub(crate) layer: EncoderLayer,
    /// Keys and queries of distances. None where those of contents serve both, or where no score
    /// needs them.
    pub(crate) position_key: Option<Linear>,
    pub(crate) position_query: Option<Linear>,
    #[module(skip)]
    relative: Relative,
}

/// What all layers share in one batch.
pub struct Distances {
    /// The vectors that a batch of this length needs, `[rows, hidden]`.
    table: Tensor<2>,
    /// The row of every distance that two tokens have, `[2 · seq]`, the greatest first.
    falling: Tensor<1, Int>,
    /// The same, the least first.
    rising: Tensor<1, Int>,
    hidden: HiddenKeys,
}

impl DisentangledLayers {
    pub fn init(spec: &Spec, relative: &Relative, device: &Device) -> Self {
        let layer = |_| DisentangledLayer::init(spec, relative, device);
        Self {
            layers: (0..spec.layers).map(layer).collect(),
            distances: EmbeddingConfig::new(2 * relative.span(), spec.hidden).init(device),
            norm: relative.is_normed.then(|| norm(spec.hidden, spec, device)),
            relative: *relative,
            eps: spec.eps,
        }
    }

    pub fn distances(&self, hidden: HiddenKeys) -> Distances {
        let (seq, device) = (hidden.seq() as i64, hidden.device());
        // One more than there are distances, for `turn`.
        let rows: Vec<usize> =
            (0..2 * seq).map(|place| self.relative.row((place + 1 - seq).min(seq - 1))).collect();
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        let table = self.distances.weight.val().slice(first..last + 1); // [rows, hidden]
        let ids = |rows: Vec<i64>| {
            let len = rows.len();
            Tensor::<1, Int>::from_data(TensorData::new(rows, [len]), &device)
        };
        let rising: Vec<i64> = rows.into_iter().map(|row| (row - first) as i64).collect();
        let last = rising.len() - 1;
        let falling = rising[..last].iter().rev().chain([&rising[0]]).copied().collect();
        Distances {
            table: match &self.norm {
                Some(norm) => normalise((norm, self.eps), table),
                None => table,
            },
            falling: ids(falling),
            rising: ids(rising),
            hidden,
        }
    }
}

impl DisentangledLayer {
    fn init(spec: &Spec, relative: &Relative, device: &Device) -> Self {
        let own = |is_needed: bool| {
            let linear = || LinearConfig::new(spec.hidden, spec.hidden).init(device);
            (is_needed && !relative.is_shared).then(linear)
        };
        Self {
            layer: EncoderLayer::init(spec, device),
            position_key: own(relative.content_to_position),
            position_query: own(relative.position_to_content),
            relative: *relative,
        }
    }

    /// # Shapes
    /// - x: `[batch, seq, hidden]`
    /// - output: `[batch, seq, hidden]`
    pub fn forward(
        &self,
        x: Tensor<3>,
        distances: &Distances,
        dropout: LayerDropout,
        (precision, first_only): (Precision, bool),
    ) -> Tensor<3> {
        let [query, key, value] = self.layer.heads(&x, precision); // [batch, heads, seq, size] each
        let [_, heads, _, size] = query.dims();
        let table = drop(distances.table.clone(), dropout.distances); // [rows, hidden]
        let of_distances = |layer: &Linear, rows: &Tensor<1, Int>| {
            let vectors = linear(layer, table.clone(), precision).select(0, rows.clone());
            let count = rows.dims()[0];
            vectors.reshape([1, count, heads, size]).permute([0, 2, 3, 1]) // [1, heads, size, 2 · seq]
        };
        let mut scores = query.clone().matmul(key.clone().swap_dims(2, 3)); // [batch, heads, seq, seq]
        let mut parts = 1;
        if self.relative.content_to_position {
            let layer = self.position_key.as_ref().unwrap_or(&self.layer.key);
            scores = scores + turn(query.matmul(of_distances(layer, &distances.falling)));
            parts += 1;
        }
        if self.relative.position_to_content {
            let layer = self.position_query.as_ref().unwrap_or(&self.layer.query);
            let by_key = turn(key.matmul(of_distances(layer, &distances.rising)));
            scores = scores + by_key.swap_dims(2, 3);
            parts += 1;
        }
        let scale = 1.0 / ((size * parts) as f32).sqrt();
        let attended = attend((scores, scale), value, &distances.hidden, dropout.attention);
        self.layer.after_attention(x, attended, dropout, (precision, first_only))
    }
}

/// Brings scores by distance, `[batch, heads, seq, 2 · seq]`, to scores by token, `[batch, heads,
/// seq, seq]`: row i begins at column seq - 1 - i. In memory, that is every row one number later.
fn turn(x: Tensor<4>) -> Tensor<4> {
    let [batch, heads, seq, _] = x.dims();
    let flat = x.reshape([batch, heads, 2 * seq * seq]);
    let from = seq - 1;
    let rows = flat.slice([0..batch, 0..heads, from..from + seq * (2 * seq - 1)]);
    rows.reshape([batch, heads, seq, 2 * seq - 1]).slice([0..batch, 0..heads, 0..seq, 0..seq])
}

impl Relative {
    /// Half the rows of the table of distances.
    pub fn span(&self) -> usize {
        self.buckets.unwrap_or(self.reach)
    }

    /// The row of the distance from a key to its query. The near half of the buckets have one
    /// distance each; from there on they widen evenly in the logarithm, up to the reach.
    pub fn row(&self, distance: i64) -> usize {
        let place = match self.buckets {
            Some(buckets) if distance.unsigned_abs() as usize > buckets / 2 => {
                let near = (buckets / 2) as f64;
                let share = (distance.unsigned_abs() as f64 / near).ln()
                    / ((self.reach - 1) as f64 / near).ln();
                distance.signum() * ((share * (near - 1.0)).ceil() + near) as i64
            }
            _ => distance,
        };
        let span = self.span() as i64;
        (place + span).clamp(0, 2 * span - 1) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn distances_have_the_rows_that_transformers_gives_them() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/goldens-deberta-v2.json");
        let goldens: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let relative = Relative {
            absolute: None,
            reach: 512,
            buckets: Some(256),
            content_to_position: true,
            position_to_content: true,
            is_shared: true,
            is_normed: true,
        };
        let expected = goldens["rows"]["rows"].as_array().unwrap();
        assert_eq!(expected.len(), 1023);
        for (distance, row) in (-511..).zip(expected) {
            assert_eq!(Some(relative.row(distance) as u64), row.as_u64(), "{distance}");
        }
        let each = Relative { buckets: None, reach: 24, ..relative };
        assert_eq!([-100, -24, -3, 0, 3, 23, 24].map(|d| each.row(d)), [0, 0, 21, 24, 27, 47, 47]);
    }

    #[test]
    fn turned_scores_stand_where_their_distance_is() {
        let seq = 5;
        let column = |place: usize| (place % (2 * seq)) as f32;
        let values: Vec<f32> = (0..2 * seq * seq).map(column).collect();
        let x = TensorData::new(values, [1, 1, seq, 2 * seq]);
        let turned = turn(Tensor::from_data(x, &Device::flex()));
        let found: Vec<f32> = turned.into_data().try_into_vec().unwrap();
        for (place, found) in found.into_iter().enumerate() {
            let (row, col) = (place / seq, place % seq);
            assert_eq!(found, (col + seq - 1 - row) as f32, "{row} {col}");
        }
    }
}
