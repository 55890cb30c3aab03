//! Turns a panic into an error that asks the user for a report, or that blames the device.

use crate::{device_memory, output};
use std::process::ExitCode;
use std::sync::Mutex;

/// What panicked last, and where. It is printed only when the panic ends the program: a library may
/// catch its own.
static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Stores every panic for [`report`]; with `RUST_BACKTRACE` set, also prints the backtrace.
pub fn keep_panics_from_the_user() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload_as_str().unwrap_or("no message");
        let place = panic
            .location()
            .map(|place| format!(" at {}:{}", place.file(), place.line()))
            .unwrap_or_default();
        *LAST.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) =
            Some(format!("{text}{place}"));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            usual(panic);
        }
    }));
}

/// Prints the panic that ended the program as an error.
pub fn report() -> ExitCode {
    let last = LAST.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    if let Some(reason) = last.as_deref().filter(|last| device_memory::shortage(last).is_some()) {
        blame_the_device(reason);
        return ExitCode::from(2);
    }
    output::error(&format!("internal error: {}", last.as_deref().unwrap_or("no message")));
    output::hint(
        "this is a bug in whetstone: please report it with the command, its config and the \
         output with `RUST_BACKTRACE=1`",
    );
    ExitCode::from(2)
}

/// Listens for panics on the thread of a GPU. cubecl only logs them, and whoever waits for a result
/// of that thread would wait forever.
struct DeviceThread;

/// Ends the program with the reason when work on a GPU fails where nobody would hear of it.
pub fn listen_to_devices() {
    // Fails only where somebody listens already.
    if log::set_logger(&DeviceThread).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
}

impl log::Log for DeviceThread {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        metadata.target().starts_with("cubecl_common::device")
    }

    fn log(&self, record: &log::Record) {
        if !self.enabled(record.metadata()) || whetstone_model::is_trying_out() {
            return;
        }
        let logged = record.args().to_string();
        if is_lost_panic(&logged) {
            let last = LAST.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
            blame_the_device(&last.unwrap_or(logged));
            std::process::exit(2);
        }
    }

    fn flush(&self) {}
}

fn blame_the_device(reason: &str) {
    let shortage = device_memory::shortage(reason);
    output::error(&format!("the device failed: {}", shortage.unwrap_or(reason)));
    output::hint(&match shortage {
        Some(_) => device_memory::hint(),
        None => "run the same command again; training resumes from the last checkpoint".into(),
    });
}

/// Whether cubecl says that a task of its thread panicked.
fn is_lost_panic(text: &str) -> bool {
    text.contains("CallError")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_kept_with_its_text_and_place() {
        keep_panics_from_the_user();
        let caught = std::panic::catch_unwind(|| panic!("the sky fell"));
        let _ = std::panic::take_hook();
        assert!(caught.is_err());
        let last = LAST.lock().unwrap().take().unwrap();
        assert!(last.starts_with("the sky fell at ") && last.contains("crash.rs:"), "{last}");
    }
}
