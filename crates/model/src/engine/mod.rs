//! How a network runs: packed on the CPU with the kernels, padded elsewhere and where there are no
//! kernels for it. No other module asks which.

mod device;
mod dropout;
mod packed;
mod padded;
#[cfg(any(feature = "gpu", test))]
mod probe;
mod reading;
mod survey;
#[cfg(feature = "train")]
mod training;

pub use device::{DeviceName, Placement};
pub use dropout::StepDropout;
#[cfg(any(feature = "gpu", test))]
pub use probe::is_trying_out;
pub use reading::Reading;
pub use survey::{Surveyed, devices};
#[cfg(feature = "train")]
pub use training::AdamWState;

use crate::batch::Packed;
use crate::error::{Error, Result};
use crate::group::by_length;
use crate::nn::Encoder;
use crate::spec::Spec;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::sync::atomic::{AtomicUsize, Ordering};
use whetstone_kernels::Precision;

/// Tokens of the longest sequence that was to be scored or embedded.
static LONGEST: AtomicUsize = AtomicUsize::new(0);

/// Returns the tokens of the longest text that this program was to score or embed, so that it can
/// name what did not fit into a device's memory; None before the first.
pub fn longest_text_tokens() -> Option<usize> {
    Some(LONGEST.load(Ordering::Relaxed)).filter(|tokens| *tokens > 0)
}

/// This build has no device that must be tried out.
#[cfg(not(any(feature = "gpu", test)))]
pub fn is_trying_out() -> bool {
    false
}

/// A device, and how a network runs there.
#[derive(Clone, Debug)]
pub struct Engine {
    device: Device,
    layout: Layout,
    precision: Precision,
    /// Whether the kernels keep only the inputs of layers for the backward pass.
    recompute: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Packed,
    Padded,
}

/// Tokens of one forward pass on the CPU: enough for efficient matrix products, few enough to stay
/// near the caches.
const TOKENS: usize = 4096;
/// Tokens of one forward pass elsewhere: enough to keep a GPU busy for longer than it takes to
/// launch all its kernels. Twelve heads' attention to 512 tokens takes 400 MB a layer.
pub(crate) const TOKENS_APART: usize = 16_384;

/// A vector for each token of a batch, in the layout of the engine.
pub(crate) enum Hidden {
    /// `[tokens, hidden]`.
    Packed(Tensor<2>),
    /// `[batch, seq, hidden]`.
    Padded(Tensor<3>),
}

impl Engine {
    /// Opens a device, or says why there is none: not built in, or no such hardware.
    pub fn open(name: DeviceName) -> Result<Self> {
        Ok(Self::open_several(name, 1)?.remove(0))
    }

    /// Opens a device to score or to embed in a precision.
    ///
    /// # Errors
    /// As [`Engine::open`]; [`Error::NoPrecision`] where the device cannot compute in it.
    pub fn placed(Placement { device, precision }: Placement) -> Result<Self> {
        let engine = Self::open(device)?;
        match engine.supports(precision) {
            true => Ok(engine.with_precision(precision)),
            false => Err(Error::NoPrecision { device, precision }),
        }
    }

    /// Opens several devices of a kind, the first `count` GPUs. There is only one CPU.
    pub fn open_several(name: DeviceName, count: usize) -> Result<Vec<Self>> {
        let layout = match name {
            DeviceName::Cpu => Layout::Packed,
            DeviceName::Ndarray | DeviceName::Cuda | DeviceName::Wgpu => Layout::Padded,
        };
        let devices = device::open(name, count)?.into_iter();
        let precision = Precision::F32;
        let engine = |device| Self { device, layout, precision, recompute: false };
        Ok(devices.map(engine).collect())
    }

    /// The same device with the large products of a network in `precision`.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same device without the kernels: it tests on a CPU what a GPU computes.
    pub fn without_kernels(&self) -> Self {
        Self { layout: Layout::Padded, ..self.clone() }
    }

    /// Whether sequences of similar length should share a batch of such a network, to save padding.
    pub fn pads(&self, spec: &Spec) -> bool {
        self.layout_of(spec) == Layout::Padded
    }

    /// Whether the device works on while the host goes on. Then results are read late and together,
    /// and all parameters take their step at once.
    pub fn works_apart(&self) -> bool {
        self.layout == Layout::Padded
    }

