//! Tests the kernels for GPUs against burn's own operations on burn-flex, values and gradients.
#![cfg(all(feature = "gpu", feature = "train"))]

mod layer;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use whetstone_kernels::gpu::{
    NormWeights, Reading, Taken, adamw, add_and_norm, add_bias, add_bias_and_gelu, attention,
    attention_weights, drop, layer_norm, multiply, squares, take_rows,
};
use whetstone_kernels::{AdamWStep, Dropout};

/// The device under test: `WHETSTONE_TEST_DEVICE`, by default cubecl's own CPU.
fn device() -> Device {
    match std::env::var("WHETSTONE_TEST_DEVICE").as_deref() {
        #[cfg(feature = "cuda")]
        Ok("cuda") => Device::cuda(0),
        #[cfg(feature = "wgpu")]
        Ok("wgpu") => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "cubecl-cpu")]
        _ => Device::cpu(),
        #[cfg(not(feature = "cubecl-cpu"))]
        other => panic!("this build does not test {other:?}"),
    }
}

/// Numbers between -2 and 2 that look random.
fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 4.0 - 2.0
    };
    (0..len).map(|_| next()).collect()
}

type Inputs = Vec<(Vec<usize>, Vec<f32>)>;

fn inputs(shapes: &[&[usize]]) -> Inputs {
    let input = |(seed, shape): (usize, &&[usize])| {
        (shape.to_vec(), noise(shape.iter().product(), seed as u32 + 1))
    };
    shapes.iter().enumerate().map(input).collect()
}

/// The result of `compute` and the gradient of every input, the output's own being noise.
fn run(
    device: Device,
    inputs: &Inputs,
    compute: impl Fn(&[Tensor<1>]) -> Tensor<1>,
) -> Vec<Vec<f32>> {
    let device = device.autodiff();
    let leaf = |(_, values): &(Vec<usize>, Vec<f32>)| {
        let data = TensorData::new(values.clone(), [values.len()]);
        Tensor::<1>::from_data(data, &device).require_grad()
    };
    let leaves: Vec<Tensor<1>> = inputs.iter().map(leaf).collect();
    let out = compute(&leaves);
    let len = out.dims()[0];
    let weights = Tensor::<1>::from_data(TensorData::new(noise(len, 99), [len]), &device);
    let gradients = (out.clone() * weights).sum().backward();
    let values = |x: Tensor<1>| x.into_data().try_into_vec::<f32>().unwrap();
    let mut found = vec![values(out.inner())];
    found.extend(leaves.iter().filter_map(|leaf| leaf.grad(&gradients).map(values)));
    found
}

/// Checks that both ways give the same values and gradients.
fn agree(
    inputs: &Inputs,
    ours: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    plain: impl Fn(&[Tensor<1>]) -> Tensor<1>,
) {
    agree_within(2e-5, inputs, ours, plain);
}

/// The same with products among the operations. NVIDIA's GPUs round their factors to TF32.
fn products_agree(
    inputs: &Inputs,
    ours: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    plain: impl Fn(&[Tensor<1>]) -> Tensor<1>,
) {
    let is_cuda = std::env::var("WHETSTONE_TEST_DEVICE").is_ok_and(|name| name == "cuda");
    agree_within(if is_cuda { 4e-3 } else { 2e-5 }, inputs, ours, plain);
}

/// `share` is of the greatest value.
fn agree_within(
    share: f32,
    inputs: &Inputs,
    ours: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    plain: impl Fn(&[Tensor<1>]) -> Tensor<1>,
) {
    let found = run(device(), inputs, ours);
    let expected = run(Device::flex(), inputs, plain);
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "of {index}");
        let most = expected.iter().fold(1f32, |most, x| most.max(x.abs()));
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            let off = (found - expected).abs();
            assert!(off <= share * most, "{index}, {at}: {found}, not {expected}");
        }
    }
}

fn factors(dropout: Dropout, like: &Tensor<1>) -> Tensor<1> {
    let len = like.dims()[0];
    Tensor::from_data(TensorData::new(dropout.factors(len), [len]), &like.device())
}

