//! `whetstone devices`: what a network can run on.

use crate::cli::Talk;
use crate::failure::Result;
use crate::output;
use crate::table::aligned;
use whetstone_model::{Surveyed, devices};

/// List what `--device` may name in this build and on this machine
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone devices

GPUs need a build of their own: `just build-cuda`, or `cargo build --release --features wgpu`.")]
pub struct Args {}

pub fn run(_args: &Args, talk: &Talk) -> Result<()> {
    let found = devices();
    if talk.json() {
        return output::json(&found);
    }
    let header = ["device", "memory", "bf16", "f16", "hardware"].map(str::to_owned);
    output::data(&format!("{}\n", aligned(header.to_vec(), found.iter().map(row))))
}

fn row(found: &Surveyed) -> Vec<String> {
    let memory = found.memory_bytes.map(|bytes| format!("{} MiB", bytes >> 20));
    let hardware = found.problem.as_ref().map(|problem| format!("none: {problem}"));
    let yes = |has: bool| if has { "yes" } else { "no" }.to_owned();
    vec![
        found.device.to_string(),
        memory.unwrap_or_default(),
        yes(found.bf16),
        yes(found.f16),
        hardware.or_else(|| found.name.clone()).unwrap_or_else(|| "this machine".into()),
    ]
}
