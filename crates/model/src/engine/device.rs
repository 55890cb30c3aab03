//! The devices by name, how each is opened, and where a network is placed.

use crate::error::{Error, Result};
use burn::tensor::Device;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use whetstone_kernels::Precision;

/// What the network runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
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
    pub(super) const ALL: [DeviceName; 4] =
        [DeviceName::Cpu, DeviceName::Ndarray, DeviceName::Cuda, DeviceName::Wgpu];

    pub(super) fn is_gpu(self) -> bool {
        matches!(self, DeviceName::Cuda | DeviceName::Wgpu)
    }

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
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == value)
            .ok_or_else(|| Error::UnknownDevice { value: value.into() })
    }
}

/// What a network runs on to score or to embed, and the precision of its large products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    pub device: DeviceName,
    pub precision: Precision,
}

impl Placement {
    /// How far a logit may be from what other programs compute in f32. f32 sums in another order move
    /// it by 1e-6 to 1e-5 after a dozen layers; a wrong mask, activation or token type by 1e-3 at
    /// least. f16 keeps 11 bits of what is multiplied, bfloat16 keeps 8. NVIDIA's GPUs keep 11 of f32
    /// too (TF32).
    pub fn logit_tolerance(self) -> f64 {
        match (self.precision, self.device) {
            (Precision::F32, DeviceName::Cpu | DeviceName::Ndarray | DeviceName::Wgpu) => 1e-4,
            (Precision::F32, DeviceName::Cuda) | (Precision::F16, _) => 5e-2,
            (Precision::Bf16, _) => 0.25,
        }
    }
}

/// In f32.
impl From<DeviceName> for Placement {
    fn from(device: DeviceName) -> Self {
        Self { device, precision: Precision::F32 }
    }
}

/// `cpu`, or `cpu in bf16`.
impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.precision {
            Precision::F32 => self.device.fmt(f),
            other => write!(f, "{} in {other}", self.device),
        }
    }
}

/// Opens the nth GPU of a kind, or another device, of which there is one.
pub fn open_nth(name: DeviceName, index: usize) -> Result<Device> {
    match name {
        DeviceName::Cpu => Ok(Device::flex()),
        DeviceName::Ndarray => ndarray(),
        DeviceName::Cuda => cuda(index),
        // The best one need not be a discrete one.
        DeviceName::Wgpu if index == 0 => wgpu(Some(0)).or_else(|_| wgpu(None)),
        DeviceName::Wgpu => wgpu(Some(index)),
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
    super::probe::gpu(format!("cuda:{index}"), move || Device::cuda(index))
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
    let kind = index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu);
    super::probe::gpu(name, move || Device::wgpu(kind))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_index: Option<usize>) -> Result<Device> {
    Err(Error::DeviceNotBuilt { device: "wgpu" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use whetstone_records::Hint;

    #[test]
    fn what_keeps_fewer_bits_may_be_further_off() {
        let on = |device, precision| Placement { device, precision }.logit_tolerance();
        let f32s = DeviceName::ALL.map(|device| on(device, Precision::F32));
        assert_eq!(f32s, [1e-4, 1e-4, 5e-2, 1e-4]);
        for device in DeviceName::ALL {
            assert!(on(device, Precision::F32) <= on(device, Precision::F16));
            assert!(on(device, Precision::F16) < on(device, Precision::Bf16));
        }
    }

    #[test]
    fn a_placement_names_a_precision_other_than_f32() {
        let name = |precision| Placement { device: DeviceName::Cuda, precision }.to_string();
        assert_eq!(name(Precision::F32), "cuda");
        assert_eq!(name(Precision::F16), "cuda in f16");
    }

    #[test]
    fn a_precision_that_the_device_lacks_is_refused() {
        let open = |precision| Engine::placed(Placement { device: DeviceName::Cpu, precision });
        assert!(open(Precision::F32).is_ok());
        assert_eq!(open(Precision::Bf16).is_ok(), Precision::Bf16.is_supported());
        let error = open(Precision::F16).unwrap_err();
        assert_eq!(error.to_string(), "device `cpu` cannot compute in `f16`");
        assert!(error.hint().unwrap().starts_with("leave `--precision` out for f32"));
    }
}
