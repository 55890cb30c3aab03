//! Builds an ONNX graph node by node.

use super::proto::{
    AttributeProto, AttributeType, DataType, Dimension, Extent, GraphProto, NodeProto, TensorProto,
    TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};
use super::quantize::{Quantized, by_output};
use half::f16;
use std::collections::HashMap;

/// What the numbers of a graph are stored and computed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    F32,
    F16,
    /// The encoder's matrices in 8 bits, and what they are multiplied with, which is scaled anew
    /// at every call. All else is f32.
    Int8,
}

/// A graph under construction. A value is known by its name.
pub struct Graph {
    pub numbers: Numbers,
    parts: GraphProto,
    /// What a value became in 8 bits: query, key and value all read the same one.
    quantized: HashMap<String, QuantizedValue>,
}

/// Names of a value in 8 bits, of its scale and of its zero.
#[derive(Clone)]
struct QuantizedValue {
    value: String,
    scale: String,
    zero: String,
}

impl Graph {
    pub fn new(numbers: Numbers) -> Self {
        let parts = GraphProto { name: "reranker".into(), ..GraphProto::default() };
        Self { numbers, parts, quantized: HashMap::new() }
    }

    pub fn finish(self) -> GraphProto {
        self.parts
    }

    /// Declares an input of whole numbers, and returns its name.
    pub fn input(&mut self, name: &str, axes: &[&str]) -> String {
        let axes = axes.iter().map(|axis| Extent::Named((*axis).into()));
        self.parts.input.push(value_info(name, DataType::Int64, axes.collect()));
        name.into()
    }

    /// Makes the value the graph's output `name`, in f32. `width` is its last axis.
    pub fn output(&mut self, name: &str, axes: &[&str], width: usize, value: &str) {
        let cast = [int("to", DataType::Float as i64)];
        let (op, attributes): (_, &[AttributeProto]) = match self.numbers {
            Numbers::F16 => ("Cast", &cast),
            Numbers::F32 | Numbers::Int8 => ("Identity", &[]),
        };
        self.push(op, name, &[value], &[name], attributes);
        let axes = axes.iter().map(|axis| Extent::Named((*axis).into()));
        let axes = axes.chain([Extent::Fixed(width as i64)]).collect();
        self.parts.output.push(value_info(name, DataType::Float, axes));
    }

    /// Adds an operation of one output, and returns that. `scope` is the start of its name.
    pub fn node(
        &mut self,
        op: &str,
        scope: &str,
        inputs: &[&str],
        attributes: &[AttributeProto],
    ) -> String {
        // The number keeps names apart where a scope has an operation twice.
        let name = format!("{scope}/{op}_{}", self.parts.node.len());
        self.push(op, &name, inputs, &[&name], attributes);
        name
    }

