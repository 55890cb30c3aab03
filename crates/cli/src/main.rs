//! `whetstone`: a folder of documents in, a fine-tuned cross-encoder and its measured comparison
//! out.
//!
//! The program is thin: every command reads its config, calls one stage and prints the stage's
//! manifest.

mod allocator;
mod cli;
mod commands;
mod crash;
mod descriptors;
mod device_memory;
#[cfg(test)]
mod documented;
mod failure;
mod interrupt;
mod labeller;
mod memory;
mod output;
mod progress;
mod stages;
mod table;

use clap::Parser;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

fn main() -> ExitCode {
    interrupt::watch();
    allocator::keep_freed_pages();
    crash::keep_panics_from_the_user();
    crash::listen_to_devices();
    let cli = cli::Cli::parse();
    match std::panic::catch_unwind(AssertUnwindSafe(|| cli.run())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => failure::report(&failure),
        Err(_) => crash::report(),
    }
}
