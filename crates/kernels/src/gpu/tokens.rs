//! Which tokens of its input a layer computes: all, or the first of each sequence.

use super::device::{elem, empty, flat};
use super::heads::{Heads, merge, split};
use super::lanes::{threads, width};
use burn::tensor::Shape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// How many tokens of a sequence ask the others where only the first is wanted. Products have no
/// faster kernels for fewer rows.
const ASKING: usize = 32;

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
        if self.first_only { seq.min(ASKING) } else { seq }
    }

    /// How many of them come out.
    pub fn out(&self) -> usize {
        if self.first_only { 1 } else { self.heads.seq }
    }

    /// Those of all tokens, `[batch · seq, hidden]`.
    pub fn rows(&self) -> Shape {
        Shape::new([self.heads.batch * self.heads.seq, self.heads.hidden()])
    }

    /// Those that come out, `[batch · out, hidden]`.
    pub fn rows_out(&self) -> Shape {
        Shape::new([self.heads.batch * self.out(), self.heads.hidden()])
    }

    /// Of one head after the other, `[batch, heads, tokens, size]`.
    pub fn of_heads(&self, tokens: usize) -> Shape {
        Shape::new([self.heads.batch, self.heads.heads, tokens, self.heads.size])
    }

    fn all_heads(&self) -> usize {
        self.heads.batch * self.heads.heads
    }

    /// From the rows of all tokens to those that come out.
    pub fn coming_out(&self, x: CubeTensor) -> CubeTensor {
        if self.first_only { resized(x, self.heads.batch, self.rows_out()) } else { x }
    }

    /// The gradients of all tokens' rows, of those that came out.
    pub fn spread(&self, d_out: CubeTensor) -> CubeTensor {
        if self.first_only { resized(d_out, self.heads.batch, self.rows()) } else { d_out }
    }

    /// From the queries of all tokens, `[batch, heads, seq, size]`, to those that ask.
    pub fn queries(&self, query: CubeTensor) -> CubeTensor {
        let shape = self.of_heads(self.asking());
        if self.first_only { resized(query, self.all_heads(), shape) } else { query }
    }

    /// The gradients of all queries, of those that asked.
    pub fn spread_queries(&self, d_query: CubeTensor) -> CubeTensor {
        let shape = self.of_heads(self.heads.seq);
        if self.first_only { resized(d_query, self.all_heads(), shape) } else { d_query }
    }

    /// From what attention gave, `[batch, heads, asking, size]`, to rows that come out.
    pub fn merged(&self, attended: CubeTensor) -> CubeTensor {
        match self.first_only {
            true => resized(attended, self.all_heads(), self.rows_out()),
            false => merge([attended], self.heads),
        }
    }

    /// The gradients of what attention gave, of the rows that came out.
    pub fn split(&self, d_attended: CubeTensor) -> CubeTensor {
        if self.first_only {
            return resized(d_attended, self.all_heads(), self.of_heads(self.asking()));
        }
        let [d_attended] = split(d_attended, None, self.heads);
        d_attended
    }
}

/// Cuts each of `groups` stretches of values, which lie one after the other, to the length that
/// `shape` leaves it, or fills it up with zeros.
fn resized(x: CubeTensor, groups: usize, shape: Shape) -> CubeTensor {
    let x = flat(x);
    let out = empty(&x, shape, x.dtype);
    let [from, to] = [&x, &out].map(|x| x.meta.num_elements() / groups.max(1));
    let width = width(from.min(to));
    let vectors = out.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let (client, dtype) = (x.client.clone(), elem(&x));
    let (x, written) = (x.into_tensor_arg(), out.clone().into_tensor_arg());
    let (from, to) = (from / width, to / width);
    resize_kernel::launch(&client, count, dim, width, x, written, vectors, from, to, dtype);
    out
}

#[cube(launch)]
fn resize_kernel<T: Float, N: Size>(
    x: &Tensor<Vector<T, N>>,
    out: &mut Tensor<Vector<T, N>>,
    vectors: usize,
    from: usize,
    to: usize,
    #[define(T)] _dtype: ElemType,
) {
    if ABSOLUTE_POS < vectors {
        let at = ABSOLUTE_POS % to;
        let mut value = Vector::<T, N>::cast_from(Vector::<f32, N>::new(0.0));
        if at < from {
            value = x[(ABSOLUTE_POS / to) * from + at];
        }
        out[ABSOLUTE_POS] = value;
    }
}
