//! Backward passes of the operations.

use super::attention::Weighing;
use super::dropped::Drops;
use super::layer::{LayerKept, LayerPlan, LayerTensors};
use super::layer_ops::{LayerOps, scores};
use super::norm::Norming;
use super::op::{DeviceKernels, Turns};
use burn::backend::TensorMetadata;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::FloatDType;

/// Registers a gradient with an operation's parent, if that wants one.
macro_rules! give {
    ($grads:expr, $parent:expr, $gradient:expr) => {
        if let Some(node) = $parent {
            let gradient = $gradient;
            $grads.register::<B>(node.id, gradient);
        }
    };
}

#[derive(Debug)]
struct Weighed;

impl<B: DeviceKernels> Backward<B, 1> for Weighed {
    type State = (FloatTensor<B>, Weighing);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_weights = grads.consume::<B>(&ops.node);
        let (probabilities, weighing) = ops.state;
        let [scores] = ops.parents;
        give!(grads, scores, B::weights_gradient(d_weights, probabilities, weighing));
    }
}

#[derive(Debug)]
struct Attended;

impl<B: DeviceKernels> Backward<B, 3> for Attended {
    /// Query, key, value and which keys are hidden.
    type State = ([FloatTensor<B>; 4], Weighing);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = grads.consume::<B>(&ops.node);
        let ([q, k, v, is_hidden], weighing) = ops.state;
        let [query, key, value] = ops.parents;
        let by = |lhs, rhs, turns: [bool; 2]| {
            B::multiplied(lhs, rhs, Turns { lhs: turns[0], rhs: turns[1] })
        };
        let scores = scores::<B>(q.clone(), k.clone());
        let (probabilities, dropped) = B::weights(scores, is_hidden, weighing);
        let weights = if weighing.drops.any() { dropped } else { probabilities.clone() };
        give!(grads, value, by(weights, d_out.clone(), [true, false]));
        let d_weights = by(d_out, v, [false, true]);
        let d_scores = B::weights_gradient(d_weights, probabilities, weighing);
        give!(grads, query, by(d_scores.clone(), k, [false, false]));
        give!(grads, key, by(d_scores, q, [true, false]));
    }
}

#[derive(Debug)]
struct Normed;

impl<B: DeviceKernels> Backward<B, 5> for Normed {
    /// The normalised values, the factors and gamma.
    type State = ([FloatTensor<B>; 3], Norming);

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = grads.consume::<B>(&ops.node);
        let ([normalised, factors, gamma_value], norming) = ops.state;
        let [x, bias, residual, gamma, beta] = ops.parents;
        let (d_sum, d_x, (d_gamma, d_beta, d_bias)) =
            B::norm_gradient(d_out, normalised, factors, gamma_value, norming);
        give!(grads, gamma, d_gamma);
        if norming.has_beta {
            give!(grads, beta, d_beta);
        }
        if norming.is_sum {
            give!(grads, bias, d_bias);
            give!(grads, residual, d_sum);
        }
        give!(grads, x, d_x);
    }
}

#[derive(Debug)]
struct Weighted;

impl<B: DeviceKernels> Backward<B, 2> for Weighted {
    /// Both factors, rounded, and what they are rounded to.
    type State = ([FloatTensor<B>; 2], FloatDType);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = grads.consume::<B>(&ops.node);
        let ([x_value, matrix_value], dtype) = ops.state;
        let [x, matrix] = ops.parents;
        let d_out = B::float_cast(d_out, dtype);
        give!(grads, matrix, B::multiplied_over_rows(x_value, d_out.clone()));
        let back = Turns { lhs: false, rhs: true };
        give!(grads, x, B::multiplied(d_out, matrix_value, back));
    }
}

#[derive(Debug)]
struct Encoded;

impl<B: DeviceKernels> Backward<B, 17> for Encoded {
    /// What was kept, which keys are hidden, and the parameters.
    type State = (LayerKept<B>, FloatTensor<B>, LayerTensors<B>, LayerPlan);

    fn backward(self, ops: Ops<Self::State, 17>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = grads.consume::<B>(&ops.node);
        let (kept, is_hidden, tensors, plan) = ops.state;
        let (d_x, gradients) = B::layer_gradient(d_out, kept, is_hidden, tensors, plan);
        let [x, parameters @ ..] = ops.parents;
        give!(grads, x, d_x);
        for (parameter, gradient) in parameters.into_iter().zip(gradients.in_turn()) {
            give!(grads, parameter, gradient);
        }
    }
}

#[derive(Debug)]
struct WithBias;

impl<B: DeviceKernels> Backward<B, 2> for WithBias {
    type State = ();

    fn backward(self, ops: Ops<(), 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = grads.consume::<B>(&ops.node);
        let [x, bias] = ops.parents;
        give!(grads, bias, B::column_sums(d_out.clone()));
        give!(grads, x, d_out);
    }
}

#[derive(Debug)]
struct Activated;

impl<B: DeviceKernels> Backward<B, 2> for Activated {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = grads.consume::<B>(&ops.node);
        let [x_value, bias_value] = ops.state;
        let [x, bias] = ops.parents;
        let d_x = B::gelu_gradient(d_out, x_value, bias_value);
        give!(grads, bias, B::column_sums(d_x.clone()));
        give!(grads, x, d_x);
    }
}

#[derive(Debug)]
struct Thinned;

impl<B: DeviceKernels> Backward<B, 1> for Thinned {
    type State = Drops;

