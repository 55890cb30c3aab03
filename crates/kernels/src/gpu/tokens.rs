//! Which tokens of its input a layer computes: all, or the first of each sequence.

use super::device::{elem, empty, flat, shaped};
use super::heads::{Heads, merge, split};
use super::lanes::{threads, width};
use burn::tensor::Shape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// How many tokens of a sequence ask the others where only the first is wanted, and what the rows of
/// those are filled up to a multiple of: products have no faster kernels for fewer rows, and all
/// shapes stay such as whole layers have.
const BLOCK: usize = 32;

/// How the tokens of a layer's input lie, and which of them come out.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    pub heads: Heads,
    pub first_only: bool,
}

impl Tokens {
    /// How many tokens of a sequence ask the others.
    pub fn asking(&self) -> usize {
        let seq = self.heads.seq;
        if self.first_only { seq.min(BLOCK) } else { seq }
    }

    /// How many of them come out.
    pub fn out(&self) -> usize {
        if self.first_only { 1 } else { self.heads.seq }
    }

    /// How many rows come out, with those of zeros behind them.
    pub fn out_rows(&self) -> usize {
        let batch = self.heads.batch;
        if self.first_only { batch.next_multiple_of(BLOCK) } else { batch * self.heads.seq }
    }

    /// Those of all tokens, `[batch · seq, hidden]`.
    pub fn rows(&self) -> Shape {
        Shape::new([self.heads.batch * self.heads.seq, self.heads.hidden()])
    }

    /// Those that come out, `[out rows, hidden]`.
    fn rows_out(&self) -> Shape {
        Shape::new([self.out_rows(), self.heads.hidden()])
    }

    /// The tokens that come out, `[batch, out, hidden]`.
    pub fn shape_out(&self) -> Shape {
        Shape::new([self.heads.batch, self.out(), self.heads.hidden()])
    }

    /// Of one head after the other, `[batch, heads, tokens, size]`.
    pub fn of_heads(&self, tokens: usize) -> Shape {
        Shape::new([self.heads.batch, self.heads.heads, tokens, self.heads.size])
    }

    /// From the rows of all tokens to those that come out.
    pub fn coming_out(&self, x: CubeTensor) -> CubeTensor {
        self.of_each_sequence(x, [self.heads.seq, self.out()], self.rows_out())
    }

    /// The gradients of all tokens' rows, of those that came out.
    pub fn spread(&self, d_rows: CubeTensor) -> CubeTensor {
        self.of_each_sequence(d_rows, [self.out(), self.heads.seq], self.rows())
    }

    /// From rows that come out to `[batch, out, hidden]`.
    pub fn without_filling(&self, x: CubeTensor) -> CubeTensor {
        self.of_each_sequence(x, [self.out(); 2], self.shape_out())
    }

    /// From `[batch, out, hidden]` to rows that come out.
    pub fn filled(&self, x: CubeTensor) -> CubeTensor {
        self.of_each_sequence(x, [self.out(); 2], self.rows_out())
    }

    /// From the queries of all tokens, `[batch, heads, seq, size]`, to those that ask.
    pub fn queries(&self, query: CubeTensor) -> CubeTensor {
        let [all, asking] = [self.heads.seq, self.asking()];
        self.of_each_head(query, [all, asking], self.of_heads(asking))
    }

    /// The gradients of all queries, of those that asked.
    pub fn spread_queries(&self, d_query: CubeTensor) -> CubeTensor {
        let [all, asking] = [self.heads.seq, self.asking()];
        self.of_each_head(d_query, [asking, all], self.of_heads(all))
    }

    /// From what attention gave, `[batch, heads, asking, size]`, to rows that come out.
    pub fn merged(&self, attended: CubeTensor) -> CubeTensor {
        match self.first_only {
            true => self.of_each_head(attended, [self.asking(), 1], self.rows_out()),
            false => merge([attended], self.heads),
        }
    }

    /// The gradients of what attention gave, of the rows that came out.
    pub fn split(&self, d_attended: CubeTensor) -> CubeTensor {
        let asking = self.asking();
        if self.first_only {
            return self.of_each_head(d_attended, [1, asking], self.of_heads(asking));
        }
        let [d_attended] = split(d_attended, None, self.heads);
        d_attended
    }

    /// Takes so many tokens of each sequence for so many.
    fn of_each_sequence(&self, x: CubeTensor, tokens: [usize; 2], shape: Shape) -> CubeTensor {
        let lengths = tokens.map(|tokens| tokens * self.heads.hidden());
        resized(x, self.heads.batch, lengths, shape)
    }

    /// The same for each head.
    fn of_each_head(&self, x: CubeTensor, tokens: [usize; 2], shape: Shape) -> CubeTensor {
        let Heads { batch, heads, size, .. } = self.heads;
        resized(x, batch * heads, tokens.map(|tokens| tokens * size), shape)
    }
}

/// Cuts each of `groups` stretches of values, which lie one after the other, to another length, or
/// fills it up with zeros. What `shape` has room for behind them is zero too.
fn resized(x: CubeTensor, groups: usize, [from, to]: [usize; 2], shape: Shape) -> CubeTensor {
    let x = flat(x);
    if from == to && x.meta.num_elements() == shape.num_elements() {
        return shaped(x, shape);
    }
    let out = empty(&x, shape, x.dtype);
    let width = width(from.min(to));
    let vectors = out.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let (client, dtype) = (x.client.clone(), elem(&x));
    let (x, written) = (x.into_tensor_arg(), out.clone().into_tensor_arg());
    let (from, to) = (from / width, to / width);
    resize_kernel::launch(&client, count, dim, width, x, written, vectors, groups, from, to, dtype);
    out
}

#[cube(launch)]
fn resize_kernel<T: Float, N: Size>(
    x: &Tensor<Vector<T, N>>,
    out: &mut Tensor<Vector<T, N>>,
    vectors: usize,
    groups: usize,
    from: usize,
    to: usize,
    #[define(T)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < vectors {
        let (group, at) = (ABSOLUTE_POS / to, ABSOLUTE_POS % to);
        let mut value = Vector::<T, N>::cast_from(Vector::<f32, N>::new(0.0));
        if group < groups && at < from {
            value = x[group * from + at];
        }
        out[ABSOLUTE_POS] = value;
    }
}
