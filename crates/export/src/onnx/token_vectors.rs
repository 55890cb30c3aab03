//! From the last layer's vectors to those that are compared token by token.

use super::graph::{int, ints};
use super::network::Writer;
use super::proto::DataType;
use whetstone_model::{Projection, transpose};

const SCOPE: &str = "token_embeddings";
/// The shortest vector that is divided by its own length.
const SHORTEST: f32 = 1e-12;

impl Writer<'_> {
    /// The projected vectors with the length 1, `[batch, seq, width]`, and their width. The
    /// projection stays out of the 8 bits as a head does. Lengths are f32 whatever the graph's
    /// numbers: f16 may not hold the sum of squares.
    pub fn token_vectors(&mut self, x: &str, projection: Option<&Projection>) -> (String, usize) {
        let (x, width) = match projection {
            Some(projection) => (self.projected(x, projection), projection.to),
            None => (x.to_owned(), self.spec.hidden),
        };
        let graph = &mut self.graph;
        let x = graph.node("Cast", SCOPE, &[&x], &[int("to", DataType::Float as i64)]);
        let length = graph.node("ReduceL2", SCOPE, &[&x], &[ints("axes", &[-1])]); // [batch, seq, 1]
        let shortest = graph.floats("shortest", &[], &[SHORTEST]);
        let length = graph.node("Max", SCOPE, &[&length, &shortest], &[]);
        (graph.node("Div", SCOPE, &[&x, &length], &[]), width)
    }

    fn projected(&mut self, x: &str, projection: &Projection) -> String {
        let Projection { from, to, weight, bias } = projection;
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<_>>();
        let weight = transpose(&narrow(weight), *to, *from);
        let graph = &mut self.graph;
        let weight = graph.tensor("projection.weight", &[*from, *to], &weight);
        let x = graph.node("MatMul", "projection", &[x, &weight], &[]);
        let bias = graph.tensor("projection.bias", &[*to], &narrow(bias));
        graph.node("Add", "projection", &[&x, &bias], &[])
    }
}
