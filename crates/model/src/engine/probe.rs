//! Whether a GPU is there and computes. burn opens one on first use, and panics if anything is
//! missing: here, or on a thread of its own.

use crate::error::{Error, Result};
use burn::tensor::{Device, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a GPU may stay silent after something panicked.
const PATIENCE: Duration = Duration::from_secs(10);

/// Panic hooks are of the whole process, so only one device is tried out at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// Set from the start of a probe until a device is found to work.
static TRYING: AtomicBool = AtomicBool::new(false);

/// Whether a device is being tried out, or the last one was refused. Then a failure on a thread of
/// the device is known to whoever tries. It may be logged after the refusal, by another thread than
/// the one that panicked, so a refusal does not end this; only a device that works does.
pub fn is_trying_out() -> bool {
    TRYING.load(Ordering::SeqCst)
}

/// Opens a GPU and computes on it what networks need: a product, erf and exp, for which CUDA looks
/// for its libdevice.
///
/// # Errors
/// [`Error::NoSuchDevice`] with what the driver or burn said.
pub fn gpu(device: String, open: impl FnOnce() -> Device + Send + 'static) -> Result<Device> {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    TRYING.store(true, Ordering::SeqCst);
    keep_kernels();
    let (sender, receiver) = channel();
    let (outcome, said) = listening(|said| {
        std::thread::spawn(move || {
            let attempt = || {
                let device = open();
                is_right(&device).then_some(device)
            };
            let _ = sender.send(catch_unwind(AssertUnwindSafe(attempt)));
        });
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(outcome) => break outcome.ok(),
                // The first kernels may take minutes to compile; but whoever panicked and then says
                // nothing will never answer.
                Err(RecvTimeoutError::Timeout) if is_silent(said) => {}
                Err(_) => break None,
            }
        }
    });
    let reason = match outcome {
        Some(Some(device)) => {
            TRYING.store(false, Ordering::SeqCst);
            return Ok(device);
        }
        Some(None) => "it computes other numbers than the CPU".to_owned(),
        None => said.unwrap_or_else(|| "it did not say why".into()),
    };
    Err(Error::NoSuchDevice { device, reason })
}

/// What the first panic said.
type Said = Arc<Mutex<Option<String>>>;

fn is_silent(said: &Said) -> bool {
    said.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).is_none()
}

/// Runs `work` and returns what the first panic of any thread said meanwhile.
fn listening<T>(work: impl FnOnce(&Said) -> T) -> (T, Option<String>) {
    let said = Said::default();
    let hears = said.clone();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or("a panic without a message");
        let mut said = hears.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        said.get_or_insert_with(|| text.to_owned());
    }));
    let outcome = work(&said);
    std::panic::set_hook(usual);
    let said = said.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    (outcome, said)
}

/// Whether the device computes what the CPU does. TF32 rounds the factors of a product to 10 bits.
fn is_right(device: &Device) -> bool {
    let on = |device: &Device| -> f32 {
        let x = Tensor::<2>::from_floats([[0.5, -0.25], [1.0, 0.125]], device);
        x.clone().matmul(x).erf().exp().sum().into_scalar()
    };
    (on(device) - on(&Device::flex())).abs() < 1e-2
}

/// Keeps compiled kernels, and which of them are the fastest, in the user's cache folder. Where a
/// `cubecl.toml` says something else, or the process has chosen before, that stays.
#[cfg(feature = "gpu")]
fn keep_kernels() {
    use burn_cubecl::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig, cache::CacheConfig};
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
        config.compilation.cache = true;
        if matches!(config.environment.path, CacheConfig::Target) {
            config.environment.path = CacheConfig::Global;
        }
        CubeClRuntimeConfig::try_set(config);
    });
}

#[cfg(not(feature = "gpu"))]
fn keep_kernels() {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps the tests from settling what the other one looks at.
    static TESTS: Mutex<()> = Mutex::new(());

    #[test]
    fn a_device_that_panics_is_refused_with_what_it_said() {
        let _alone = TESTS.lock();
        let broken = || -> Device { panic!("libcuda.so.1 was not found") };
        let error = gpu("cuda:0".into(), broken).unwrap_err().to_string();
        let expected = "device `cuda:0` cannot be used: libcuda.so.1 was not found";
        assert_eq!(error, expected);
        let device = gpu("flex".into(), Device::flex).unwrap();
        assert!(device == Device::flex());
    }

    #[test]
    fn a_failure_on_a_device_thread_is_the_probe_s_until_a_device_works() {
        let _alone = TESTS.lock();
        // What a thread of the device hears when it logs its panic: during the probe, and after.
        let heard = |works: bool| {
            let (tell, told) = channel();
            let (release, is_over) = channel::<()>();
            let (panicked, has_panicked) = channel::<()>();
            let open = move || {
                std::thread::spawn(move || {
                    assert!(catch_unwind(|| panic!("no such device")).is_err());
                    tell.send(is_trying_out()).unwrap();
                    panicked.send(()).unwrap();
                    is_over.recv().unwrap();
                    tell.send(is_trying_out()).unwrap();
                });
                has_panicked.recv().unwrap();
                assert!(works, "the device's thread is gone");
                Device::flex()
            };
            let outcome = gpu("cuda:1".into(), open);
            release.send(()).unwrap();
            let refusal = outcome.err().map(|error| error.to_string());
            (refusal, [told.recv().unwrap(), told.recv().unwrap()])
        };
        let refusal = "device `cuda:1` cannot be used: no such device".to_owned();
        assert_eq!(heard(false), (Some(refusal), [true, true]));
        assert_eq!(heard(true), (None, [true, false]));
    }
}
