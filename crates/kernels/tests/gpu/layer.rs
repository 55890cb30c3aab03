//! A whole layer against its parts in plain operations.

use super::{Inputs, device, factors, inputs, normalised, products_agree, run};
use burn::tensor::activation::softmax;
use burn::tensor::{DType, FloatDType, Tensor, TensorData};
use whetstone_kernels::Dropout;
use whetstone_kernels::gpu::{
    LayerDrops, LayerSettings, LayerWeights, LinearWeights, NormWeights, layer,
};

/// A small layer.
const BATCH: usize = 2;
const SEQ: usize = 40;
/// How many tokens of a sequence ask the others where only the first comes out.
const ASKING: usize = 32;
const HEADS: usize = 2;
const SIZE: usize = 4;
const HIDDEN: usize = HEADS * SIZE;
const FFN: usize = 12;

/// The input and the parameters of a layer: six matrices, their biases, and two norms.
fn layer_inputs() -> Inputs {
    let (square, vector): (&[usize], &[usize]) = (&[HIDDEN, HIDDEN], &[HIDDEN]);
    let mut shapes = vec![&[BATCH, SEQ, HIDDEN], square, square, square, square];
    shapes.extend([&[HIDDEN, FFN][..], &[FFN, HIDDEN]]);
    shapes.extend([vector, vector, vector, vector, &[FFN], vector]);
    shapes.extend([vector; 4]);
    let mut all = inputs(&shapes);
    // Sums of so many products then stay near 1, as in a trained network.
    for (_, matrix) in &mut all[1..7] {
        matrix.iter_mut().for_each(|x| *x /= 4.0);
    }
    all
}

fn layer_drops() -> LayerDrops {
    LayerDrops {
        attention: Dropout::new(0.1, 3, 8),
        attention_output: Dropout::new(0.2, 4, 9),
        output: Dropout::new(0.3, 5, 10),
    }
}

/// Whether attention sees no such key, of both sequences one after the other.
fn is_hidden_key(key: usize) -> bool {
    key >= 2 * SEQ - 3
}

/// The nth matrix of a layer and its bias.
fn linear(leaves: &[Tensor<1>], index: usize) -> LinearWeights {
    let bias = leaves[7 + index].clone();
    let columns = bias.dims()[0];
    LinearWeights { matrix: leaves[1 + index].clone().reshape([-1, columns as i32]), bias }
}

fn whole_layer(leaves: &[Tensor<1>], dtype: FloatDType, first_only: bool) -> Tensor<1> {
    let norm = |gamma: usize| NormWeights {
        gamma: leaves[gamma].clone(),
        beta: Some(leaves[gamma + 1].clone()),
        eps: 1e-5,
    };
    let weights = LayerWeights {
        query: linear(leaves, 0),
        key: linear(leaves, 1),
        value: linear(leaves, 2),
        attention_output: linear(leaves, 3),
        intermediate: linear(leaves, 4),
        output: linear(leaves, 5),
        attention_norm: norm(13),
        output_norm: norm(15),
    };
    let hides: Vec<f32> = (0..2 * SEQ).map(|key| f32::from(is_hidden_key(key))).collect();
    let hides = TensorData::new(hides, [BATCH, SEQ]);
    let hides = Tensor::<2>::from_data(hides, &leaves[0].device().inner());
    let x = leaves[0].clone().reshape([BATCH, SEQ, HIDDEN]);
    let settings = LayerSettings { heads: HEADS, reach: None, dtype, first_only };
    layer(x, hides, weights, &layer_drops(), settings).reshape([-1])
}

/// A layer in plain operations.
fn plain_layer(leaves: &[Tensor<1>], first_only: bool) -> Tensor<1> {
    let drops = layer_drops();
    let (asking, wanted) = if first_only { (ASKING, 1) } else { (SEQ, SEQ) };
    let through = |x: Tensor<2>, index: usize| {
        let LinearWeights { matrix, bias } = linear(leaves, index);
        x.matmul(matrix) + bias.unsqueeze()
    };
    let kept = |x: Tensor<2>, dropout: Dropout| {
        let factors = factors(dropout, &x.clone().reshape([-1]));
        x.clone() * factors.reshape(x.dims())
    };
    let norm = |x: Tensor<2>, gamma: usize| {
        normalised(x, leaves[gamma].clone(), Some(leaves[gamma + 1].clone()))
    };
    let x = leaves[0].clone().reshape([BATCH * SEQ, HIDDEN]);
    let [query, key, value] = [0, 1, 2]
        .map(|index| through(x.clone(), index).reshape([BATCH, SEQ, HEADS, SIZE]).swap_dims(1, 2));
    let query = query.narrow(2, 0, asking);
    let mask = (0..BATCH * HEADS * asking * SEQ).map(|at| {
        if is_hidden_key(at / (HEADS * asking * SEQ) * SEQ + at % SEQ) { -1e9 } else { 0.0 }
    });
    let mask = TensorData::new(mask.collect::<Vec<f32>>(), [BATCH, HEADS, asking, SEQ]);
    let mask = Tensor::<4>::from_data(mask, &x.device());
    let scores = query.matmul(key.swap_dims(2, 3)) / (SIZE as f32).sqrt() + mask;
    let weights = softmax(scores, 3).reshape([BATCH * HEADS * asking, SEQ]);
    let weights = kept(weights, drops.attention).reshape([BATCH, HEADS, asking, SEQ]);
    let attended = weights.matmul(value).swap_dims(1, 2); // [batch, asking, heads, size]
    let attended = attended.narrow(1, 0, wanted).reshape([BATCH * wanted, HIDDEN]);
    let x = x.reshape([BATCH, SEQ, HIDDEN]).narrow(1, 0, wanted).reshape([BATCH * wanted, HIDDEN]);
    let x = norm(kept(through(attended, 3), drops.attention_output) + x, 13);
    let inner = through(x.clone(), 4);
    let inner = inner.clone() * ((inner / std::f32::consts::SQRT_2).erf() + 1.0) * 0.5;
    norm(kept(through(inner, 5), drops.output) + x, 15).reshape([-1])
}

#[test]
fn a_layer_computes_what_its_parts_do() {
    for first_only in [false, true] {
        let ours = |leaves: &[Tensor<1>]| whole_layer(leaves, FloatDType::F32, first_only);
        products_agree(&layer_inputs(), ours, |leaves| plain_layer(leaves, first_only));
    }
}

#[test]
fn bfloat16_changes_a_layer_and_its_gradients_a_little() {
    if !device().supports_dtype(DType::BF16) {
        return;
    }
    let inputs = layer_inputs();
    for first_only in [false, true] {
        let [exact, rounded] = [FloatDType::F32, FloatDType::BF16]
            .map(|dtype| run(device(), &inputs, |leaves| whole_layer(leaves, dtype, first_only)));
        assert_eq!(exact.len(), rounded.len());
        assert_ne!(exact[0], rounded[0]);
        for (index, (exact, rounded)) in exact.iter().zip(&rounded).enumerate() {
            let norm =
                |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
            let off = norm(&mut exact.iter().zip(rounded).map(|(a, b)| a - b));
            // The gradient of the keys' bias is 0: a softmax does not see what all its scores share.
            let share = off / norm(&mut exact.iter().copied()).max(0.3);
            // bfloat16 keeps 8 bits, and a dozen roundings follow each other.
            assert!(share < 5e-2, "{first_only} {index}: {share}");
        }
    }
}
