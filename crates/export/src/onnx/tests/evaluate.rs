//! Computes a graph in f64, operation by operation as ONNX's documentation words them, so that a
//! test needs no runtime.

use super::super::proto::{DataType, GraphProto, NodeProto, TensorProto};
use half::f16;
use std::collections::HashMap;

/// Numbers of any type, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

/// Returns the graph's output `logits`.
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
    known["logits"].data.clone()
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
    let each = |f: fn(f64) -> f64| x.each(f);
    let both = |f: fn(f64, f64) -> f64| x.with(given[1], f);
    let int = |name: &str| node.attribute.iter().find(|known| known.name == name)?.i;
    let axis = |usual: i64, value: &Value| {
        let axis = int("axis").unwrap_or(usual);
        if axis < 0 { value.shape.len() - axis.unsigned_abs() as usize } else { axis as usize }
    };
    let one = match &*node.op_type {
        "Identity" | "Cast" => x.clone(),
        "Add" => both(|a, b| a + b),
        "Sub" => both(|a, b| a - b),
        "Mul" => both(|a, b| a * b),
        "Div" => both(|a, b| a / b),
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
        other => panic!("{}: nobody computes {other}", node.name),
    };
    vec![one]
}

impl Value {
    fn whole(&self, at: usize) -> usize {
        self.data[at] as usize
    }

    fn each(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|x| f(*x)).collect() }
    }

    fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let shape = common(&self.shape, &other.shape);
        let value = |at| {
            let places = [self, other].map(|value| value.data[place(at, &shape, &value.shape)]);
            f(places[0], places[1])
        };
        let data = (0..shape.iter().product()).map(value).collect();
        Self { shape, data }
    }

    /// Changes every line of numbers along an axis.
    fn along(&self, axis: usize, change: impl Fn(&mut [f64])) -> Self {
        let (extent, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        let mut changed = self.clone();
        for first in (0..self.data.len()).filter(|at| (at / inner).is_multiple_of(extent)) {
            let mut line: Vec<f64> = (0..extent).map(|k| self.data[first + k * inner]).collect();
            change(&mut line);
            line.iter().enumerate().for_each(|(k, x)| changed.data[first + k * inner] = *x);
        }
        changed
    }

    fn reshaped(&self, wanted: &Self) -> Self {
        let mut shape: Vec<usize> = Vec::new();
        for (axis, &extent) in wanted.data.iter().enumerate() {
            shape.push(match extent as i64 {
                0 => self.shape[axis],
                -1 => 1,
                extent => extent as usize,
            });
        }
        if let Some(axis) = wanted.data.iter().position(|extent| *extent == -1.0) {
            shape[axis] = self.data.len() / shape.iter().product::<usize>();
        }
        assert_eq!(shape.iter().product::<usize>(), self.data.len(), "{:?}", self.shape);
        Self { shape, data: self.data.clone() }
    }

    fn transposed(&self, order: &[i64]) -> Self {
        let shape: Vec<usize> = order.iter().map(|&axis| self.shape[axis as usize]).collect();
        let stride = |axis: i64| self.shape[axis as usize + 1..].iter().product::<usize>();
        let strides: Vec<usize> = order.iter().map(|&axis| stride(axis)).collect();
        let value = |mut at: usize| {
            let mut from = 0;
            for (&extent, &stride) in shape.iter().zip(&strides).rev() {
                from += at % extent * stride;
                at /= extent;
            }
            self.data[from]
        };
        let data = (0..self.data.len()).map(value).collect();
        Self { shape, data }
    }

    fn gathered(&self, rows: &Self, axis: usize) -> Self {
        let inner: usize = self.shape[axis + 1..].iter().product();
        let outer: usize = self.shape[..axis].iter().product();
        let mut data = Vec::new();
        for block in 0..outer {
            for row in 0..rows.data.len() {
                assert!(rows.whole(row) < self.shape[axis]);
                let from = (block * self.shape[axis] + rows.whole(row)) * inner;
                data.extend(&self.data[from..from + inner]);
            }
        }
        Self { shape: [&self.shape[..axis], &rows.shape, &self.shape[axis + 1..]].concat(), data }
    }

    fn sliced(&self, from: f64, to: f64, axis: usize) -> Self {
        let extent = self.shape[axis] as f64;
        let [from, to] = [from, to].map(|end| if end < 0.0 { end + extent } else { end });
        let rows: Vec<f64> = (from as usize..to.min(extent) as usize).map(|n| n as f64).collect();
        self.gathered(&vector(rows), axis)
    }

    fn times(&self, other: &Self) -> Self {
        let split = |value: &Self| value.shape.split_at(value.shape.len() - 2).0.to_vec();
        let (ours, theirs) = (split(self), split(other));
        let [rows, inner] = self.shape[ours.len()..] else { panic!("a matrix has two axes") };
        let cols = other.shape[theirs.len() + 1];
        assert_eq!(other.shape[theirs.len()], inner);
        let mut shape = common(&ours, &theirs);
        let mut data = Vec::new();
        for block in 0..shape.iter().product() {
            let a = &self.data[place(block, &shape, &ours) * rows * inner..];
            let b = &other.data[place(block, &shape, &theirs) * inner * cols..];
            for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
                data.push((0..inner).map(|k| a[row * inner + k] * b[k * cols + col]).sum());
            }
        }
        shape.extend([rows, cols]);
        Self { shape, data }
    }
}

fn vector(data: Vec<f64>) -> Value {
    Value { shape: vec![data.len()], data }
}

fn without(shape: &[usize], axis: usize) -> Vec<usize> {
    assert_eq!(shape[axis], 1);
    [&shape[..axis], &shape[axis + 1..]].concat()
}

/// The shape of two values that meet, by ONNX's rules of broadcasting.
fn common(one: &[usize], other: &[usize]) -> Vec<usize> {
    let rank = one.len().max(other.len());
    let extent = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(axis) => shape[axis],
        None => 1,
    };
    let both = (0..rank).map(|axis| (extent(one, axis), extent(other, axis)));
    both.map(|(a, b)| {
        assert!(a == b || a == 1 || b == 1, "{one:?} does not meet {other:?}");
        if a == 1 { b } else { a }
    })
    .collect()
}

/// Where the number at a place of a larger shape stands in a smaller one.
fn place(mut at: usize, shape: &[usize], own: &[usize]) -> usize {
    let (mut found, mut stride) = (0, 1);
    for (&extent, &own) in shape.iter().rev().zip(own.iter().rev()) {
        found += if own == 1 { 0 } else { at % extent * stride };
        (at, stride) = (at / extent, stride * own);
    }
    found
}

fn concatenated(values: &[&Value], axis: usize) -> Value {
    let mut shape = values[0].shape.clone();
    shape[axis] = values.iter().map(|value| value.shape[axis]).sum();
    let line = |value: &Value| value.shape[axis..].iter().product::<usize>();
    let outer: usize = shape[..axis].iter().product();
    let blocks = (0..outer).flat_map(|block| {
        values.iter().flat_map(move |value| &value.data[block * line(value)..][..line(value)])
    });
    Value { data: blocks.copied().collect(), shape }
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
