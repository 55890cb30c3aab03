//! Layers with a norm before each sub-layer, rotary positions and a gated feed-forward part.

use super::graph::{int, ints};
use super::network::{Inputs, MASKED, Writer};
use super::post_norm::BY_TOKEN;
use super::proto::DataType;
use crate::error::Result;
use whetstone_model::{PreNormNames, Rotary, Rotation, Spec};

/// The matrices in one tensor of attention, and of the feed-forward part.
const QKV: [&str; 3] = ["query", "key", "value"];
const GATED: [&str; 2] = ["inner", "gates"];

/// What all layers share that see as far.
struct Sight {
    is_local: bool,
    /// `[seq, size]`, as the next.
    cos: String,
    /// The first half of the columns with the other sign.
    sin: String,
    /// Added to the scores, `[batch, 1, 1 or seq, seq]`.
    mask: String,
}

impl Writer<'_> {
    /// # Shapes
    /// - x: `[batch, seq, hidden]`
    /// - padding: `[batch, 1, 1, seq]`
    /// - output: `[batch, seq or 1, hidden]`, normalised
    pub fn pre_norm_layers(
        &mut self,
        mut x: String,
        inputs: &Inputs,
        padding: &str,
        rotary: &Rotary,
    ) -> Result<String> {
        let Some(names) = &self.names.pre_norm else { return Err(self.unknown("layers")) };
        let seq = self.length(inputs);
        let places = self.graph.range("places", &seq); // [seq]
        let (cos, sin) = self.turns("global", &places, rotary.global_theta);
        let global = Sight { is_local: false, cos, sin, mask: padding.to_owned() };
        let has_local = (0..self.spec.layers).any(|index| !rotary.is_global(index));
        let local = has_local.then(|| {
            let (cos, sin) = self.turns("local", &places, rotary.local_theta);
            let mask = self.window(&places, padding, rotary.reach);
            Sight { is_local: true, cos, sin, mask }
        });
        for index in 0..self.spec.layers {
            let local = local.as_ref().filter(|_| !rotary.is_global(index));
            let sight = local.unwrap_or(&global);
            x = self.pre_norm_layer(index, &x, sight, names)?;
        }
        self.norm(names.final_norm, &x, self.spec.hidden)
    }

    /// The cosines and sines of every place, computed in f32 whatever the graph's numbers: in f16,
    /// places beyond 2,048 would fall together.
    fn turns(&mut self, scope: &str, places: &str, theta: f64) -> (String, String) {
        let frequencies = Rotation::frequencies(theta, self.spec.hidden / self.spec.heads);
        let graph = &mut self.graph;
        let name = format!("{scope}_frequencies");
        let frequencies = graph.floats(&name, &[frequencies.len()], &frequencies);
        let column = graph.unsqueeze(scope, places, 1); // [seq, 1]
        let column = graph.node("Cast", scope, &[&column], &[int("to", DataType::Float as i64)]);
        let angles = graph.node("Mul", scope, &[&column, &frequencies], &[]); // [seq, size / 2]
        let cos = graph.node("Cos", scope, &[&angles], &[]);
        let sin = graph.node("Sin", scope, &[&angles], &[]);
        let negative = graph.node("Neg", scope, &[&sin], &[]);
        let mut joined = |first: &str, second: &str| {
            let both = graph.node("Concat", scope, &[first, second], &[int("axis", 1)]);
            graph.narrowed(scope, &both) // [seq, size]
        };
        (joined(&cos, &cos), joined(&negative, &sin))
    }

    /// Adds to the padding what lies more than `reach` tokens away, `[batch, 1, seq, seq]`.
    fn window(&mut self, places: &str, padding: &str, reach: usize) -> String {
        let scope = "window";
        let graph = &mut self.graph;
        let reach = graph.integers("reach", &[], &[reach as i64]);
        let masked = graph.tensor("masked", &[], &[MASKED]);
        let row = graph.unsqueeze(scope, places, 0); // [1, seq]
        let column = graph.unsqueeze(scope, places, 1); // [seq, 1]
        let distance = graph.node("Sub", scope, &[&column, &row], &[]); // [seq, seq]
        let distance = graph.node("Abs", scope, &[&distance], &[]);
        let is_far = graph.node("Greater", scope, &[&distance, &reach], &[]);
        let is_far = graph.node("Cast", scope, &[&is_far], &[int("to", graph.float_type())]);
        let far = graph.node("Mul", scope, &[&is_far, &masked], &[]);
        graph.node("Add", scope, &[&far, padding], &[])
    }

    /// Self-attention, then the feed-forward part. Each reads its input normalised, but for the
    /// first layer's attention, and is added to it.
    fn pre_norm_layer(
        &mut self,
        index: usize,
        x: &str,
        sight: &Sight,
        pre: &PreNormNames,
    ) -> Result<String> {
        let (names, Spec { hidden, ffn, .. }) = (self.names, self.spec);
        let at = |part: &str| format!("{}{index}.{part}", names.layers);
        let normed = match index {
            0 => x.to_owned(),
            _ => self.norm(&at(names.attention_norm), x, hidden)?,
        }; // [batch, seq, hidden]
        let attended = self.turned_attention(index, &normed, sight, &at(pre.qkv))?;
        let scope = at(names.attention_output);
        let attended = self.unbiased(&scope, &attended, [hidden; 2])?; // [batch, seq or 1, hidden]
        let own = self.own(index, x); // [batch, seq or 1, hidden]
        let x = self.graph.node("Add", &scope, &[&own, &attended], &[]);
        let normed = self.norm(&at(names.output_norm), &x, hidden)?;
        let scope = at(names.intermediate);
        let inner = self.part(&scope, &normed, [hidden, ffn], (0, &GATED))?; // [batch, seq or 1, ffn]
        let gates = self.part(&scope, &normed, [hidden, ffn], (1, &GATED))?;
        let inner = self.gelu(&scope, &inner);
        let gated = self.graph.node("Mul", &scope, &[&inner, &gates], &[]);
        let scope = at(names.output);
        let output = self.unbiased(&scope, &gated, [ffn, hidden])?;
        Ok(self.graph.node("Add", &scope, &[&x, &output], &[]))
    }

    /// Attention of turned queries and keys, `[batch, seq or 1, hidden]`.
    fn turned_attention(
        &mut self,
        index: usize,
        x: &str,
        sight: &Sight,
        scope: &str,
    ) -> Result<String> {
        let own = self.own(index, x);
        let mut heads = |number: usize, x: &str| -> Result<String> {
            let flat = self.part(scope, x, [self.spec.hidden; 2], (number, &QKV))?;
            Ok(self.split(scope, &flat, BY_TOKEN)) // [batch, heads, seq, size]
        };
        let (query, key, value) = (heads(0, &own)?, heads(1, x)?, heads(2, x)?);
        let key = self.turn(scope, &key, sight);
        let key = self.graph.node("Transpose", scope, &[&key], &[ints("perm", &[0, 1, 3, 2])]);
        if !self.is_first_alone(index) {
            let query = self.turn(scope, &query, sight);
            return Ok(self.attention(scope, [&query, &key, &value], &sight.mask));
        }
        // The first token stands at place 0, which turns by nothing, and of a window it needs a row.
        let mask = match sight.is_local {
            true => {
                let first = self.graph.integers("axis_0", &[1], &[0]);
                self.graph.node("Gather", scope, &[&sight.mask, &first], &[int("axis", 2)])
            }
            false => sight.mask.clone(),
        };
        Ok(self.attention(scope, [&query, &key, &value], &mask))
    }

    /// Turns queries or keys, `[batch, heads, seq, size]`, by the places of their tokens.
    fn turn(&mut self, scope: &str, x: &str, sight: &Sight) -> String {
        let graph = &mut self.graph;
        let [first, second] = graph.halves(scope, x, -1);
        let turned = graph.node("Concat", scope, &[&second, &first], &[int("axis", -1)]);
        let turned = graph.node("Mul", scope, &[&turned, &sight.sin], &[]);
        let kept = graph.node("Mul", scope, &[x, &sight.cos], &[]);
        graph.node("Add", scope, &[&kept, &turned], &[])
    }

    /// A linear layer without bias.
    fn unbiased(&mut self, scope: &str, x: &str, [inner, out]: [usize; 2]) -> Result<String> {
        let weight = &self.tensor(&format!("{scope}.weight"), &[out, inner])?.values;
        Ok(self.graph.product(scope, x, [out, inner], weight))
    }

    /// The same with one of several matrices that the file has one below the other.
    fn part(
        &mut self,
        scope: &str,
        x: &str,
        [inner, out]: [usize; 2],
        (number, parts): (usize, &[&str]),
    ) -> Result<String> {
        let shape = [parts.len() * out, inner];
        let weights = &self.tensor(&format!("{scope}.weight"), &shape)?.values;
        let weight = &weights[number * out * inner..][..out * inner];
        Ok(self.graph.product(&format!("{scope}.{}", parts[number]), x, [out, inner], weight))
    }
}
