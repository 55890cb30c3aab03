//! Vectors one after the other.

use super::device::{empty, flat};
use super::lanes::threads;
use burn::tensor::Shape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// How many vectors one kernel joins.
pub const PARTS: usize = 8;

/// Joins the first `count` of the vectors. Burn's own `cat` launches a kernel for each.
pub fn join(parts: [CubeTensor; PARTS], count: usize) -> CubeTensor {
    let parts = parts.map(flat);
    let len = parts[..count].iter().map(|part| part.meta.num_elements()).sum();
    let out = empty(&parts[0], Shape::new([len]));
    let (cubes, dim) = threads(len);
    let client = out.client.clone();
    let [a, b, c, d, e, f, g, h] = parts.map(|part| part.into_tensor_arg());
    let to = out.clone().into_tensor_arg();
    join_kernel::launch(&client, cubes, dim, a, b, c, d, e, f, g, h, to, count as u32);
    out
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn join_kernel(
    a: &Tensor<f32>,
    b: &Tensor<f32>,
    c: &Tensor<f32>,
    d: &Tensor<f32>,
    e: &Tensor<f32>,
    f: &Tensor<f32>,
    g: &Tensor<f32>,
    h: &Tensor<f32>,
    out: &mut Tensor<f32>,
    #[comptime] count: u32,
) {
    let at = ABSOLUTE_POS;
    if at < out.len() {
        let mut value = pick(a, at, 0, f32::new(0.0));
        let mut start = a.len();
        if count > 1 {
            value = pick(b, at, start, value);
            start += b.len();
        }
        if count > 2 {
            value = pick(c, at, start, value);
            start += c.len();
        }
        if count > 3 {
            value = pick(d, at, start, value);
            start += d.len();
        }
        if count > 4 {
            value = pick(e, at, start, value);
            start += e.len();
        }
        if count > 5 {
            value = pick(f, at, start, value);
            start += f.len();
        }
        if count > 6 {
            value = pick(g, at, start, value);
            start += g.len();
        }
        if count > 7 {
            value = pick(h, at, start, value);
        }
        out[at] = value;
    }
}

/// The value at a place, if it lies in the vector that begins at `start`; else what was known.
#[cube]
fn pick(part: &Tensor<f32>, at: usize, start: usize, known: f32) -> f32 {
    let mut value = known;
    if at >= start && at < start + part.len() {
        value = part[at - start];
    }
    value
}