    /// Whether it computes products in this precision. Elsewhere they are computed in f32.
    pub fn supports(&self, precision: Precision) -> bool {
        match self.layout {
            Layout::Packed => precision.is_supported(),
            Layout::Padded => computes(&self.device, precision),
        }
    }

    /// The precision in which such a network computes its large products here. On a CPU the kernels
    /// alone are quick in bfloat16, so a network that they do not serve stays in f32.
    pub fn precision_of(&self, spec: &Spec) -> Precision {
        match (self.layout, self.layout_of(spec)) {
            (Layout::Packed, Layout::Padded) => Precision::F32,
            _ => self.precision,
        }
    }

    /// The same device in f32, to score such a network's pairs again where bfloat16 leaves their order
    /// open. None where it computes in f32 or f16, and on a GPU, which would have to compile another
    /// set of kernels for a few pairs.
    pub fn exact(&self, spec: &Spec) -> Option<Self> {
        let rounds = self.layout == Layout::Packed && self.precision_of(spec) == Precision::Bf16;
        rounds.then(|| self.clone().with_precision(Precision::F32))
    }

    /// Tells what was computed here in 16 bits apart from the same in f32, in the digest of
    /// something kept. Empty for f32.
    pub fn mark(&self) -> String {
        match self.precision {
            Precision::F32 => String::new(),
            other => other.to_string(),
        }
    }

    /// How many tokens a batch takes such a network to compute, padding included.
    pub fn computed_tokens(&self, batch: &Packed, spec: &Spec) -> usize {
        match self.layout_of(spec) {
            Layout::Packed => batch.tokens(),
            Layout::Padded => padded::padded_len(batch, spec.longest_input) * batch.sequences(),
        }
    }

    /// Splits sequences of these lengths into groups for one forward pass each, longest first.
    pub fn groups(&self, lengths: &[usize]) -> Vec<Vec<usize>> {
        LONGEST.fetch_max(lengths.iter().copied().max().unwrap_or(0), Ordering::Relaxed);
        by_length(lengths, self.tokens_at_once())
    }

    /// Does work with a network so that another thread may go on with it without waiting.
    pub fn in_one_stream<T>(&self, work: impl FnOnce() -> T) -> T {
        #[cfg(feature = "gpu")]
        if whetstone_kernels::gpu::serves(&self.device) {
            return whetstone_kernels::gpu::in_one_stream(work);
        }
        work()
    }

    /// Tokens of one forward pass.
    pub fn tokens_at_once(&self) -> usize {
        if self.works_apart() { TOKENS_APART } else { TOKENS }
    }

