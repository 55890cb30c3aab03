//! What can be checked of an ONNX file without a runtime: that it reads back, that every value comes
//! from somewhere, and that its operations give transformers' logits.

mod evaluate;
mod late_interaction;
mod value;

use super::proto::{DataType, Extent, GraphProto, TensorProto};
use super::*;
use evaluate::evaluate;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use value::Value;
use whetstone_model::{FeedForward, NormPlacement};
use whetstone_records::Hint;

/// A tiny model of each family, and what transformers says of it.
const FAMILIES: [(&str, &str); 8] = [
    ("tiny-model", "tiny"),
    ("tiny-xlm-roberta", "xlm-roberta"),
    ("tiny-roberta", "roberta"),
    ("tiny-electra", "electra"),
    ("tiny-distilbert", "distilbert"),
    ("tiny-modernbert", "modernbert"),
    ("tiny-deberta-v2", "deberta-v2"),
    ("tiny-deberta-v2-unshared", "deberta-v2-unshared"),
];

fn oracle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles").join(name)
}

fn tiny_model() -> PathBuf {
    oracle("tiny-model")
}

/// The graph of a model, written as a file and read again.
fn graph_of(model: &Path, numbers: Numbers) -> GraphProto {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    write(model, &path, numbers, 32).unwrap();
    let model = ModelProto::decode(&*std::fs::read(path).unwrap()).unwrap();
    assert_eq!((model.ir_version, model.opset_import[0].version), (8, 17));
    assert_eq!(model.metadata_props[0].value, "32");
    model.graph.unwrap()
}

/// The graphs of all families, and of late interactions, in all formats.
fn graphs() -> impl Iterator<Item = GraphProto> {
    let models =
        FAMILIES.map(|(model, _)| model).into_iter().chain(["tiny-colbert", "tiny-pylate"]);
    models.flat_map(|model| ALL.map(|numbers| graph_of(&oracle(model), numbers)))
}

#[derive(Deserialize)]
struct Goldens {
    pairs: Vec<GoldenPair>,
    #[serde(default)]
    logits_cls: Vec<f64>,
    #[serde(default)]
    logits_c2p: Vec<f64>,
    #[serde(default)]
    logits_p2c: Vec<f64>,
}

#[derive(Deserialize)]
struct GoldenPair {
    input_ids: Vec<u32>,
    token_type_ids: Vec<u32>,
    logit: f64,
}

