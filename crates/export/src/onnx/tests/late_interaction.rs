//! A late interaction's graph: its vectors have PyLate's scores.

use super::evaluate::evaluate;
use super::{ROUNDED, TOLERANCE, graph_of, largest_difference, oracle, padded};
use crate::onnx::Numbers;
use crate::onnx::proto::{Extent, GraphProto};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::ops::Range;
use whetstone_model::{AroundNetwork, Error, Packed, TokenNetwork};
use whetstone_records::Silent;

#[derive(Deserialize)]
struct Goldens {
    queries: Vec<String>,
    passages: Vec<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    model: String,
    changes: Map<String, Value>,
    scores: Vec<Vec<f64>>,
}

/// A graph that is computed by the tests.
struct Evaluated(GraphProto);

impl TokenNetwork for Evaluated {
    type Error = Error;

    fn groups(&self, lengths: &[usize]) -> Vec<Vec<usize>> {
        vec![(0..lengths.len()).collect()]
    }

    fn vectors(&self, batch: &Packed) -> Result<Vec<f32>, Error> {
        let spans = || batch.starts.windows(2).map(|span| span[0]..span[1]);
        let seen = |(row, span): (usize, Range<usize>)| {
            let seen = batch.seen.as_ref().map_or(span.len(), |seen| seen[row]);
            (0..span.len()).map(|column| u32::from(column < seen)).collect()
        };
        let inputs = [
            ("input_ids", padded(spans().map(|span| batch.ids[span].to_vec()))),
            ("attention_mask", padded(spans().enumerate().map(seen))),
            ("token_type_ids", padded(spans().map(|span| batch.types[span].to_vec()))),
        ];
        let found = evaluate(&self.0, &inputs);
        let row = found.len() / batch.sequences();
        let width = row / batch.longest();
        let own = spans().zip(found.chunks_exact(row));
        let own = own.flat_map(|(span, row)| &row[..span.len() * width]);
        Ok(own.map(|value| *value as f32).collect())
    }
}

/// The scores of all pairs by the graph of a case's model, and PyLate's.
fn scores(case: &Case, goldens: &Goldens, numbers: Numbers) -> [Vec<f64>; 2] {
    let model = oracle(&case.model);
    let pairs: Vec<(&str, &str)> = goldens
        .queries
        .iter()
        .flat_map(|query| goldens.passages.iter().map(|passage| (&**query, &**passage)))
        .collect();
    let around = AroundNetwork::open(&model, None).unwrap();
    let network = Evaluated(graph_of(&model, numbers));
    let found = around.score(&network, &pairs, &Silent).unwrap();
    [found.into_iter().map(f64::from).collect(), case.scores.concat()]
}

/// The models as they are.
fn cases() -> (Goldens, Vec<Case>) {
    let path = oracle("goldens-late-interaction.json");
    let mut goldens: Goldens = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut cases = std::mem::take(&mut goldens.cases);
    cases.retain(|case| case.changes.is_empty());
    assert_eq!(cases.len(), 2, "one of colbert-ai, one of PyLate");
    (goldens, cases)
}

#[test]
fn its_vectors_have_pylates_scores() {
    let (goldens, cases) = cases();
    for case in &cases {
        let [found, expected] = scores(case, &goldens, Numbers::F32);
        // A score adds up to 48 products.
        let difference = largest_difference(&found, &expected);
        assert!(difference < 10.0 * TOLERANCE, "{}: {difference:e}", case.model);
    }
}

#[test]
fn rounded_weights_move_its_scores_a_little() {
    let (goldens, cases) = cases();
    for (case, (numbers, tolerance)) in
        cases.iter().flat_map(|case| ROUNDED.map(|rounded| (case, rounded)))
    {
        let [found, expected] = scores(case, &goldens, numbers);
        let difference = largest_difference(&found, &expected);
        let tolerance = 10.0 * tolerance;
        assert!(difference < tolerance, "{} in {numbers:?}: {difference:e}", case.model);
        assert!(difference > 10.0 * TOLERANCE, "{} in {numbers:?} is rounded", case.model);
    }
}

#[test]
fn its_output_is_a_vector_for_every_token() {
    let graph = graph_of(&oracle("tiny-pylate"), Numbers::F16);
    assert_eq!(graph.output[0].name, "token_embeddings");
    let tensor = graph.output[0].r#type.clone().unwrap().tensor_type.unwrap();
    let axes: Vec<Extent> =
        tensor.shape.unwrap().dim.into_iter().map(|dim| dim.value.unwrap()).collect();
    let width = AroundNetwork::open(&oracle("tiny-pylate"), None).unwrap().width;
    let named = |name: &str| Extent::Named(name.into());
    let expected = [named("batch_size"), named("sequence_length"), Extent::Fixed(width as i64)];
    assert_eq!(axes, expected);
}
