//! Dropout at one place of the network.

#[cfg(feature = "train")]
use crate::train::dropout::Mask;

/// Dropout at one place of the network in one step. The default keeps everything; other values need
/// the feature `train`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout {
    #[cfg(feature = "train")]
    pub(crate) mask: Mask,
}

impl Dropout {
    /// x := dropout(x). `first` is the index of x[0] in the whole tensor.
    #[cfg_attr(not(feature = "train"), allow(unused_variables))]
    pub(crate) fn apply(self, x: &mut [f32], first: usize) {
        #[cfg(feature = "train")]
        self.mask.apply(x, first);
    }

    /// Returns dropout(x): `x` itself, or values written to `scratch`.
    #[cfg_attr(not(feature = "train"), allow(unused_variables, clippy::ptr_arg))]
    pub(crate) fn of<'a>(self, x: &'a [f32], first: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        #[cfg(feature = "train")]
        if self.mask.is_active() {
            return self.mask.of(x, first, scratch);
        }
        x
    }
}