#[test]
fn attention_weighs_its_scores() {
    for (seq, reach, rate) in [(20, None, 0.0), (13, Some(5), 0.3)] {
        let (batch, heads) = (2, 2);
        let dims = [batch, heads, seq, seq];
        let dropout = match rate {
            0.0 => Dropout::default(),
            _ => Dropout::new(rate, 7, 3),
        };
        // The second sequence is shorter.
        let is_hidden = |key: usize| key >= 2 * seq - 9;
        let ours = |leaves: &[Tensor<1>]| {
            let hidden: Vec<f32> = (0..2 * seq).map(|key| f32::from(is_hidden(key))).collect();
            let hidden = TensorData::new(hidden, [batch, seq]);
            let hidden = Tensor::<2>::from_data(hidden, &leaves[0].device());
            let scores = leaves[0].clone().reshape(dims);
            attention_weights(scores, hidden, (0.7, reach), dropout).reshape([-1])
        };
        let plain = |leaves: &[Tensor<1>]| {
            let hides = |at: usize| {
                let (key, token) = (at % seq, at / seq % seq);
                is_hidden(at / (heads * seq * seq) * seq + key)
                    || reach.is_some_and(|reach| token.abs_diff(key) > reach)
            };
            let len = leaves[0].dims()[0];
            let mask: Vec<f32> = (0..len).map(|at| if hides(at) { -1e9 } else { 0.0 }).collect();
            let seen: Vec<f32> = (0..len).map(|at| f32::from(!hides(at))).collect();
            let on = |x| Tensor::<1>::from_data(TensorData::new(x, [len]), &leaves[0].device());
            let scores = (leaves[0].clone() * 0.7 + on(mask)).reshape(dims);
            let weights = softmax(scores, 3).reshape([-1]) * on(seen);
            match rate {
                0.0 => weights,
                _ => weights.clone() * factors(dropout, &weights),
            }
        };
        agree(&inputs(&[&[batch, heads, seq, seq]]), ours, plain);
    }
}

#[test]
fn attention_computes_its_weights_again() {
    let (dims, seq) = ([2, 2, 9, 4], 9);
    let dropout = Dropout::new(0.2, 3, 8);
    let parts = |leaves: &[Tensor<1>]| [0, 1, 2].map(|at: usize| leaves[at].clone().reshape(dims));
    let ours = |leaves: &[Tensor<1>]| {
        let nothing = Tensor::<2>::zeros([2, seq], &leaves[0].device());
        attention(parts(leaves), nothing, (0.5, None), dropout).reshape([-1])
    };
    let plain = |leaves: &[Tensor<1>]| {
        let [query, key, value] = parts(leaves);
        let weights = softmax(query.matmul(key.swap_dims(2, 3)) * 0.5, 3);
        let kept = factors(dropout, &weights.clone().reshape([-1])).reshape(weights.dims());
        (weights * kept).matmul(value).reshape([-1])
    };
    products_agree(&inputs(&[&dims, &dims, &dims]), ours, plain);
}

/// In plain operations.
fn normalised(x: Tensor<2>, gamma: Tensor<1>, beta: Option<Tensor<1>>) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    let out = centred / (variance + 1e-5).sqrt() * gamma.unsqueeze();
    match beta {
        Some(beta) => out + beta.unsqueeze(),
        None => out,
    }
}

#[test]
fn rows_are_normalised() {
    let (rows, columns) = (19, 70);
    let ours = |leaves: &[Tensor<1>]| {
        let weights = NormWeights { gamma: leaves[1].clone(), beta: None, eps: 1e-5 };
        layer_norm(leaves[0].clone().reshape([rows, columns]), weights).reshape([-1])
    };
    let plain = |leaves: &[Tensor<1>]| {
        let x = leaves[0].clone().reshape([rows, columns]);
        normalised(x, leaves[1].clone(), None).reshape([-1])
    };
    agree(&inputs(&[&[rows, columns], &[columns]]), ours, plain);
}

#[test]
fn a_sum_is_dropped_and_normalised() {
    // More rows than one stretch adds up.
    let (rows, columns) = (261, 6);
    let dropout = Dropout::new(0.2, 5, 1);
    let shapes: [&[usize]; 5] =
        [&[rows, columns], &[columns], &[rows, columns], &[columns], &[columns]];
    let ours = |leaves: &[Tensor<1>]| {
        let [x, bias, residual, gamma, beta] = [0, 1, 2, 3, 4].map(|at: usize| leaves[at].clone());
        let deep = |x: Tensor<1>| x.reshape([rows, columns]);
        let weights = NormWeights { gamma, beta: Some(beta), eps: 1e-5 };
        add_and_norm((deep(x), bias), deep(residual), weights, dropout).reshape([-1])
    };
    let plain = |leaves: &[Tensor<1>]| {
        let [x, bias, residual, gamma, beta] = [0, 1, 2, 3, 4].map(|at: usize| leaves[at].clone());
        let deep = |x: Tensor<1>| x.reshape([rows, columns]);
        let kept = deep(factors(dropout, &x));
        let sum = (deep(x) + bias.unsqueeze()) * kept + deep(residual);
        normalised(sum, gamma, Some(beta)).reshape([-1])
    };
    agree(&inputs(&shapes), ours, plain);
}

#[test]
fn biases_are_added_before_the_activation_and_without_one() {
    let (rows, columns) = (300, 33);
    let shapes: [&[usize]; 2] = [&[rows, columns], &[columns]];
    let deep = |leaves: &[Tensor<1>]| leaves[0].clone().reshape([rows, columns]);
    let summed = |leaves: &[Tensor<1>]| deep(leaves) + leaves[1].clone().unsqueeze::<2>();
    agree(
        &inputs(&shapes),
        |leaves| add_bias(deep(leaves), leaves[1].clone()).reshape([-1]),
        |leaves| summed(leaves).reshape([-1]),
    );
    agree(
        &inputs(&shapes),
        |leaves| add_bias_and_gelu(deep(leaves), leaves[1].clone()).reshape([-1]),
        |leaves| {
            let x = summed(leaves);
            (x.clone() * ((x / std::f32::consts::SQRT_2).erf() + 1.0) * 0.5).reshape([-1])
        },
    );
}

