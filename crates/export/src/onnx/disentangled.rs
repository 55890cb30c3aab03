//! Layers whose attention scores contents and distances apart.

use super::graph::{int, ints};
use super::network::{Inputs, Writer};
use super::post_norm::BY_TOKEN;
use crate::error::Result;
use whetstone_model::{Relative, RelativeNames, Spec};

/// The order of axes that makes rows columns.
const ACROSS: [i64; 4] = [0, 1, 3, 2];

/// What all layers share.
struct Distances {
    is_shared: bool,
    names: &'static RelativeNames,
    /// A vector for each distance, `[2 · span, hidden]`.
    table: String,
    /// How many tokens the longest sequence has, `[1]`.
    seq: String,
    /// One less.
    before: String,
    /// The first place of an axis and the last one, `[1]`.
    zero: String,
    last: String,
    /// What scores are divided by.
    root: String,
    /// The row of every distance that two tokens have, `[2 · seq]`, the greatest first.
    falling: Option<String>,
    /// The same, the least first.
    rising: Option<String>,
}

impl Writer<'_> {
    /// # Shapes
    /// - x: `[batch, seq, hidden]`
    /// - padding: `[batch, 1, 1, seq]`
    /// - output: `[batch, seq or 1, hidden]`
    pub fn disentangled_layers(
        &mut self,
        mut x: String,
        inputs: &Inputs,
        padding: &str,
        relative: &Relative,
    ) -> Result<String> {
        let names = self.names;
        let distances = self.distances(inputs, relative)?;
        for index in 0..self.spec.layers {
            let at = |part: &str| format!("{}{index}.{part}", names.layers);
            let own = self.own(index, &x); // [batch, seq or 1, hidden]
            let query = self.heads(&at(names.query), &own, BY_TOKEN)?; // [batch, heads, seq or 1, size]
            let key = self.heads(&at(names.key), &x, BY_TOKEN)?; // [batch, heads, seq, size]
            let value = self.heads(&at(names.value), &x, BY_TOKEN)?;
            let scores = self.scores(index, [&query, &key], &distances)?; // [batch, heads, seq or 1, seq]
            let attended = self.attend(&at("attention"), &scores, &value, padding);
            x = self.after_attention(index, &own, &attended)?;
        }
        Ok(x)
    }

    fn distances(&mut self, inputs: &Inputs, relative: &Relative) -> Result<Distances> {
        let Some(names) = &self.names.relative else { return Err(self.unknown("layers")) };
        let Spec { hidden, heads, .. } = self.spec;
        let shape = [2 * relative.span(), hidden];
        let mut table = self.constant(&format!("{}.weight", names.distances), &shape)?;
        if relative.is_normed {
            table = self.norm(names.norm, &table, hidden)?;
        }
        let seq = self.length(inputs);
        let [zero, one, last] = [("axis_0", 0), ("axis_1", 1), ("last", -1)]
            .map(|(name, at)| self.graph.integers(name, &[1], &[at]));
        let before = self.graph.node("Sub", names.distances, &[&seq, &one], &[]);
        let kinds = [relative.content_to_position, relative.position_to_content];
        let parts = 1 + kinds.iter().filter(|is_there| **is_there).count();
        let root = ((hidden / heads * parts) as f32).sqrt();
        let root = self.graph.tensor("root_of_size_and_parts", &[], &[root]);
        let longest = self.spec.longest_input as i64;
        let rows = |distance: &dyn Fn(i64) -> i64| -> Vec<i64> {
            (0..2 * longest).map(|place| relative.row(distance(place)) as i64).collect()
        };
        let falling = rows(&|place| longest - 1 - place);
        let rising = rows(&|place| place + 1 - longest);
        let falling = kinds[0].then(|| self.middle("falling_distances", &falling, &seq));
        let rising = kinds[1].then(|| self.middle("rising_distances", &rising, &seq));
        let is_shared = relative.is_shared;
        Ok(Distances { is_shared, names, table, seq, before, zero, last, root, falling, rising })
    }

    /// The rows of the distances in a sequence of `seq` tokens, from those of the longest one.
    fn middle(&mut self, name: &str, rows: &[i64], seq: &str) -> String {
        let graph = &mut self.graph;
        let all = graph.integers(name, &[rows.len()], rows);
        let longest = graph.integers("longest", &[1], &[rows.len() as i64 / 2]);
        let axis = graph.integers("axis_0", &[1], &[0]);
        let begin = graph.node("Sub", name, &[&longest, seq], &[]);
        let end = graph.node("Add", name, &[&longest, seq], &[]);
        graph.node("Slice", name, &[&all, &begin, &end, &axis], &[])
    }

    /// How well keys fit queries: by contents, and by the distance with the contents of either.
    ///
    /// # Shapes
    /// - query: `[batch, heads, seq or 1, size]`
    /// - key: `[batch, heads, seq, size]`
    /// - output: `[batch, heads, seq or 1, seq]`
    fn scores(
        &mut self,
        index: usize,
        [query, key]: [&str; 2],
        distances: &Distances,
    ) -> Result<String> {
        let scope = format!("{}{index}.attention", self.names.layers);
        // Divided before the product: f16 may not hold the products of deep layers.
        let query = self.graph.node("Div", &scope, &[query, &distances.root], &[]);
        let columns = self.graph.node("Transpose", &scope, &[key], &[ints("perm", &ACROSS)]);
        let mut scores = self.graph.node("MatMul", &scope, &[&query, &columns], &[]);
        if let Some(rows) = &distances.falling {
            let fits = self.by_content_of_query(index, &query, rows, distances)?;
            scores = self.graph.node("Add", &scope, &[&scores, &fits], &[]);
        }
        if let Some(rows) = &distances.rising {
            let fits = self.by_content_of_key(index, key, rows, distances)?;
            scores = self.graph.node("Add", &scope, &[&scores, &fits], &[]);
        }
        Ok(scores)
    }

    /// Scores of distances with the contents of queries, `[batch, heads, seq or 1, seq]`.
    fn by_content_of_query(
        &mut self,
        index: usize,
        query: &str,
        rows: &str,
        distances: &Distances,
    ) -> Result<String> {
        let own = if distances.is_shared { self.names.key } else { distances.names.key };
        let scope = format!("{}{index}.{own}", self.names.layers);
        let table = self.of_distances(&scope, &distances.table)?;
        let by_place = self.by_place(&scope, query, &table, rows); // [batch, heads, seq or 1, 2 · seq]
        Ok(match self.is_first_alone(index) {
            true => self.between(&scope, &by_place, 3, [&distances.before, &distances.last]),
            false => self.realigned(&scope, &by_place, distances),
        })
    }

    /// Scores of distances with the contents of keys, `[batch, heads, seq or 1, seq]`.
    fn by_content_of_key(
        &mut self,
        index: usize,
        key: &str,
        rows: &str,
        distances: &Distances,
    ) -> Result<String> {
        let own = if distances.is_shared { self.names.query } else { distances.names.query };
        let scope = format!("{}{index}.{own}", self.names.layers);
        let table = self.of_distances(&scope, &distances.table)?;
        let table = self.graph.node("Div", &scope, &[&table, &distances.root], &[]);
        let by_place = self.by_place(&scope, key, &table, rows); // [batch, heads, seq, 2 · seq]
        let by_query = self.realigned(&scope, &by_place, distances);
        let across = [ints("perm", &ACROSS)];
        let by_key = self.graph.node("Transpose", &scope, &[&by_query], &across);
        if !self.is_first_alone(index) {
            return Ok(by_key);
        }
        Ok(self.graph.node("Gather", &scope, &[&by_key, &distances.zero], &[int("axis", 2)]))
    }

    /// Keys or queries of all distances, `[heads, 2 · span, size]`. They depend on no input, so
    /// onnxruntime computes them once, when it opens the file.
    fn of_distances(&mut self, scope: &str, table: &str) -> Result<String> {
        let Spec { hidden, heads, .. } = self.spec;
        let flat = self.linear(scope, table, [hidden; 2])?; // [2 · span, hidden]
        let graph = &mut self.graph;
        let shape = [0, heads as i64, (hidden / heads) as i64];
        let shape = graph.integers("distances_shape", &[3], &shape);
        let split = graph.node("Reshape", scope, &[&flat, &shape], &[]);
        Ok(graph.node("Transpose", scope, &[&split], &[ints("perm", &[1, 0, 2])]))
    }

    /// Scores of contents, `[batch, heads, seq, size]`, with the distances in `rows`.
    fn by_place(&mut self, scope: &str, contents: &str, table: &str, rows: &str) -> String {
        let graph = &mut self.graph;
        let found = graph.node("Gather", scope, &[table, rows], &[int("axis", 1)]); // [heads, 2 · seq, size]
        let columns = graph.node("Transpose", scope, &[&found], &[ints("perm", &[0, 2, 1])]);
        graph.node("MatMul", scope, &[contents, &columns], &[])
    }

    /// Brings scores by place, `[batch, heads, seq, 2 · seq]`, to scores by token, `[batch, heads,
    /// seq, seq]`: row i begins at column seq - 1 - i. In memory, that is every row one number later.
    fn realigned(&mut self, scope: &str, by_place: &str, distances: &Distances) -> String {
        let graph = &mut self.graph;
        let flat = graph.integers("flat_shape", &[3], &[0, 0, -1]);
        let flat = graph.node("Reshape", scope, &[by_place, &flat], &[]);
        let flat = self.between(scope, &flat, 2, [&distances.before, &distances.last]);
        let graph = &mut self.graph;
        let [kept, rest] = [("kept_axes", vec![0, 0]), ("other_axis", vec![-1])]
            .map(|(name, values)| graph.integers(name, &[values.len()], &values));
        let shape = graph.node("Concat", scope, &[&kept, &distances.seq, &rest], &[int("axis", 0)]);
        let rows = graph.node("Reshape", scope, &[&flat, &shape], &[]); // [batch, heads, seq, 2 · seq - 1]
        self.between(scope, &rows, 3, [&distances.zero, &distances.seq])
    }

    /// What lies from one place of an axis up to another.
    fn between(&mut self, scope: &str, x: &str, axis: i64, [from, to]: [&str; 2]) -> String {
        let axis = self.graph.integers(&format!("axis_{axis}"), &[1], &[axis]);
        self.graph.node("Slice", scope, &[x, from, to, &axis], &[])
    }
}
