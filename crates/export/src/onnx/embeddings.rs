//! From token ids to vectors.

use super::graph::int;
use super::network::{Inputs, Writer};
use super::proto::DataType;
use crate::error::Result;
use whetstone_model::{Positions, Relative};

impl Writer<'_> {
    /// The sum of word, position and token type, normalised, `[batch, seq, hidden]`.
    pub fn embeddings(&mut self, inputs: &Inputs) -> Result<String> {
        let (names, spec) = (self.names, self.spec);
        let shape = [spec.vocabulary, spec.embedding];
        let words = &self.tensor(&format!("{}.weight", names.word), &shape)?.values;
        let mut sum = self.graph.rows(names.word, &inputs.ids, shape, words); // [batch, seq, embedding]
        if spec.token_types > 0 {
            let shape = [spec.token_types, spec.embedding];
            let table = self.constant(&format!("{}.weight", names.token_type), &shape)?;
            let types = match &inputs.types {
                Some(types) => types.clone(),
                None => self.graph.integers("only_type", &[1], &[0]),
            };
            let kind = self.graph.node("Gather", names.token_type, &[&table, &types], &[]);
            sum = self.graph.node("Add", names.word, &[&sum, &kind], &[]);
        }
        if let Some(position) = self.positions(inputs)? {
            sum = self.graph.node("Add", names.embedding_norm, &[&sum, &position], &[]);
        }
        let x = self.norm(names.embedding_norm, &sum, spec.embedding)?; // [batch, seq, embedding]
        match names.embedding_projection {
            Some(scope) if spec.embedding != spec.hidden => {
                self.linear(scope, &x, [spec.embedding, spec.hidden])
            }
            _ => Ok(x),
        }
    }

    /// The vectors of positions; None where positions enter in attention alone.
    fn positions(&mut self, inputs: &Inputs) -> Result<Option<String>> {
        match self.spec.positions {
            Positions::Absolute { rows, first, padding: None } => {
                self.consecutive(inputs, rows, first).map(Some)
            }
            Positions::Absolute { rows, padding: Some(padding), .. } => {
                self.counted(inputs, rows, padding).map(Some)
            }
            Positions::Relative(Relative { absolute: Some(rows), .. }) => {
                self.consecutive(inputs, rows, 0).map(Some)
            }
            Positions::Relative(_) | Positions::Rotary(_) => Ok(None),
            _ => Err(self.unknown("positions")),
        }
    }

    fn table_of_positions(&mut self, rows: usize) -> Result<String> {
        self.constant(&format!("{}.weight", self.names.position), &[rows, self.spec.embedding])
    }

    /// The rows of the positions from the first token's to the last, `[seq, embedding]`. Padding at
    /// the end has positions too, which nobody reads.
    fn consecutive(&mut self, inputs: &Inputs, rows: usize, first: usize) -> Result<String> {
        let scope = self.names.position;
        let table = self.table_of_positions(rows)?;
        let seq = self.length(inputs);
        let graph = &mut self.graph;
        let zero = graph.integers("axis_0", &[1], &[0]);
        let begin = graph.integers("first_position", &[1], &[first as i64]);
        let end = graph.node("Add", scope, &[&seq, &begin], &[]);
        Ok(graph.node("Slice", scope, &[&table, &begin, &end, &zero], &[]))
    }

    /// The rows of positions that count from the one after `padding`, which all such tokens have,
    /// `[batch, seq, embedding]`.
    fn counted(&mut self, inputs: &Inputs, rows: usize, padding: u32) -> Result<String> {
        let scope = self.names.position;
        let table = self.table_of_positions(rows)?;
        let graph = &mut self.graph;
        let padding = graph.integers("padding_token", &[], &[i64::from(padding)]);
        let axis = graph.integers("sequence_axis", &[], &[1]);
        let is_padding = graph.node("Equal", scope, &[&inputs.ids, &padding], &[]);
        let is_token = graph.node("Not", scope, &[&is_padding], &[]);
        let to = [int("to", DataType::Int64 as i64)];
        let is_token = graph.node("Cast", scope, &[&is_token], &to);
        let count = graph.node("CumSum", scope, &[&is_token, &axis], &[]);
        let count = graph.node("Mul", scope, &[&count, &is_token], &[]);
        let position = graph.node("Add", scope, &[&count, &padding], &[]); // [batch, seq]
        Ok(graph.node("Gather", scope, &[&table, &position], &[]))
    }
}
