//! What to do where the memory of a device does not suffice.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use whetstone_model::{Description, Engine, Fitting, TrainingBatch, longest_text_tokens};
use whetstone_records::DataSet;
use whetstone_train::TrainConfig;

/// What training asks for. Only where it fails is the model read again, to say what would fit.
struct Asked {
    model: PathBuf,
    batch: TrainingBatch,
    memory_bytes: Option<u64>,
}

/// Of the training that runs, if one does.
static ASKED: Mutex<Option<Asked>> = Mutex::new(None);

/// What drivers and burn's backends say of a failed allocation, in lower case.
const TEXTS: [&str; 7] = [
    "out of device memory",
    "out of memory",
    "out-of-memory",
    "out_of_memory",
    "out_of_device_memory",
    "not enough memory left",
    "can't allocate",
];

/// The line of a device's failure that says its memory does not suffice; burn wraps it in many.
pub fn shortage(text: &str) -> Option<&str> {
    let says = |line: &&str| {
        let line = line.to_lowercase();
        TEXTS.iter().any(|said| line.contains(said))
    };
    text.lines().find(says).map(str::trim)
}

/// Notes the batch of a training, before it starts on a device whose memory may not suffice.
pub fn training_asks(model: &Path, data: &Path, config: &TrainConfig, engine: &Engine) {
    let own = DataSet::new(data).max_seq_tokens().ok().flatten();
    let batch = TrainingBatch {
        pairs: config.batch_pairs,
        tokens: config.max_seq_tokens.or(own).unwrap_or_else(|| config.max_seq_tokens()),
        gradient_checkpointing: config.gradient_checkpointing,
        is_on_gpu: engine.works_apart(),
    };
    let asked = Asked { model: model.into(), batch, memory_bytes: engine.memory_bytes() };
    *ASKED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(asked);
}

/// Returns what would fit where the memory of a device did not suffice.
pub fn hint() -> String {
    let asked = ASKED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
    let training = asked.and_then(|Asked { model, batch, memory_bytes }| {
        let fitting = Description::read(&model).ok()?.fitting(batch, memory_bytes);
        Some(of_training(batch, fitting, memory_bytes))
    });
    training.unwrap_or_else(|| of_scoring(longest_text_tokens()))
}

fn of_training(batch: TrainingBatch, fitting: Fitting, memory_bytes: Option<u64>) -> String {
    let TrainingBatch { pairs, tokens, .. } = batch;
    let fewer = (fitting.pairs > 0).then(|| format!("{} pairs of {tokens} tokens", fitting.pairs));
    let shorter = (fitting.tokens > 0).then(|| format!("{pairs} of {}", fitting.tokens));
    let parts: Vec<String> = fewer.into_iter().chain(shorter).collect();
    if parts.is_empty() {
        return format!(
            "not one of {pairs} pairs of {tokens} tokens fits: choose a smaller model or a larger device"
        );
    }
    let memory = match memory_bytes {
        Some(bytes) => format!("with {:.0} GiB, about ", bytes as f64 / f64::from(1 << 30)),
        None => "it does not say how much memory it has; try ".to_owned(),
    };
    let fit = if memory_bytes.is_some() { " fit" } else { "" };
    format!(
        "{memory}{}{fit}: lower `batch-pairs` (and raise `accumulation-steps` to keep the size of a \
         step) or `max-seq-tokens`; training resumes from the last checkpoint",
        parts.join(", or ")
    )
}

fn of_scoring(longest: Option<usize>) -> String {
    let longest = longest.map(|tokens| format!("the longest text has {tokens} tokens: "));
    format!("{}shorten what is read at once, or use `--device cpu`", longest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: TrainingBatch =
        TrainingBatch { pairs: 64, tokens: 512, gradient_checkpointing: false, is_on_gpu: true };

    #[test]
    fn failed_allocations_are_told_from_other_failures() {
        for text in [
            "out of device memory allocating 4096 bytes",
            "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "An out-of-memory error happened during launch",
            "can't allocate buffer of size: 17179869184",
            "Not enough memory left.",
            "ERROR_OUT_OF_DEVICE_MEMORY",
        ] {
            assert_eq!(shortage(text), Some(text));
        }
        assert_eq!(shortage("CUDA_ERROR_ILLEGAL_ADDRESS"), None);
        let wrapped = "Error while reading data\nCaused by:\n  out of device memory\nAsked at:";
        assert_eq!(shortage(wrapped), Some("out of device memory"));
    }

    #[test]
    fn a_training_that_is_too_large_is_told_what_fits() {
        let hint = of_training(BATCH, Fitting { pairs: 16, tokens: 256 }, Some(24 << 30));
        let expected = "with 24 GiB, about 16 pairs of 512 tokens, or 64 of 256 fit: lower ";
        assert!(hint.starts_with(expected), "{hint}");
        let unknown = of_training(BATCH, Fitting { pairs: 32, tokens: 256 }, None);
        assert!(unknown.contains("try 32 pairs of 512 tokens, or 64 of 256: lower"), "{unknown}");
        let only_shorter = of_training(BATCH, Fitting { pairs: 0, tokens: 8 }, Some(1 << 30));
        assert!(only_shorter.starts_with("with 1 GiB, about 64 of 8 fit"), "{only_shorter}");
        let nothing = of_training(BATCH, Fitting { pairs: 0, tokens: 0 }, Some(1 << 30));
        assert!(nothing.contains("a smaller model"), "{nothing}");
    }

    #[test]
    fn scoring_names_the_longest_text() {
        assert!(of_scoring(Some(8192)).starts_with("the longest text has 8192 tokens: shorten"));
        assert!(of_scoring(None).starts_with("shorten"));
    }
}
