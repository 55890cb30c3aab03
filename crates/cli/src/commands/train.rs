//! `whetstone train`: a cross-encoder from a data set.

use super::DeviceArgs;
use crate::cli::Talk;
use crate::device_memory;
use crate::failure::Result;
use std::path::PathBuf;
use whetstone_train::TrainConfig;

/// Fine-tune a cross-encoder on a data set
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone train --config configs/reference.toml --data data/mine --out checkpoints/mine

Run the same command again to resume a run that was stopped.")]
pub struct Args {
    /// Config of the training (TOML); configs/reference.toml lists every key with its default
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder with train.jsonl and dev.jsonl, as `whetstone synth` writes it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder for the checkpoints, the log and a copy of the config
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// GPUs that share the batches of a step; needs an `accumulation-steps` of at least COUNT
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    devices: usize,
    /// Train from the start even where the result is up to date
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let mut config = TrainConfig::load(&args.config)?;
    if args.force {
        whetstone_train::forget_run(&args.out)?;
    }
    let progress = talk.progress();
    let devices = whetstone_model::Engine::open_several(args.device.device, args.devices)?;
    let model = whetstone_hub::resolve(&config.model, &*progress)?;
    if let Some(teacher) = &mut config.teacher {
        *teacher = whetstone_hub::resolve(&teacher.to_string_lossy(), &*progress)?;
    }
    device_memory::training_asks(&model, &args.data, &config, &devices[0]);
    let manifest =
        whetstone_train::train(&args.data, &args.out, &model, &config, &devices, &*progress)?;
    talk.report(&args.out, &manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use whetstone_model::Precision;

    fn configs() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")
    }

    #[test]
    fn the_reference_states_every_key_and_its_default() {
        let path = configs().join("reference.toml");
        assert_eq!(TrainConfig::load(&path).unwrap(), TrainConfig::default());
        let text = std::fs::read_to_string(path).unwrap();
        let keys = serde_json::to_value(TrainConfig::default()).unwrap();
        for key in keys.as_object().unwrap().keys() {
            assert!(
                text.lines()
                    .any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = "))),
                "{key}"
            );
        }
    }

    #[test]
    fn training_in_f16_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.toml");
        std::fs::write(&path, "precision = \"f16\"").unwrap();
        let error = whetstone_records::one_line(&TrainConfig::load(&path).unwrap_err());
        assert!(error.contains("unknown variant `f16`, expected `f32` or `bf16`"), "{error}");
        let config = TrainConfig { precision: Precision::F16, ..TrainConfig::default() };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("`precision`") && error.contains("f32 or bf16"), "{error}");
    }

    #[test]
    fn the_configs_for_special_cases_are_valid() {
        TrainConfig::load(&configs().join("quickstart-train.toml")).unwrap();
        for name in ["judged-data.toml", "base-data.toml"] {
            whetstone_synth::SynthConfig::load(&configs().join(name)).unwrap();
        }
        for name in ["quickstart.toml", "quickstart-llm.toml"] {
            let config = whetstone_synth::SynthConfig::load(&configs().join(name)).unwrap();
            let teacher = serde_json::to_value(config.pair.teacher).unwrap();
            assert_eq!(teacher, "bi-encoder", "{name}: margin-mse needs a teacher");
        }
    }
}
