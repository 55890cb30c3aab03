//! The devices by name, and how each is opened.

use crate::error::{Error, Result};
use burn::tensor::Device;
use std::fmt;
use std::str::FromStr;

/// What the network runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// burn-flex with Whetstone's fused layer.
    #[default]
    Cpu,
    /// burn-ndarray, deprecated by burn since 0.22.
    Ndarray,
    /// NVIDIA GPUs.
    Cuda,
    /// Any GPU through Vulkan, Metal or DirectX.
    Wgpu,
}

impl DeviceName {
    fn as_str(self) -> &'static str {
        match self {
            DeviceName::Cpu => "cpu",
            DeviceName::Ndarray => "ndarray",
            DeviceName::Cuda => "cuda",
            DeviceName::Wgpu => "wgpu",
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(value: &str) -> Result<Self> {
        [DeviceName::Cpu, DeviceName::Ndarray, DeviceName::Cuda, DeviceName::Wgpu]
            .into_iter()
            .find(|name| name.as_str() == value)
            .ok_or_else(|| Error::UnknownDevice { value: value.into() })
    }
}

/// Opens several devices of a kind, the first `count` GPUs. There is only one CPU.
pub fn open(name: DeviceName, count: usize) -> Result<Vec<Device>> {
    match name {
        DeviceName::Cpu | DeviceName::Ndarray if count != 1 => {
            Err(Error::DeviceCount { device: name, count })
        }
        _ if count == 0 => Err(Error::DeviceCount { device: name, count }),
        DeviceName::Cpu => Ok(vec![Device::flex()]),
        DeviceName::Ndarray => Ok(vec![ndarray()?]),
        DeviceName::Cuda => (0..count).map(cuda).collect(),
        DeviceName::Wgpu if count == 1 => Ok(vec![wgpu(None)?]),
        DeviceName::Wgpu => (0..count).map(|index| wgpu(Some(index))).collect(),
    }
}

#[cfg(feature = "ndarray")]
#[allow(deprecated, reason = "asked for as long as burn has it")]
fn ndarray() -> Result<Device> {
    Ok(Device::ndarray())
}

#[cfg(not(feature = "ndarray"))]
fn ndarray() -> Result<Device> {
    Err(Error::DeviceNotBuilt { device: "ndarray" })
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device> {
    probe(format!("cuda:{index}"), || Device::cuda(index))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<Device> {
    Err(Error::DeviceNotBuilt { device: "cuda" })
}

/// The best GPU, or one of the discrete ones.
#[cfg(feature = "wgpu")]
fn wgpu(index: Option<usize>) -> Result<Device> {
    use burn::tensor::DeviceKind;
    let name = index.map_or("wgpu".into(), |index| format!("wgpu:{index}"));
    probe(name, || Device::wgpu(index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu)))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_index: Option<usize>) -> Result<Device> {
    Err(Error::DeviceNotBuilt { device: "wgpu" })
}

/// Runs one addition on the device, because burn opens GPUs on first use and panics if there is
/// none.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn probe(device: String, open: impl FnOnce() -> Device + std::panic::UnwindSafe) -> Result<Device> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = std::panic::catch_unwind(|| {
        let device = open();
        let sum = burn::tensor::Tensor::<1>::from_floats([1.0, 2.0], &device).sum();
        (sum.into_scalar::<f32>() == 3.0).then_some(device)
    });
    std::panic::set_hook(hook);
    outcome.ok().flatten().ok_or(Error::NoSuchDevice { device })
}
