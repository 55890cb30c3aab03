//! The optimizer's step over flat memory, and the norm that clips it.

use super::columns::sums;
use super::device::{columns, empty, empty_like, flat, own};
use super::lanes::{LANES, ROWS, run_in_step, shape, sum, sum_of_rows, threads, total, width};
use crate::AdamWStep;
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Cubes that add up squares.
const CUBES: usize = 1024;

/// Σ x², `[1]`, in a fixed order.
pub fn squares(x: CubeTensor) -> CubeTensor {
    let x = flat(x);
    let out = empty(&x, Shape::new([CUBES, 1]), DType::F32);
    let client = x.client.clone();
    let (dim, in_step) = (shape(&client), run_in_step(&client));
    let width = width(columns(&x));
    let vectors = x.meta.num_elements() / width;
    let count = CubeCount::Static(CUBES as u32, 1, 1);
    let to = out.clone().into_tensor_arg();
    squares_kernel::launch(&client, count, dim, width, x.into_tensor_arg(), to, vectors, in_step);
    sums(out)
}

#[cube(launch)]
fn squares_kernel<N: Size>(
    x: &Tensor<Vector<f32, N>>,
    out: &mut Tensor<f32>,
    vectors: usize,
    #[comptime] in_step: bool,
) {
    let mut shared = Shared::<[f32]>::new_slice((LANES * ROWS) as usize);
    let mut squares = f32::new(0.0);
    let mut at = ABSOLUTE_POS;
    while at < vectors {
        squares += total(x[at] * x[at]);
        at += CUBE_COUNT * CUBE_DIM as usize;
    }
    let of_row = sum(squares, &mut shared, in_step);
    sync_cube();
    let all = sum_of_rows(of_row, &mut shared);
    if UNIT_POS == 0 {
        out[CUBE_POS] = all;
    }
}

/// The numbers of a step within a kernel.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub struct StepArgs {
    /// The rate by the first moment's correction.
    rate: f32,
    beta1: f32,
    beta2: f32,
    eps: f32,
    /// What weight decay leaves of a weight.
    share: f32,
    correction2_sqrt: f32,
    max_norm: f32,
}

/// Returns weights and moments after a step of AdamW whose gradients are scaled down to `max_norm`,
/// unless that is 0. A norm that is no number changes nothing.
pub fn adamw(
    [weights, first, second]: [CubeTensor; 3],
    gradients: CubeTensor,
    norm: CubeTensor,
    (step, max_norm): (AdamWStep, f32),
) -> [CubeTensor; 3] {
    let (weights, gradients, norm) = (flat(weights), flat(gradients), flat(norm));
    // The network looks at parts of the weights.
    let out = empty_like(&weights);
    let [first, second] = [first, second].map(|moment| own(flat(moment)));
    let width = width(columns(&weights));
    let vectors = weights.meta.num_elements() / width;
    let (count, dim) = threads(vectors);
    let client = weights.client.clone();
    adamw_kernel::launch(
        &client,
        count,
        dim,
        width,
        weights.into_tensor_arg(),
        gradients.into_tensor_arg(),
        norm.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        first.clone().into_tensor_arg(),
        second.clone().into_tensor_arg(),
        vectors,
        StepArgsLaunch::new(
            step.lr / step.correction1,
            step.beta1,
            step.beta2,
            step.eps,
            1.0 - step.lr * step.weight_decay,
            step.correction2_sqrt,
            max_norm,
        ),
    );
    [out, first, second]
}

#[cube(launch)]
#[allow(clippy::too_many_arguments, reason = "a kernel's arguments are its interface")]
fn adamw_kernel<N: Size>(
    weights: &Tensor<Vector<f32, N>>,
    gradients: &Tensor<Vector<f32, N>>,
    norm: &Tensor<f32>,
    out: &mut Tensor<Vector<f32, N>>,
    first: &mut Tensor<Vector<f32, N>>,
    second: &mut Tensor<Vector<f32, N>>,
    vectors: usize,
    step: StepArgs,
) {
    let at = ABSOLUTE_POS;
    if at < vectors {
        let norm = norm[0];
        let mut weight = weights[at];
        // Neither infinity nor NaN.
        if norm <= f32::MAX {
            let mut scale = f32::new(1.0);
            if step.max_norm > 0.0 {
                scale = min(step.max_norm / (norm + 1.0e-6), 1.0);
            }
            let gradient = gradients[at] * Vector::new(scale);
            let mean =
                first[at] * Vector::new(step.beta1) + gradient * Vector::new(1.0 - step.beta1);
            let square = second[at] * Vector::new(step.beta2)
                + gradient * gradient * Vector::new(1.0 - step.beta2);
            let root = square.sqrt() / Vector::new(step.correction2_sqrt) + Vector::new(step.eps);
            weight = weight * Vector::new(step.share) - mean / root * Vector::new(step.rate);
            first[at] = mean;
            second[at] = square;
        }
        out[at] = weight;
    }
}
