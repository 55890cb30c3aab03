//! What a network calls: the kernels, and their place in autodiff.

use super::attention::Weighing;
use super::dropped::Drops;
use super::layer::{LayerPlan, LayerTensors};
use super::norm::Norming;
use super::op::{DeviceKernels, Turns};
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::FloatDType;
use burn_cubecl::CubeBackend;

/// The scores of attention, not scaled yet.
pub fn scores<B: DeviceKernels>(query: FloatTensor<B>, key: FloatTensor<B>) -> FloatTensor<B> {
    B::multiplied(query, key, Turns { lhs: false, rhs: true })
}

/// Operations that know their gradients.
#[backend_extension(Cube, Autodiff: cfg(feature = "train"))]
pub trait LayerOps: Backend {
    /// The weights of attention after dropout.
    fn weighed(
        scores: FloatTensor<Self>,
        is_hidden: FloatTensor<Self>,
        weighing: Weighing,
    ) -> FloatTensor<Self>;

    /// The values by these weights. The backward pass computes the weights again.
    fn attended(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        is_hidden: FloatTensor<Self>,
        weighing: Weighing,
    ) -> FloatTensor<Self>;

    /// The product of `[rows, in]` and `[in, out]` in f32. Its factors are rounded to `dtype`.
    fn weighted(
        x: FloatTensor<Self>,
        matrix: FloatTensor<Self>,
        dtype: FloatDType,
    ) -> FloatTensor<Self>;

    /// A whole layer.
    fn encoded(
        x: FloatTensor<Self>,
        is_hidden: FloatTensor<Self>,
        #[extension_type] tensors: LayerTensors<Self>,
        plan: LayerPlan,
    ) -> FloatTensor<Self>;

    fn normed(
        x: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        norming: Norming,
    ) -> FloatTensor<Self>;

    fn with_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    fn activated(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    fn thinned(x: FloatTensor<Self>, drops: Drops) -> FloatTensor<Self>;

    /// Rows of a table by their numbers; the others say where each row was taken.
    fn taken(
        table: FloatTensor<Self>,
        ids: IntTensor<Self>,
        places: IntTensor<Self>,
        stretches: IntTensor<Self>,
        starts: IntTensor<Self>,
        rows: IntTensor<Self>,
    ) -> FloatTensor<Self>;
}

macro_rules! without_gradients {
    () => {
        fn weighed(
            scores: FloatTensor<Self>,
            is_hidden: FloatTensor<Self>,
            weighing: Weighing,
        ) -> FloatTensor<Self> {
            let (probabilities, dropped) = Self::weights(scores, is_hidden, weighing);
            if weighing.drops.any() { dropped } else { probabilities }
        }

        fn attended(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            is_hidden: FloatTensor<Self>,
            weighing: Weighing,
        ) -> FloatTensor<Self> {
            let weights = Self::weighed(scores::<Self>(query, key), is_hidden, weighing);
            Self::multiplied(weights, value, Turns::default())
        }

        fn weighted(
            x: FloatTensor<Self>,
            matrix: FloatTensor<Self>,
            dtype: FloatDType,
        ) -> FloatTensor<Self> {
            let [x, matrix] = [x, matrix].map(|x| Self::float_cast(x, dtype));
            Self::multiplied(x, matrix, Turns::default())
        }

        fn encoded(
            x: FloatTensor<Self>,
            is_hidden: FloatTensor<Self>,
            tensors: LayerTensors<Self>,
            plan: LayerPlan,
        ) -> FloatTensor<Self> {
            Self::layer(x, is_hidden, tensors, plan).0
        }

        fn normed(
            x: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            residual: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            norming: Norming,
        ) -> FloatTensor<Self> {
            Self::norm(x, bias, residual, gamma, beta, norming).0
        }

        fn with_bias(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::biased(x, bias)
        }

        fn activated(x: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::biased_gelu(x, bias)
        }

        fn thinned(x: FloatTensor<Self>, drops: Drops) -> FloatTensor<Self> {
            Self::dropped(x, drops)
        }

        fn taken(
            table: FloatTensor<Self>,
            ids: IntTensor<Self>,
            _places: IntTensor<Self>,
            _stretches: IntTensor<Self>,
            _starts: IntTensor<Self>,
            _rows: IntTensor<Self>,
        ) -> FloatTensor<Self> {
            Self::float_select(table, 0, ids)
        }
    };
}

impl LayerOps for CubeBackend {
    without_gradients!();
}

impl<B: FusionBackend + DeviceKernels> LayerOps for Fusion<B> {
    without_gradients!();
}