    fn backward(self, ops: Ops<Drops, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_out = grads.consume::<B>(&ops.node);
        let [x] = ops.parents;
        give!(grads, x, B::dropped(d_out, ops.state));
    }
}

#[derive(Debug)]
struct TakenRows;

impl<B: DeviceKernels> Backward<B, 1> for TakenRows {
    /// Where each row was taken, and how many rows the table has.
    type State = ([IntTensor<B>; 4], usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let d_taken = grads.consume::<B>(&ops.node);
        let ([places, stretches, starts, rows], table_rows) = ops.state;
        let [table] = ops.parents;
        let gradient = || B::rows_gradient(d_taken, places, stretches, starts, rows, table_rows);
        give!(grads, table, gradient());
    }
}

impl<B: DeviceKernels, C: CheckpointStrategy> LayerOps for Autodiff<B, C> {
    fn weighed(
        scores: FloatTensor<Self>,
        is_hidden: FloatTensor<Self>,
        weighing: Weighing,
    ) -> FloatTensor<Self> {
        let prepared =
            Backward::<B, 1>::prepare::<C>(Weighed, [scores.node()]).compute_bound().stateful();
        let (scores, is_hidden) = (scores.into_primitive(), is_hidden.into_primitive());
        let (probabilities, dropped) = B::weights(scores, is_hidden, weighing);
        let out = if weighing.drops.any() { dropped } else { probabilities.clone() };
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((probabilities, weighing), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn attended(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        is_hidden: FloatTensor<Self>,
        weighing: Weighing,
    ) -> FloatTensor<Self> {
        let nodes = [query.node(), key.node(), value.node()];
        let prepared = Backward::<B, 3>::prepare::<C>(Attended, nodes).compute_bound().stateful();
        let [q, k, v, is_hidden] = [query, key, value, is_hidden].map(|x| x.into_primitive());
        let (probabilities, dropped) =
            B::weights(scores::<B>(q.clone(), k.clone()), is_hidden.clone(), weighing);
        let weights = if weighing.drops.any() { dropped } else { probabilities };
        let out = B::multiplied(weights, v.clone(), Turns::default());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(([q, k, v, is_hidden], weighing), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn weighted(
        x: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        dtype: FloatDType,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), matrix.node()];
        let prepared = Backward::<B, 2>::prepare::<C>(Weighted, nodes).compute_bound().stateful();
        let [x, matrix] = [x, matrix].map(|x| B::float_cast(x.into_primitive(), dtype));
        let out = B::multiplied(x.clone(), matrix.clone(), Turns::default());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(([x, matrix], dtype), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn encoded(
        x: FloatTensor<Self>,
        is_hidden: FloatTensor<Self>,
        tensors: LayerTensors<Self>,
        plan: LayerPlan,
    ) -> FloatTensor<Self> {
        let inputs = tensors.clone().in_turn();
        let mut nodes = std::iter::once(&x).chain(&inputs).map(|input| input.node());
        let nodes = std::array::from_fn(|_| nodes.next().expect("a layer has 16 parameters"));
        let prepared = Backward::<B, 17>::prepare::<C>(Encoded, nodes).compute_bound().stateful();
        let (x, is_hidden) = (x.into_primitive(), is_hidden.into_primitive());
        let tensors = tensors.map::<B>(|tensor| tensor.into_primitive());
        let (out, kept) = B::layer(x, is_hidden.clone(), tensors.clone(), plan);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish((kept, is_hidden, tensors, plan), out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn normed(
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norming: Norming,
    ) -> FloatTensor<Self> {
        let inputs = [x, bias, residual, gamma, beta];
        let nodes = inputs.each_ref().map(|input| input.node());
        let prepared = Backward::<B, 5>::prepare::<C>(Normed, nodes).compute_bound().stateful();
        let [x, bias, residual, gamma, beta] = inputs.map(|input| input.into_primitive());
        let (out, normalised, factors) = B::norm(x, bias, residual, gamma.clone(), beta, norming);
        match prepared {
            OpsKind::Tracked(prepared) => {
                prepared.finish(([normalised, factors, gamma], norming), out)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn with_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), bias.node()];
        Backward::<B, 2>::prepare::<C>(WithBias, nodes)
            .compute_bound()
            .stateless(B::biased(x.into_primitive(), bias.into_primitive()))
    }

    fn activated(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), bias.node()];
        let prepared = Backward::<B, 2>::prepare::<C>(Activated, nodes).compute_bound().stateful();
        let (x, bias) = (x.into_primitive(), bias.into_primitive());
        let out = B::biased_gelu(x.clone(), bias.clone());
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish([x, bias], out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn thinned(x: FloatTensor<Self>, drops: Drops) -> FloatTensor<Self> {
        let prepared =
            Backward::<B, 1>::prepare::<C>(Thinned, [x.node()]).compute_bound().stateful();
        let out = B::dropped(x.into_primitive(), drops);
        match prepared {
            OpsKind::Tracked(prepared) => prepared.finish(drops, out),
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }

    fn taken(
        table: FloatTensor<Self>,
        ids: IntTensor<Self>,
        places: IntTensor<Self>,
        stretches: IntTensor<Self>,
        starts: IntTensor<Self>,
        rows: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let prepared =
            Backward::<B, 1>::prepare::<C>(TakenRows, [table.node()]).compute_bound().stateful();
        let table = table.into_primitive();
        let table_rows = table.shape()[0];
        let out = B::float_select(table, 0, ids);
        match prepared {
            OpsKind::Tracked(prepared) => {
                prepared.finish(([places, stretches, starts, rows], table_rows), out)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(out),
        }
    }
}