impl Goldens {
    fn of(family: &str) -> Self {
        let path = oracle(&format!("goldens-{family}.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn logits(&self) -> Vec<f64> {
        self.pairs.iter().map(|pair| pair.logit).collect()
    }
}

/// Rows in one batch, padded with 0 at the end.
fn padded(rows: impl Iterator<Item = Vec<u32>>) -> Value {
    let rows: Vec<Vec<u32>> = rows.collect();
    let seq = rows.iter().map(Vec::len).max().unwrap();
    let row = |row: &Vec<u32>| row.iter().copied().chain(std::iter::repeat(0)).take(seq).collect();
    let data = rows.iter().flat_map::<Vec<u32>, _>(row).map(f64::from).collect();
    Value { shape: vec![rows.len(), seq], data }
}

/// The logits of pairs in one batch.
fn logits(graph: &GraphProto, pairs: &[GoldenPair]) -> Vec<f64> {
    let inputs = [
        ("input_ids", padded(pairs.iter().map(|pair| pair.input_ids.clone()))),
        ("attention_mask", padded(pairs.iter().map(|pair| vec![1; pair.input_ids.len()]))),
        ("token_type_ids", padded(pairs.iter().map(|pair| pair.token_type_ids.clone()))),
    ];
    evaluate(graph, &inputs)
}

fn largest_difference(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f64::max)
}

/// Weights and constants are f32, all else is computed in f64.
const TOLERANCE: f64 = 1e-5;
/// Weights that keep 11 bits, and matrices of 8 bits. The logits of a family spread over 0.7 to 2.4.
const ROUNDED: [(Numbers, f64); 2] = [(Numbers::F16, 1e-2), (Numbers::Int8, 0.25)];

#[test]
fn every_family_gives_transformers_logits_alone_and_padded() {
    for (model, family) in FAMILIES {
        let (goldens, graph) = (Goldens::of(family), graph_of(&oracle(model), Numbers::F32));
        let together = logits(&graph, &goldens.pairs);
        let alone: Vec<f64> =
            goldens.pairs.chunks(1).flat_map(|pair| logits(&graph, pair)).collect();
        for found in [together, alone] {
            let difference = largest_difference(&found, &goldens.logits());
            assert!(difference < TOLERANCE, "{family}: {difference:e}");
        }
    }
}

#[test]
fn rounded_weights_move_the_logits_a_little() {
    for ((model, family), (numbers, tolerance)) in
        FAMILIES.into_iter().flat_map(|family| ROUNDED.map(|rounded| (family, rounded)))
    {
        let (goldens, graph) = (Goldens::of(family), graph_of(&oracle(model), numbers));
        let difference = largest_difference(&logits(&graph, &goldens.pairs), &goldens.logits());
        assert!(difference < tolerance, "{family} in {numbers:?}: {difference:e}");
        assert!(difference > TOLERANCE, "{family} in {numbers:?} is rounded: {difference:e}");
    }
}

#[test]
fn a_config_that_says_otherwise_gives_another_graph() {
    let (modernbert, deberta) = (Goldens::of("modernbert"), Goldens::of("deberta-v2"));
    for (model, change, goldens, expected) in [
        ("tiny-modernbert", ("classifier_pooling", "cls"), &modernbert, &modernbert.logits_cls),
        ("tiny-deberta-v2", ("pos_att_type", "c2p"), &deberta, &deberta.logits_c2p),
        ("tiny-deberta-v2", ("pos_att_type", "p2c"), &deberta, &deberta.logits_p2c),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", "model.safetensors"] {
            std::fs::copy(oracle(model).join(name), folder.path().join(name)).unwrap();
        }
        let path = folder.path().join("config.json");
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config[change.0] = change.1.into();
        std::fs::write(&path, config.to_string()).unwrap();
        let graph = graph_of(folder.path(), Numbers::F32);
        let difference = largest_difference(&logits(&graph, &goldens.pairs), expected);
        assert!(difference < TOLERANCE, "{model}, {change:?}: {difference:e}");
    }
}

#[test]
fn layers_that_nobody_writes_are_refused_with_the_config_and_a_way_out() {
    let mut architecture = Architecture::read(&tiny_model()).unwrap();
    let tensors = architecture.tensors(&tiny_model()).unwrap();
    architecture.spec.norm = NormPlacement::BeforeSublayer;
    assert_eq!(architecture.spec.feed_forward, FeedForward::Gelu);
    let error =
        network::graph(&architecture, &tensors, (Path::new("mine"), &Ending::Logits), Numbers::F32)
            .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`mine/config.json` describes a network with layers of a kind that cannot be written as ONNX"
    );
    assert!(error.hint().unwrap().starts_with("leave --format out"));
}

const ALL: [Numbers; 3] = [Numbers::F32, Numbers::F16, Numbers::Int8];

fn tensors(graph: &GraphProto) -> HashMap<&str, &TensorProto> {
    graph.initializer.iter().map(|tensor| (&*tensor.name, tensor)).collect()
}

#[test]
fn every_value_has_one_origin_and_comes_before_its_readers() {
    for graph in graphs() {
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
        read.insert(&graph.output[0].name);
        assert_eq!(read, known, "every value is read");
    }
}

#[test]
fn constants_have_as_many_bytes_as_their_shapes_say() {
    for graph in graphs() {
        for tensor in graph.initializer {
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
    let graph = graph_of(&tiny_model(), Numbers::F32);
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
fn token_types_are_an_input_only_where_a_network_and_its_tokenizer_have_them() {
    for (model, _) in FAMILIES {
        let graph = graph_of(&oracle(model), Numbers::F32);
        let names: Vec<&str> = graph.input.iter().map(|input| &*input.name).collect();
        let has_types = ["tiny-model", "tiny-electra", "tiny-deberta-v2-unshared"].contains(&model);
        let all = ["input_ids", "attention_mask", "token_type_ids"];
        assert_eq!(names, all[..2 + usize::from(has_types)], "{model}");
    }
}

#[test]
fn inputs_and_output_are_named_as_transformers_names_them() {
    let graph = graph_of(&tiny_model(), Numbers::F16);
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
    let graph = graph_of(&tiny_model(), Numbers::Int8);
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
