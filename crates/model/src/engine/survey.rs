//! What devices this build knows, and which of them this machine has.

use super::Engine;
use super::device::{self, DeviceName};
use crate::error::Error;
use burn::tensor::Device;
use serde::Serialize;
use whetstone_kernels::Precision;

/// A device, as `--device` names it.
#[derive(Debug, Serialize)]
pub struct Surveyed {
    pub device: DeviceName,
    /// How the hardware calls itself.
    pub name: Option<String>,
    pub memory_bytes: Option<u64>,
    /// Whether it computes in bfloat16.
    pub bf16: bool,
    /// Whether it scores in f16.
    pub f16: bool,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

impl Engine {
    /// Returns the memory of the device, where it says it.
    pub fn memory_bytes(&self) -> Option<u64> {
        identity(&self.device).1
    }
}

/// Opens every device that this build knows: one entry for each, or one for a kind that is missing.
pub fn devices() -> Vec<Surveyed> {
    DeviceName::ALL.into_iter().flat_map(of_kind).collect()
}

fn of_kind(name: DeviceName) -> Vec<Surveyed> {
    let mut found = Vec::new();
    loop {
        let problem = match device::open_nth(name, found.len()) {
            Ok(device) => {
                found.push(describe(name, &device));
                if name.is_gpu() {
                    continue;
                }
                return found;
            }
            Err(problem) => problem,
        };
        if found.is_empty() {
            found.push(missing(name, problem));
        }
        return found;
    }
}

fn describe(device: DeviceName, opened: &Device) -> Surveyed {
    let (name, memory_bytes) = identity(opened);
    let [bf16, f16] = [Precision::Bf16, Precision::F16].map(|precision| match device {
        DeviceName::Cpu => precision.is_supported(),
        _ => super::computes(opened, precision),
    });
    Surveyed { device, name, memory_bytes, bf16, f16, problem: None }
}

fn missing(device: DeviceName, problem: Error) -> Surveyed {
    let problem = match problem {
        Error::DeviceNotBuilt { .. } => "not in this build".to_owned(),
        Error::NoSuchDevice { reason, .. } => reason,
        other => other.to_string(),
    };
    let problem = Some(problem);
    Surveyed { device, name: None, memory_bytes: None, bf16: false, f16: false, problem }
}

#[cfg(feature = "gpu")]
fn identity(device: &Device) -> (Option<String>, Option<u64>) {
    match device.as_dispatch() {
        burn::backend::DispatchDevice::Cube(device) => {
            let client = device.client();
            let properties = client.properties();
            (Some(properties.identity.name.clone()), properties.memory.max_memory())
        }
        _ => (None, None),
    }
}

#[cfg(not(feature = "gpu"))]
fn identity(_device: &Device) -> (Option<String>, Option<u64>) {
    (None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_what_is_not_built_in_says_so() {
        let devices = devices();
        assert!(
            devices.iter().any(|found| found.device == DeviceName::Cpu && found.problem.is_none())
        );
        if cfg!(not(feature = "cuda")) {
            let cuda = devices.iter().find(|found| found.device == DeviceName::Cuda).unwrap();
            assert_eq!(cuda.problem.as_deref(), Some("not in this build"));
        }
    }
}
