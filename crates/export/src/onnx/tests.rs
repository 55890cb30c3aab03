//! What can be checked of an ONNX file without a runtime: that it reads back, and that every value
//! comes from somewhere.

use super::proto::{DataType, Extent, GraphProto, TensorProto};
use super::*;
use std::collections::{HashMap, HashSet};

fn tiny_model() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-model")
}

/// The graph of the tiny model, written as a file and read again.
fn graph_of(numbers: Numbers) -> GraphProto {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    write(&tiny_model(), &path, numbers, 32).unwrap();
    let model = ModelProto::decode(&*std::fs::read(path).unwrap()).unwrap();
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
    assert_eq!(model.metadata_props[0].value, "32");
    model.graph.unwrap()
}

const ALL: [Numbers; 3] = [Numbers::F32, Numbers::F16, Numbers::Int8];

fn tensors(graph: &GraphProto) -> HashMap<&str, &TensorProto> {
    graph.initializer.iter().map(|tensor| (&*tensor.name, tensor)).collect()
}

#[test]
fn every_value_has_one_origin_and_comes_before_its_readers() {
    for numbers in ALL {
        let graph = graph_of(numbers);
        let given = graph.input.iter().map(|input| &*input.name);
        let mut known: HashSet<&str> = given.chain(tensors(&graph).into_keys()).collect();
        assert_eq!(known.len(), graph.input.len() + graph.initializer.len());
        let mut read = HashSet::new();
        for node in &graph.node {
            for input in &node.input {
                assert!(known.contains(&**input), "{} reads {input}", node.name);
                read.insert(&**input);
            }
            assert!(node.output.iter().all(|output| known.insert(output)), "{}", node.name);
        }
        let names: HashSet<&str> = graph.node.iter().map(|node| &*node.name).collect();
        assert_eq!(names.len(), graph.node.len());
        read.insert("logits");
        assert_eq!(read, known, "every value is read");
    }
}

#[test]
fn constants_have_as_many_bytes_as_their_shapes_say() {
    for numbers in ALL {
        for tensor in graph_of(numbers).initializer {
            let bytes = match DataType::try_from(tensor.data_type).unwrap() {
                DataType::Float => 4,
                DataType::Float16 => 2,
                DataType::Int64 => 8,
                DataType::Int8 => 1,
                other => panic!("{}: {other:?}", tensor.name),
            };
            let values: i64 = tensor.dims.iter().product();
            assert_eq!(tensor.raw_data.len() as i64, bytes * values, "{}", tensor.name);
        }
    }
}

#[test]
fn weights_stand_under_their_own_names_with_linear_layers_transposed() {
    let architecture = Architecture::read(&tiny_model()).unwrap();
    let weights = architecture.tensors(&tiny_model()).unwrap();
    let graph = graph_of(Numbers::F32);
    let tensors = tensors(&graph);
    for (name, weight) in &weights {
        let tensor = tensors[&**name];
        let mut shape: Vec<usize> = tensor.dims.iter().map(|extent| *extent as usize).collect();
        let values = tensor.raw_data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        let mut values: Vec<f32> = values.collect();
        if name.contains(".layer.") && shape.len() == 2 {
            values = whetstone_model::transpose(&values, shape[0], shape[1]);
            shape.reverse();
        }
        assert_eq!((&shape, &values), (&weight.shape, &weight.values), "{name}");
    }
}

#[test]
fn inputs_and_output_are_named_as_transformers_names_them() {
    let graph = graph_of(Numbers::F16);
    let names: Vec<&str> = graph.input.iter().map(|input| &*input.name).collect();
    assert_eq!(names, ["input_ids", "attention_mask", "token_type_ids"]);
    let tensor_type = |value: &super::proto::ValueInfoProto| {
        let tensor = value.r#type.clone().unwrap().tensor_type.unwrap();
        let axes = tensor.shape.unwrap().dim.into_iter().map(|dim| dim.value.unwrap());
        (tensor.elem_type, axes.collect::<Vec<_>>())
    };
    let named = |name: &str| Extent::Named(name.into());
    let axes = vec![named("batch_size"), named("sequence_length")];
    assert_eq!(tensor_type(&graph.input[0]), (DataType::Int64 as i32, axes));
    assert_eq!(graph.output[0].name, "logits");
    let axes = vec![named("batch_size"), Extent::Fixed(1)];
    assert_eq!(tensor_type(&graph.output[0]), (DataType::Float as i32, axes));
}

#[test]
fn int8_has_every_matrix_of_the_encoder_in_bytes_and_the_head_in_floats() {
    let graph = graph_of(Numbers::Int8);
    let layers = Architecture::read(&tiny_model()).unwrap().spec.layers;
    let bytes = graph.initializer.iter().filter(|tensor| {
        tensor.data_type == DataType::Int8 as i32 && !tensor.name.ends_with("zero_point")
    });
    assert_eq!(bytes.count(), 6 * layers + 1);
    let of = |op: &str| graph.node.iter().filter(|node| node.op_type == op).count();
    assert_eq!(of("MatMulInteger"), 6 * layers);
    // Query, key and value read the same bytes, but for the last layer, whose query is one token.
    assert_eq!(of("DynamicQuantizeLinear"), 4 * layers + 1);
    assert_eq!(of("Gemm"), 2);
}