#[test]
fn a_device_drops_the_values_that_the_kernels_drop() {
    let dropout = Dropout::new(0.4, u64::MAX, 40);
    agree(
        &inputs(&[&[1000]]),
        |leaves| drop(leaves[0].clone(), dropout),
        |leaves| leaves[0].clone() * factors(dropout, &leaves[0]),
    );
}

#[test]
fn rows_are_taken_and_their_gradients_come_back() {
    let (rows, columns) = (12, 5);
    // Row 3 is taken more often than one stretch adds up.
    let ids: Vec<u32> = (0..700).map(|at| if at % 2 == 0 { 3 } else { at % 11 }).collect();
    let ours = |leaves: &[Tensor<1>]| {
        let device = leaves[0].device().inner();
        let on = |values: Vec<i32>| {
            let len = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [len]), &device)
        };
        let Taken { places, stretches, starts, rows: which } = Taken::of(&ids, |_| true);
        let [places, stretches, starts, which] = [places, stretches, starts, which].map(on);
        let taken = Taken { places, stretches, starts, rows: which };
        let numbers = on(ids.iter().map(|&id| id as i32).collect());
        take_rows(leaves[0].clone().reshape([rows, columns]), numbers, taken).reshape([-1])
    };
    let plain = |leaves: &[Tensor<1>]| {
        let device = leaves[0].device().inner();
        let ids: Vec<i64> = ids.iter().map(|&id| id.into()).collect();
        let len = ids.len();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [len]), &device);
        leaves[0].clone().reshape([rows, columns]).select(0, ids).reshape([-1])
    };
    agree(&inputs(&[&[rows, columns]]), ours, plain);
}

#[test]
fn a_step_of_adamw_is_that_of_the_cpu() {
    let len = 4 * 1500;
    let vector = |seed| noise(len, seed);
    let step = AdamWStep {
        lr: 1e-2,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.1,
        correction1: 0.19,
        correction2_sqrt: 0.04,
        grad_scale: 1.0,
    };
    let square = |x: f32| x * x;
    let [weights, first, gradients] = [1, 2, 3].map(vector);
    let second: Vec<f32> = vector(4).into_iter().map(square).collect();
    let on = |values: &[f32], device: &Device| {
        Tensor::<1>::from_data(TensorData::new(values.to_vec(), [len]), device)
    };
    let values = |x: Tensor<1>| x.into_data().try_into_vec::<f32>().unwrap();
    let (gpu, cpu) = (device(), Device::flex());
    let expected_norm = gradients.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let norm = squares(on(&gradients, &gpu)).sqrt();
    let found_norm = f64::from(values(norm.clone())[0]);
    assert!((found_norm / expected_norm - 1.0).abs() < 1e-5, "{found_norm}, not {expected_norm}");

    let state = || [&weights, &first, &second].map(|values| on(values, &gpu));
    let found = adamw(state(), on(&gradients, &gpu), norm, (step, 2.0)).map(values);
    let [w, m, v, g] = [&weights, &first, &second, &gradients].map(|values| on(values, &cpu));
    let step = AdamWStep { grad_scale: (2.0 / expected_norm) as f32, ..step };
    let (w, m, v) = whetstone_kernels::adamw(w, g, m, v, step);
    for (found, expected) in found.iter().zip([w, m, v].map(values)) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found}, not {expected}");
        }
    }

    let void = Tensor::<1>::from_floats([f32::NAN], &gpu);
    let kept = adamw(state(), on(&gradients, &gpu), void, (step, 2.0)).map(values);
    assert_eq!(kept, [weights, first, second]);
}

#[test]
fn values_are_read_as_they_were_when_they_were_asked_for() {
    let x = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &device());
    let readings = [x.clone(), x * 2.0].map(Reading::start);
    let found = readings.map(Reading::wait);
    assert_eq!(found, [vec![1.0, 2.0, 3.0], vec![2.0, 4.0, 6.0]]);
}

#[test]
fn rows_are_multiplied_with_a_matrix() {
    // More rows than one part adds up.
    let (rows, from, to) = (2048, 8, 12);
    let ours = |leaves: &[Tensor<1>]| {
        let x = leaves[0].clone().reshape([rows, from]);
        multiply(x, leaves[1].clone().reshape([from, to]), FloatDType::F32).reshape([-1])
    };
    let shapes: [&[usize]; 2] = [&[rows, from], &[from, to]];
    let plain = |leaves: &[Tensor<1>]| {
        let x = leaves[0].clone().reshape([rows, from]);
        x.matmul(leaves[1].clone().reshape([from, to])).reshape([-1])
    };
    products_agree(&inputs(&shapes), ours, plain);
}