    /// Starts every job, and finishes each in turn with the values of its tensor. Where the device
    /// works apart, it has the next job before the host waits for one.
    pub fn in_turn<J, E>(
        &self,
        jobs: impl IntoIterator<Item = J>,
        mut start: impl FnMut(&J) -> Tensor<1>,
        mut finish: impl FnMut(J, Vec<f32>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut finish = |job, started: Reading| finish(job, started.wait().remove(0));
        let mut running = None;
        for job in jobs {
            let started = self.start_reading(vec![start(&job)]);
            let earlier = match self.works_apart() {
                true => running.replace((job, started)),
                false => Some((job, started)),
            };
            if let Some((job, started)) = earlier {
                finish(job, started)?;
            }
        }
        match running {
            Some((job, started)) => finish(job, started),
            None => Ok(()),
        }
    }

    /// The device for tensors that this engine's networks use.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// How a network runs here.
    fn layout_of(&self, spec: &Spec) -> Layout {
        if spec.has_kernels() { self.layout } else { Layout::Padded }
    }

    /// Returns the vector of each sequence's first token, `[batch, hidden]`. `states` gets what
    /// comes out of every layer, `[tokens, hidden]`, and `[batch, hidden]` of the last one.
    pub(crate) fn first_tokens(
        &self,
        encoder: &Encoder,
        batch: &Packed,
        dropout: StepDropout,
        states: Option<&mut Vec<Tensor<2>>>,
    ) -> Tensor<2> {
        match self.layout_of(&encoder.spec) {
            Layout::Packed => packed::forward(encoder, batch, dropout, (self, true), states),
            Layout::Padded => {
                padded::first(padded::forward(encoder, batch, dropout, (self, true), states))
            }
        }
    }

    /// Returns the mean of each sequence's vectors, `[batch, hidden]`, with `states` as above.
    pub(crate) fn means(
        &self,
        encoder: &Encoder,
        batch: &Packed,
        dropout: StepDropout,
        states: Option<&mut Vec<Tensor<2>>>,
    ) -> Tensor<2> {
        let (x, stride) = match self.layout_of(&encoder.spec) {
            Layout::Packed => {
                (packed::forward(encoder, batch, dropout, (self, false), states), None)
            }
            Layout::Padded => {
                let x = padded::forward(encoder, batch, dropout, (self, false), states);
                let [sequences, seq, hidden] = x.dims();
                (x.reshape([sequences * seq, hidden]), Some(seq))
            }
        };
        let rows = x.dims()[0];
        let mut shares = vec![0.0; batch.sequences() * rows];
        for (index, span) in batch.starts.windows(2).enumerate() {
            let (first, len) = (stride.map_or(span[0], |seq| index * seq), span[1] - span[0]);
            shares[index * rows + first..][..len].fill(1.0 / len as f32);
        }
        let shares = TensorData::new(shares, [batch.sequences(), rows]);
        Tensor::<2>::from_data(shares, &self.device).matmul(x) // [batch, hidden]
    }

    /// Returns the vector of every token.
    pub(crate) fn all_tokens(
        &self,
        encoder: &Encoder,
        batch: &Packed,
        dropout: StepDropout,
    ) -> Hidden {
        // The kernels have no mask for tokens that nobody sees.
        let layout =
            if batch.seen.is_some() { Layout::Padded } else { self.layout_of(&encoder.spec) };
        match layout {
            Layout::Packed => {
                Hidden::Packed(packed::forward(encoder, batch, dropout, (self, false), None))
            }
            Layout::Padded => {
                Hidden::Padded(padded::forward(encoder, batch, dropout, (self, false), None))
            }
        }
    }
}

impl Hidden {
    /// The mean over each sequence's tokens, row-major `[batch, hidden]`.
    pub fn mean(self, batch: &Packed) -> Vec<f32> {
        let (values, hidden, seq) = match self {
            Hidden::Packed(x) => (values(x.clone()), x.dims()[1], None),
            Hidden::Padded(x) => (values(x.clone()), x.dims()[2], Some(x.dims()[1])),
        };
        let mut means = vec![0f32; batch.sequences() * hidden];
        for (index, (mean, span)) in
            means.chunks_exact_mut(hidden).zip(batch.starts.windows(2)).enumerate()
        {
            let len = span[1] - span[0];
            let first = seq.map_or(span[0], |seq| index * seq);
            for row in values[first * hidden..(first + len) * hidden].chunks_exact(hidden) {
                mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            mean.iter_mut().for_each(|sum| *sum /= len as f32);
        }
        means
    }

    /// The rows of all tokens, `[rows, hidden]`, and how many each sequence has where padding is
    /// among them.
    pub fn rows(self) -> (Tensor<2>, Option<usize>) {
        match self {
            Hidden::Packed(x) => (x, None),
            Hidden::Padded(x) => {
                let [sequences, seq, hidden] = x.dims();
                (x.reshape([sequences * seq, hidden]), Some(seq))
            }
        }
    }

    /// What a function of rows makes of every token that is no padding, row-major
    /// `[tokens, width]`.
    pub fn real_tokens(
        self,
        batch: &Packed,
        of_rows: impl FnOnce(Tensor<2>) -> Tensor<2>,
    ) -> Vec<f32> {
        let (rows, stride) = self.rows();
        let rows = of_rows(rows); // [rows, width]
        let (width, found) = (rows.dims()[1], values(rows));
        let Some(seq) = stride else { return found };
        let rows = batch.starts.windows(2).zip(found.chunks_exact(seq * width));
        rows.flat_map(|(span, rows)| &rows[..(span[1] - span[0]) * width]).copied().collect()
    }
}

/// Whether a device computes products without the kernels in this precision. Some store bfloat16
/// but cannot compute with it.
fn computes(device: &Device, precision: Precision) -> bool {
    match precision {
        Precision::F32 => true,
        Precision::Bf16 => device.supports_dtype(DType::BF16),
        Precision::F16 => device.supports_dtype(DType::F16),
    }
}

/// The values of a tensor, row-major.
pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("networks compute in f32")
}
