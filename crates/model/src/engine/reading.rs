//! Values that a device is asked for, and that the host waits for later.

use super::Engine;
use burn::tensor::Tensor;
#[cfg(feature = "gpu")]
use whetstone_kernels::gpu;

/// Values that a device was asked for.
pub struct Reading {
    lengths: Vec<usize>,
    all: Option<All>,
}

enum All {
    #[cfg(feature = "gpu")]
    Begun(gpu::Reading),
    Asked(Tensor<1>),
}

impl Engine {
    /// Asks for the values of flat tensors of this device, all at once. It goes on meanwhile.
    pub fn start_reading(&self, tensors: Vec<Tensor<1>>) -> Reading {
        let lengths: Vec<usize> = tensors.iter().map(|tensor| tensor.dims()[0]).collect();
        if lengths.is_empty() {
            return Reading { lengths, all: None };
        }
        let all = Tensor::cat(tensors.into_iter().map(Tensor::inner).collect(), 0);
        #[cfg(feature = "gpu")]
        if gpu::serves(&self.device) {
            return Reading { lengths, all: Some(All::Begun(gpu::Reading::start(all))) };
        }
        Reading { lengths, all: Some(All::Asked(all)) }
    }
}

impl Reading {
    /// Returns the values of each tensor.
    pub fn wait(self) -> Vec<Vec<f32>> {
        let all = match self.all {
            None => return Vec::new(),
            #[cfg(feature = "gpu")]
            Some(All::Begun(reading)) => reading.wait(),
            Some(All::Asked(all)) => super::values(all),
        };
        let mut rest = all.as_slice();
        let take = |len| rest.split_off(..len).expect("all are there").to_vec();
        self.lengths.into_iter().map(take).collect()
    }
}
