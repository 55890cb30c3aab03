//! Computes a graph in f64, operation by operation as ONNX's documentation words them, so that a
//! test needs no runtime.

use super::super::proto::{DataType, GraphProto, NodeProto, TensorProto};
use super::value::{Value, concatenated, vector, without};
use half::f16;
use std::collections::HashMap;

/// Returns the graph's output.
pub fn evaluate(graph: &GraphProto, inputs: &[(&str, Value)]) -> Vec<f64> {
    let mut known: HashMap<&str, Value> = HashMap::new();
    known.extend(graph.initializer.iter().map(|tensor| (&*tensor.name, constant(tensor))));
    known.extend(inputs.iter().map(|(name, value)| (*name, value.clone())));
    for node in &graph.node {
        let given: Vec<&Value> = node.input.iter().map(|name| &known[&**name]).collect();
        let made = outputs(node, &given);
        assert_eq!(made.len(), node.output.len(), "{}", node.name);
        known.extend(node.output.iter().map(String::as_str).zip(made));
    }
    known[&*graph.output[0].name].data.clone()
}

fn constant(tensor: &TensorProto) -> Value {
    fn read<const N: usize>(bytes: &[u8], number: fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
    }
    let bytes = &tensor.raw_data;
    let data = match DataType::try_from(tensor.data_type).unwrap() {
        DataType::Float => read(bytes, |bytes| f32::from_le_bytes(bytes).into()),
        DataType::Float16 => read(bytes, |bytes| f16::from_le_bytes(bytes).into()),
        DataType::Int64 => read(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        DataType::Int8 => read(bytes, |bytes| i8::from_le_bytes(bytes).into()),
        other => panic!("{}: {other:?}", tensor.name),
    };
    Value { shape: tensor.dims.iter().map(|&extent| extent as usize).collect(), data }
}

fn outputs(node: &NodeProto, given: &[&Value]) -> Vec<Value> {
    let x = given[0];
    let int = |name: &str| node.attribute.iter().find(|known| known.name == name)?.i;
    let axis = |usual: i64, value: &Value| {
        let axis = int("axis").unwrap_or(usual);
        if axis < 0 { value.shape.len() - axis.unsigned_abs() as usize } else { axis as usize }
    };
    let one = match &*node.op_type {
        "Shape" => vector(x.shape.iter().map(|&extent| extent as f64).collect()),
        "Range" => vector((x.data[0] as i64..given[1].data[0] as i64).map(|n| n as f64).collect()),
        "Reshape" => x.reshaped(given[1]),
        "Squeeze" => Value { shape: without(&x.shape, given[1].whole(0)), data: x.data.clone() },
        "Unsqueeze" => {
            let mut shape = x.shape.clone();
            shape.insert(given[1].whole(0), 1);
            Value { shape, data: x.data.clone() }
        }
        "Transpose" => x.transposed(&node.attribute[0].ints),
        "Gather" => x.gathered(given[1], axis(0, x)),
        "Slice" => x.sliced(given[1].data[0], given[2].data[0], given[3].whole(0)),
        "Concat" => concatenated(given, axis(0, x)),
        "Split" => {
            let (axis, half) = (axis(0, x), x.shape[axis(0, x)] as f64 / 2.0);
            return vec![x.sliced(0.0, half, axis), x.sliced(half, 2.0 * half, axis)];
        }
        "CumSum" => x.along(given[1].whole(0), |line| {
            (1..line.len()).for_each(|at| line[at] += line[at - 1]);
        }),
        "ReduceSum" => {
            let axis = given[1].whole(0);
            x.along(axis, |line| line[0] = line.iter().sum()).sliced(0.0, 1.0, axis)
        }
        "ReduceL2" => {
            let axis = x.shape.len() - 1;
            assert_eq!(node.attribute[0].ints, [-1]);
            let length = |line: &[f64]| line.iter().map(|x| x * x).sum::<f64>().sqrt();
            x.along(axis, |line| line[0] = length(line)).sliced(0.0, 1.0, axis)
        }
        "Softmax" => x.along(axis(-1, x), softmax),
        "LayerNormalization" => normalised(node, given),
        "MatMul" => x.times(given[1]),
        "MatMulInteger" => {
            let zeroed = |at: usize| given[at].with(given[at + 2], |value, zero| value - zero);
            zeroed(0).times(&zeroed(1))
        }
        "Gemm" => {
            assert_eq!(int("transB"), Some(1));
            let product = x.times(&given[1].transposed(&[1, 0]));
            given.get(2).map_or(product.clone(), |bias| product.with(bias, |a, b| a + b))
        }
        "DynamicQuantizeLinear" => return quantized(x),
        _ => by_element(node, given),
    };
    vec![one]
}

/// Operations that compute each number by itself.
fn by_element(node: &NodeProto, given: &[&Value]) -> Value {
    let each = |f: fn(f64) -> f64| given[0].each(f);
    let both = |f: fn(f64, f64) -> f64| given[0].with(given[1], f);
    match &*node.op_type {
        "Identity" | "Cast" => given[0].clone(),
        "Add" => both(|a, b| a + b),
        "Sub" => both(|a, b| a - b),
        "Mul" => both(|a, b| a * b),
        "Div" => both(|a, b| a / b),
        "Max" => both(f64::max),
        "Equal" => both(|a, b| f64::from(a == b)),
        "Greater" => both(|a, b| f64::from(a > b)),
        "Not" => each(|x| 1.0 - x),
        "Neg" => each(|x| -x),
        "Abs" => each(f64::abs),
        "Cos" => each(f64::cos),
        "Sin" => each(f64::sin),
        "Tanh" => each(f64::tanh),
        "Relu" => each(|x| x.max(0.0)),
        "Erf" => each(erf),
        other => panic!("{}: nobody computes {other}", node.name),
    }
}

fn softmax(line: &mut [f64]) {
    let most = line.iter().copied().fold(f64::MIN, f64::max);
    line.iter_mut().for_each(|x| *x = (*x - most).exp());
    let sum: f64 = line.iter().sum();
    line.iter_mut().for_each(|x| *x /= sum);
}

fn normalised(node: &NodeProto, given: &[&Value]) -> Value {
    let epsilon = node.attribute.iter().find_map(|known| known.f).unwrap();
    let normed = given[0].along(given[0].shape.len() - 1, |line| {
        let mean = line.iter().sum::<f64>() / line.len() as f64;
        let variance = line.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / line.len() as f64;
        let scale = (variance + f64::from(epsilon)).sqrt();
        line.iter_mut().for_each(|x| *x = (*x - mean) / scale);
    });
    let scaled = normed.with(given[1], |x, weight| x * weight);
    given.get(2).map_or(scaled.clone(), |bias| scaled.with(bias, |x, bias| x + bias))
}

fn quantized(x: &Value) -> Vec<Value> {
    let (least, most) =
        x.data.iter().fold((0f64, 0f64), |(least, most), x| (least.min(*x), most.max(*x)));
    let scale = (most - least) / 255.0;
    let zero = (-least / scale).round_ties_even().clamp(0.0, 255.0);
    let bytes = x.each(|x| ((x / scale).round_ties_even() + zero).clamp(0.0, 255.0));
    let single = |number| Value { shape: vec![], data: vec![number] };
    vec![bytes, single(scale), single(zero)]
}

/// Kummer's series, whose terms all have one sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
}
