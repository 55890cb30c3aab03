//! One file per command: its arguments, and a function that reads the config, calls one stage and
//! prints the manifest.

pub mod answers;
pub mod ask;
pub mod calibrate;
pub mod chunk;
pub mod completions;
pub mod devices;
pub mod diff;
pub mod eval;
pub mod export;
pub mod forgetting;
pub mod fuse;
pub mod gather;
pub mod grade;
pub mod label;
pub mod mine;
pub mod models;
pub mod pair;
pub mod pull;
pub mod quickstart;
pub mod rerank;
pub mod runs;
pub mod serve;
pub mod shrink;
pub mod synth;
pub mod train;
pub mod verify;

use crate::failure::{Problem, Result};
use std::path::{Path, PathBuf};
use whetstone_model::{DeviceName, Placement, Precision};
use whetstone_synth::SynthConfig;

/// Flags of the commands that make a data set.
#[derive(clap::Args)]
pub struct DataArgs {
    /// Config of the data set (TOML); configs/synth.toml lists every key with its default
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Folder of the data set; the config may name it as `out`
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run again even where the result is up to date
    #[arg(long)]
    pub force: bool,
}

impl DataArgs {
    /// Returns the config and the folder of the data set.
    pub fn load(&self) -> Result<(SynthConfig, PathBuf)> {
        let config = SynthConfig::load(&self.config)?;
        let out = self.out.clone().or_else(|| config.out.clone()).ok_or_else(|| {
            Problem::new(
                "no folder for the data set",
                "name one with --out, or as `out` in the config",
            )
        })?;
        Ok((config, out))
    }
}

/// Reads `NAME=RUN`, or `RUN` alone.
pub fn maybe_named_run(text: &str) -> Result<(Option<String>, PathBuf), String> {
    match text.split_once('=') {
        Some((name, run)) if !name.is_empty() && !run.is_empty() => {
            Ok((Some(name.into()), run.into()))
        }
        None if !text.is_empty() => Ok((None, text.into())),
        _ => Err("expected RUN or NAME=RUN, such as bm25=bm25.run".into()),
    }
}

/// Returns the corpus that the command line or the config names.
pub fn corpus(argument: Option<&Path>, config: &SynthConfig) -> Result<PathBuf> {
    let named = argument.or(config.corpus.as_deref());
    Ok(named
        .ok_or_else(|| {
            Problem::new(
                "no corpus",
                "name a folder of .md, .markdown, .mdx, .txt, .html and .htm files, or a BEIR \
                 corpus.jsonl, with --corpus or as `corpus` in the config",
            )
        })?
        .into())
}

/// The device of a command that trains, whose precision its config names.
#[derive(clap::Args)]
pub struct DeviceArgs {
    /// Where the network runs: cpu, ndarray, cuda or wgpu
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: DeviceName,
}

/// The device of a command that scores or embeds, and the precision there.
#[derive(clap::Args)]
pub struct PlacementArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Precision of the large products: f32, bf16 (CPUs and GPUs that have it) or f16 (GPUs)
    #[arg(long, value_name = "PRECISION", default_value = "f32", value_parser = precision)]
    precision: Precision,
}

impl PlacementArgs {
    pub fn placement(&self) -> Placement {
        Placement { device: self.device.device, precision: self.precision }
    }
}

pub fn precision(text: &str) -> Result<Precision, String> {
    let all = [Precision::F32, Precision::Bf16, Precision::F16];
    all.into_iter()
        .find(|precision| precision.to_string() == text)
        .ok_or_else(|| "expected f32, bf16 or f16".into())
}