    fn push(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[AttributeProto],
    ) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.parts.node.push(NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            name: name.into(),
            op_type: op.into(),
            attribute: attributes.to_vec(),
        });
    }

    /// Adds a constant of whole numbers; no shape is a single number.
    pub fn integers(&mut self, name: &str, shape: &[usize], values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, shape, DataType::Int64, bytes)
    }

    /// Adds a constant in the numbers of the graph.
    pub fn tensor(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        match self.numbers {
            Numbers::F16 => {
                let halves = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes());
                self.constant(name, shape, DataType::Float16, halves.collect())
            }
            Numbers::F32 | Numbers::Int8 => self.floats(name, shape, values),
        }
    }

    /// Adds a constant in f32, whatever the numbers of the graph.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        self.constant(name, shape, DataType::Float, whetstone_records::f32_bytes(values))
    }

    fn constant(
        &mut self,
        name: &str,
        shape: &[usize],
        data_type: DataType,
        raw_data: Vec<u8>,
    ) -> String {
        // A number that many nodes read is there once.
        if !self.parts.initializer.iter().any(|tensor| tensor.name == name) {
            let dims = shape.iter().map(|&extent| extent as i64).collect();
            let (name, data_type) = (name.to_owned(), data_type as i32);
            self.parts.initializer.push(TensorProto { dims, data_type, name, raw_data });
        }
        name.into()
    }

    /// The type that a mask of whole numbers is cast to.
    pub fn float_type(&self) -> i64 {
        match self.numbers {
            Numbers::F16 => DataType::Float16 as i64,
            Numbers::F32 | Numbers::Int8 => DataType::Float as i64,
        }
    }

    /// Brings an f32 value to the numbers of the graph.
    pub fn narrowed(&mut self, scope: &str, x: &str) -> String {
        match self.numbers {
            Numbers::F16 => self.node("Cast", scope, &[x], &[int("to", self.float_type())]),
            Numbers::F32 | Numbers::Int8 => x.to_owned(),
        }
    }

    /// Adds an axis of length 1.
    pub fn unsqueeze(&mut self, scope: &str, x: &str, axis: i64) -> String {
        let axes = self.integers(&format!("axis_{axis}"), &[1], &[axis]);
        self.node("Unsqueeze", scope, &[x, &axes], &[])
    }

    /// The numbers from 0 up to `count`, which is `[1]`.
    pub fn range(&mut self, scope: &str, count: &str) -> String {
        let [zero, one] =
            [("zero", 0), ("one_step", 1)].map(|(n, at)| self.integers(n, &[], &[at]));
        let axes = self.integers("axis_0", &[1], &[0]);
        let count = self.node("Squeeze", scope, &[count, &axes], &[]);
        self.node("Range", scope, &[&zero, &count, &one], &[])
    }

    /// The two halves of a value along an axis.
    pub fn halves(&mut self, scope: &str, x: &str, axis: i64) -> [String; 2] {
        let name = format!("{scope}/Split_{}", self.parts.node.len());
        let halves = ["first", "second"].map(|half| format!("{name}_{half}"));
        self.push("Split", &name, &[x], &[&halves[0], &halves[1]], &[int("axis", axis)]);
        halves
    }

    /// Multiplies by a matrix of the shape `[out, in]`, as the file has it.
    pub fn product(&mut self, scope: &str, x: &str, [out, inner]: [usize; 2], w: &[f32]) -> String {
        let name = format!("{scope}.weight");
        let transposed = whetstone_model::transpose(w, out, inner);
        if self.numbers != Numbers::Int8 {
            let weight = self.tensor(&name, &[inner, out], &transposed);
            return self.node("MatMul", scope, &[x, &weight], &[]);
        }
        let Quantized { bytes, scales } = by_output(&transposed, out);
        let weight = self.constant(&name, &[inner, out], DataType::Int8, bytes);
        let scales = self.floats(&format!("{name}_scale"), &[out], &scales);
        let zeros =
            self.constant(&format!("{name}_zero_point"), &[out], DataType::Int8, vec![0; out]);
        let x = self.quantize(scope, x);
        // onnxruntime fuses these four as its own quantize_dynamic writes them.
        let product = self.node("MatMulInteger", scope, &[&x.value, &weight, &x.zero, &zeros], &[]);
        let product = self.node("Cast", scope, &[&product], &[int("to", DataType::Float as i64)]);
        let scale = self.node("Mul", scope, &[&x.scale, &scales], &[]);
        self.node("Mul", scope, &[&product, &scale], &[])
    }

    /// Looks up rows of a table `[rows, width]`.
    pub fn rows(&mut self, scope: &str, ids: &str, [rows, width]: [usize; 2], w: &[f32]) -> String {
        let name = format!("{scope}.weight");
        if self.numbers != Numbers::Int8 {
            let table = self.tensor(&name, &[rows, width], w);
            return self.node("Gather", scope, &[&table, ids], &[]);
        }
        let Quantized { bytes, scales } = super::quantize::by_row(w, width);
        let table = self.constant(&name, &[rows, width], DataType::Int8, bytes);
        let scales = self.floats(&format!("{name}_scale"), &[rows, 1], &scales);
        let found = self.node("Gather", scope, &[&table, ids], &[]);
        let found = self.node("Cast", scope, &[&found], &[int("to", DataType::Float as i64)]);
        let scale = self.node("Gather", scope, &[&scales, ids], &[]);
        self.node("Mul", scope, &[&found, &scale], &[])
    }

    fn quantize(&mut self, scope: &str, x: &str) -> QuantizedValue {
        if let Some(known) = self.quantized.get(x) {
            return known.clone();
        }
        let name = format!("{scope}/DynamicQuantizeLinear_{}", self.parts.node.len());
        let of = |part: &str| format!("{name}_{part}");
        let made =
            QuantizedValue { value: of("quantized"), scale: of("scale"), zero: of("zero_point") };
        let outputs = [made.value.as_str(), &made.scale, &made.zero];
        self.push("DynamicQuantizeLinear", &name, &[x], &outputs, &[]);
        self.quantized.insert(x.into(), made.clone());
        made
    }
}

fn value_info(name: &str, data_type: DataType, axes: Vec<Extent>) -> ValueInfoProto {
    let dim = axes.into_iter().map(|extent| Dimension { value: Some(extent) }).collect();
    let shape = Some(TensorShapeProto { dim });
    let tensor_type = Some(TensorType { elem_type: data_type as i32, shape });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

/// An attribute that is a whole number.
pub fn int(name: &str, value: i64) -> AttributeProto {
    let r#type = AttributeType::Int as i32;
    AttributeProto { name: name.into(), i: Some(value), r#type, ..AttributeProto::default() }
}

/// An attribute that is a list of whole numbers.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.into(), ints: values.into(), r#type, ..AttributeProto::default() }
}

/// An attribute that is a number.
pub fn float(name: &str, value: f32) -> AttributeProto {
    let r#type = AttributeType::Float as i32;
    AttributeProto { name: name.into(), f: Some(value), r#type, ..AttributeProto::default() }
}
