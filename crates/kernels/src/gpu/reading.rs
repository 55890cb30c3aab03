//! Copies to the host that begin at once and are waited for later. burn's own begin when they are
//! waited for, behind all that the device was given meanwhile.

use super::device::flat;
use super::op::DeviceKernels;
use burn::backend::{Backend, Dispatch};
use burn::tensor::{Device, Tensor};
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::server::CopyDescriptor;
use burn_cubecl::tensor::CubeTensor;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

/// The values, or what the device says.
type Copy = Pin<Box<dyn Future<Output = Result<Vec<f32>, String>> + Send>>;

/// Where a device leaves the copy that it has begun.
#[derive(Clone, Default)]
pub struct Slot(Arc<Mutex<Option<Copy>>>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Copy>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A copy that was asked for. One that nobody waits for is waited for when it is dropped: a device
/// may not write into memory that another copy has taken.
pub struct Reading {
    /// None once it was waited for.
    slot: Option<Slot>,
    device: Device,
    /// Fusion leaves out what nobody holds.
    _held: Tensor<1>,
}

impl Reading {
    /// Asks for the values of a tensor without autodiff, as they are now.
    pub fn start(x: Tensor<1>) -> Self {
        let (slot, device) = (Slot::default(), x.device());
        let held = <Dispatch as DeviceKernels>::copied(x.into_dispatch(), slot.clone());
        Self { slot: Some(slot), device, _held: Tensor::from_dispatch(held) }
    }

    pub fn wait(mut self) -> Vec<f32> {
        self.finish().expect("a reading is waited for once").expect("the device computes")
    }

    /// Waits for the values, or for the device to say why there are none; None the second time.
    fn finish(&mut self) -> Option<Result<Vec<f32>, String>> {
        let slot = self.slot.take()?;
        let mut copy = slot.lock().take();
        if copy.is_none() {
            if let Err(error) = Dispatch::flush(self.device.as_dispatch()) {
                return Some(Err(format!("{error:?}")));
            }
            copy = slot.lock().take();
        }
        Some(match copy {
            Some(copy) => cubecl::future::block_on(copy),
            None => Err("a device that was flushed has begun no copy".into()),
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // What went wrong is said elsewhere, if anybody asks.
        let _ = self.finish();
    }
}

/// Begins a copy.
pub fn begin(x: CubeTensor, slot: &Slot) -> CubeTensor {
    let x = flat(x);
    let (shape, strides) = (x.meta.shape().clone(), x.meta.strides().clone());
    let size = x.elem_size();
    let descriptor = CopyDescriptor::new(x.handle.clone().binding(), shape, strides, size);
    let bytes = lasting(&x).read_one_tensor_async(descriptor);
    let copy = async move {
        let bytes = bytes.await.map_err(|error| format!("{error:?}"))?;
        let values = bytes.as_chunks::<4>().0.iter();
        Ok(values.map(|bytes| f32::from_ne_bytes(*bytes)).collect())
    };
    *slot.lock() = Some(Box::pin(copy));
    x
}

/// The client of a tensor's device, for as long as the program runs: burn's futures borrow it.
fn lasting(x: &CubeTensor) -> &'static Client {
    static CLIENTS: Mutex<Vec<(CubeDevice, &'static Client)>> = Mutex::new(Vec::new());
    let mut clients = CLIENTS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    match clients.iter().find(|(device, _)| *device == x.device) {
        Some((_, client)) => client,
        None => {
            let client: &'static Client = Box::leak(Box::new(x.client.clone()));
            clients.push((x.device.clone(), client));
            client
        }
    }
}
