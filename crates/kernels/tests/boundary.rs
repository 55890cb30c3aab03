//! What a caller may give: shapes that fit, an empty batch, one token; and what is refused.

use burn::tensor::{Device, Tensor};
use whetstone_kernels::{
    Dropout, EmbeddingSpec, LayerSpec, LayerTensors, Precision, embeddings, encoder_layer,
};

const HIDDEN: usize = 6;
const FFN: usize = 10;

fn ones<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::ones(shape, &Device::flex())
}

fn layer() -> LayerTensors {
    let square = || ones([HIDDEN, HIDDEN]);
    LayerTensors {
        matrices: [
            square(),
            square(),
            square(),
            square(),
            ones([HIDDEN, FFN]),
            ones([FFN, HIDDEN]),
        ],
        vectors: std::array::from_fn(|i| ones([if i == 6 { FFN } else { HIDDEN }])),
    }
}

fn spec(starts: &[usize]) -> LayerSpec {
    LayerSpec {
        starts: starts.into(),
        heads: 3,
        eps: 1e-12,
        first_only: false,
        precision: Precision::F32,
        recompute: false,
        attention_dropout: Dropout::default(),
        output_dropout: Dropout::default(),
        ffn_dropout: Dropout::default(),
    }
}

fn embed(rows: &[[u32; 3]]) -> Tensor<2> {
    let spec = EmbeddingSpec { rows: rows.into(), eps: 1e-12, dropout: Dropout::default() };
    let tables = [ones([5, HIDDEN]), ones([2, HIDDEN]), ones([4, HIDDEN])];
    embeddings(tables, ones([HIDDEN]), ones([HIDDEN]), spec)
}

#[test]
fn an_empty_batch_and_one_token_are_batches() {
    for precision in [Precision::F32, Precision::Bf16] {
        for first_only in [false, true] {
            for tokens in [0, 1] {
                let starts: Vec<usize> = (0..=tokens).collect();
                let spec = LayerSpec { first_only, precision, ..spec(&starts) };
                let out = encoder_layer(ones([tokens, HIDDEN]), layer(), spec);
                assert_eq!(out.dims(), [tokens, HIDDEN]);
            }
        }
    }
    assert_eq!(embed(&[]).dims(), [0, HIDDEN]);
    assert_eq!(embed(&[[4, 1, 3]]).dims(), [1, HIDDEN]);
}

#[test]
fn a_part_of_a_larger_tensor_and_a_transposed_one_are_read_as_they_are() {
    let values: Vec<f32> = (0..60).map(|i| (i * i % 17) as f32).collect();
    let all = Tensor::<1>::from_floats(values.as_slice(), &Device::flex());
    let rows = all.clone().reshape([10, HIDDEN]);
    let part = rows.clone().slice([2..5, 0..HIDDEN]);
    let copy = Tensor::from_data(part.clone().into_data(), &Device::flex());
    let turned = rows.clone().transpose().reshape([10, HIDDEN]).transpose();
    let straight = Tensor::from_data(turned.clone().into_data(), &Device::flex());
    let out = |x: Tensor<2>| encoder_layer(x, layer(), spec(&[0, 1, 3])).into_data();
    assert_eq!(out(part), out(copy));
    let out = |x: Tensor<2>| {
        let tensors = LayerTensors {
            matrices: layer()
                .matrices
                .map(|matrix| if matrix.dims() == [HIDDEN, FFN] { x.clone() } else { matrix }),
            ..layer()
        };
        encoder_layer(rows.clone().slice([0..3, 0..HIDDEN]), tensors, spec(&[0, 3])).into_data()
    };
    assert_eq!(out(turned), out(straight));
}

#[test]
#[should_panic(expected = "`starts` must rise from 0 to the number of tokens, 3, got [0, 2]")]
fn sequences_that_leave_tokens_over_are_refused() {
    encoder_layer(ones([3, HIDDEN]), layer(), spec(&[0, 2]));
}

#[test]
#[should_panic(expected = "`starts` must rise from 0 to the number of tokens, 3, got [0, 2, 2, 3]")]
fn an_empty_sequence_is_refused() {
    encoder_layer(ones([3, HIDDEN]), layer(), spec(&[0, 2, 2, 3]));
}

#[test]
#[should_panic(expected = "6 columns do not divide into 4 heads")]
fn heads_that_do_not_divide_the_columns_are_refused() {
    encoder_layer(ones([3, HIDDEN]), layer(), LayerSpec { heads: 4, ..spec(&[0, 3]) });
}

#[test]
#[should_panic(expected = "matrix 5 is [10, 5], not [10, 6]")]
fn a_matrix_of_another_shape_is_refused() {
    let mut tensors = layer();
    tensors.matrices[5] = ones([FFN, HIDDEN - 1]);
    encoder_layer(ones([3, HIDDEN]), tensors, spec(&[0, 3]));
}

#[test]
#[should_panic(expected = "vector 9 is [7], not [6]")]
fn a_vector_of_another_length_is_refused() {
    let mut tensors = layer();
    tensors.vectors[9] = ones([HIDDEN + 1]);
    encoder_layer(ones([3, HIDDEN]), tensors, spec(&[0, 3]));
}

#[test]
#[should_panic(expected = "the word table has 5 rows, a token asks for row 5")]
fn a_token_outside_of_the_vocabulary_is_refused() {
    embed(&[[0, 0, 0], [5, 0, 1]]);
}

#[cfg(feature = "train")]
mod train {
    use super::*;
    use whetstone_kernels::{AdamWStep, adamw, squared_norm};

    const STEP: AdamWStep = AdamWStep {
        lr: 0.5,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        correction1: 0.1,
        correction2_sqrt: 0.031_622_78,
        grad_scale: 1.0,
    };

    #[test]
    fn the_optimizer_leaves_what_lies_around_its_tensor() {
        let all = Tensor::<1>::from_floats([9.0, 1.0, 1.0, 1.0, 9.0], &Device::flex());
        let zeros = || Tensor::<1>::zeros([3], &Device::flex());
        let (weight, first, _) = adamw(all.clone().slice(1..4), ones([3]), zeros(), zeros(), STEP);
        // The first step of Adam is the learning rate against the gradient.
        let weight: Vec<f32> = weight.into_data().try_into_vec().unwrap();
        assert!(weight.iter().all(|w| (w - 0.5).abs() < 1e-5), "{weight:?}");
        assert_eq!(first.dims(), [3]);
        let all: Vec<f32> = all.into_data().try_into_vec().unwrap();
        assert_eq!(all, [9.0, 1.0, 1.0, 1.0, 9.0]);
    }

    #[test]
    #[should_panic(expected = "the weight is [3], its second moment [2]")]
    fn moments_of_another_shape_are_refused() {
        adamw(ones([3]), ones([3]), ones([3]), ones([2]), STEP);
    }

    #[test]
    fn the_squared_norm_is_that_of_the_part_that_is_given() {
        let all = Tensor::<1>::from_floats([9.0, 3.0, 4.0, 9.0], &Device::flex());
        assert_eq!(squared_norm(all.slice(1..3)), 25.0);
        assert_eq!(squared_norm(ones([0])), 0.0);
    }
}
