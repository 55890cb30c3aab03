//! `whetstone export`: a checkpoint as a model folder.

use crate::cli::Talk;
use crate::failure::Result;
use std::path::PathBuf;
use whetstone_export::{EXPORT, ExportJob};
use whetstone_records::ModelDir;

/// Write a model folder that transformers, sentence-transformers and text-embeddings-inference load
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone export --checkpoint checkpoints/mine --out models/mine      the best step by dev nDCG@10
  whetstone export --checkpoint checkpoints/mine/step-000500 --out models/step-500
  whetstone export --checkpoint checkpoints/mine --out models/mine --format onnx,onnx-int8

The folder always has the weights as safetensors, the tokenizer and golden.json, 20 pairs with their
logits for `whetstone verify`. --format adds ONNX files for ONNX Runtime, fastembed, FlashRank and
transformers.js: onnx/model.onnx, onnx/model_fp16.onnx and onnx/model_quantized.onnx.")]
pub struct Args {
    /// A training run, or one of its step folders
    #[arg(long, value_name = "DIR")]
    checkpoint: PathBuf,
    /// Folder for the model
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Also write the network in these formats
    #[arg(long = "format", value_name = "FORMAT", value_enum, value_delimiter = ',')]
    formats: Vec<Format>,
    /// A data set: take the pairs of golden.json from test.jsonl, else from dev.jsonl. Their texts
    /// travel with the model [default: built-in pairs]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Run again even where the result is up to date
    #[arg(long)]
    force: bool,
}

/// The formats of --format.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// ONNX in 32 bits: the same logits
    Onnx,
    /// ONNX in 16 bits: half the size
    OnnxF16,
    /// ONNX with matrices of 8 bits: a quarter of the size, faster, other logits
    OnnxInt8,
}

impl From<Format> for whetstone_export::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Onnx => Self::Onnx,
            Format::OnnxF16 => Self::OnnxF16,
            Format::OnnxInt8 => Self::OnnxInt8,
        }
    }
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    if args.force {
        whetstone_records::forget(&args.out, EXPORT)?;
    }
    let formats: Vec<_> = args.formats.iter().map(|format| (*format).into()).collect();
    let job =
        ExportJob { checkpoint: &args.checkpoint, formats: &formats, data: args.data.as_deref() };
    let manifest = whetstone_export::export(&job, &args.out)?;
    whetstone_rank::write_card(&ModelDir::new(&args.out))?;
    talk.report(&args.out, &manifest)
}
