//! `whetstone models`: which models are here, and what one is.

use crate::cli::Talk;
use crate::failure::Result;
use crate::table::aligned;
use crate::{memory, output};
use serde::Serialize;
use std::path::PathBuf;
use whetstone_hub::Found;
use whetstone_model::{
    Architecture, BiEncoderDescription, Description, LateInteractionDescription,
    TokenizerDescription, TrainingBatch,
};
use whetstone_records::one_line;
use whetstone_train::TrainConfig;

/// List the models in `models` and in the hub's cache, or say what a model is
#[derive(clap::Args)]
#[command(after_help = "Examples:
  whetstone models
  whetstone models minilm-l6
  whetstone models checkpoints/mine/step-000500 --json

Nothing is downloaded, and no weights are loaded.")]
pub struct Args {
    /// A folder, a pulled model, or an id in the hub's cache; without it, list what is here
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    if args.models.is_empty() {
        return list(talk);
    }
    let described = args.models.iter().map(|model| describe(model)).collect::<Result<Vec<_>>>()?;
    if talk.json() {
        return output::json(&described);
    }
    let texts: Vec<String> = described.iter().map(Described::text).collect();
    output::data(&texts.join("\n"))
}

/// A row of the list.
#[derive(Serialize)]
struct Listed {
    name: String,
    folder: PathBuf,
    family: Option<&'static str>,
    bytes: u64,
    revision: Option<String>,
    /// Why it cannot be used.
    problem: Option<String>,
}

impl Listed {
    fn of(Found { name, folder, revision, bytes }: Found) -> Self {
        let read = Architecture::read(&folder);
        let problem = read.as_ref().err().map(|error| one_line(error));
        let family = read.ok().map(|architecture| architecture.family.model_type);
        Self { name, folder, family, bytes, revision, problem }
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.family.unwrap_or("not usable").into(),
            format!("{:.1} MiB", self.bytes as f64 / f64::from(1 << 20)),
            self.revision.clone().unwrap_or_default(),
            self.folder.display().to_string(),
        ]
    }
}

fn list(talk: &Talk) -> Result<()> {
    let listed: Vec<Listed> = whetstone_hub::inventory().into_iter().map(Listed::of).collect();
    if talk.json() {
        return output::json(&listed);
    }
    if listed.is_empty() {
        if !talk.quiet() {
            output::talk("no model is here; `whetstone pull minilm-l6` gets one");
        }
        return Ok(());
    }
    for Listed { name, problem, .. } in &listed {
        if let Some(problem) = problem {
            output::warning(&format!("`{name}` cannot be used: {problem}"));
        }
    }
    let header = ["model", "family", "size", "revision", "folder"].map(str::to_owned);
    output::data(&format!("{}\n", aligned(header.to_vec(), listed.iter().map(Listed::row))))
}

/// What a model is, and what training it would take.
#[derive(Serialize)]
struct Described {
    folder: PathBuf,
    #[serde(flatten)]
    description: Description,
    training: Training,
}

/// Memory of training in f32 on the CPU, with batches of the default size of which all pairs have
/// the greatest length.
#[derive(Serialize)]
struct Training {
    batch_pairs: usize,
    max_seq_tokens: usize,
    bytes: u64,
    /// The memory that this machine gives to the program, where the system reports it.
    machine_bytes: Option<u64>,
    fits: Option<bool>,
    /// The largest batch that fits, up to the default; 0 if not even one pair does.
    fitting_pairs: Option<usize>,
    /// The same two with `gradient-checkpointing = true`.
    checkpointing_bytes: u64,
    checkpointing_fitting_pairs: Option<usize>,
}

fn describe(model: &str) -> Result<Described> {
    let folder = whetstone_hub::locate(model)?;
    let description = Description::read(&folder)?;
    let training = Training::of(&description, memory::usable_bytes());
    Ok(Described { folder, description, training })
}

impl Training {
    fn of(description: &Description, machine_bytes: Option<u64>) -> Self {
        let config = TrainConfig::default();
        let batch_pairs = config.batch_pairs;
        let max_seq_tokens = config.max_seq_tokens().min(description.longest_input);
        let bytes = |pairs, gradient_checkpointing| {
            let batch = TrainingBatch {
                pairs,
                tokens: max_seq_tokens,
                gradient_checkpointing,
                is_on_gpu: false,
            };
            description.training_bytes(batch)
        };
        let fitting = |machine, checkpointing| {
            let fits = |pairs: &usize| bytes(*pairs, checkpointing) <= machine;
            (1..=batch_pairs).rev().find(fits).unwrap_or_default()
        };
        let fitting_pairs = machine_bytes.map(|machine| fitting(machine, false));
        Self {
            batch_pairs,
            max_seq_tokens,
            bytes: bytes(batch_pairs, false),
            machine_bytes,
            fits: fitting_pairs.map(|pairs| pairs == batch_pairs),
            fitting_pairs,
            checkpointing_bytes: bytes(batch_pairs, true),
            checkpointing_fitting_pairs: machine_bytes.map(|machine| fitting(machine, true)),
        }
    }

    fn text(&self) -> String {
        let Self { batch_pairs, max_seq_tokens, .. } = self;
        let about = format!(
            "about {} with batch-pairs = {batch_pairs} and max-seq-tokens = {max_seq_tokens}",
            mib(self.bytes)
        );
        let Some(machine) = self.machine_bytes.map(mib) else { return about };
        let [pairs, checkpointing] = [self.fitting_pairs, self.checkpointing_fitting_pairs]
            .map(|pairs| pairs.unwrap_or_default());
        if pairs == *batch_pairs {
            return format!("{about}: fits in this machine's {machine}");
        }
        let with_key = format!("batch-pairs = {checkpointing} with gradient-checkpointing = true");
        let ways = match (pairs, checkpointing) {
            (0, 0) => {
                return format!("{about}: not even one pair fits in this machine's {machine}");
            }
            (0, _) => with_key,
            _ if checkpointing > pairs => format!("batch-pairs = {pairs}, or {with_key},"),
            _ => format!("batch-pairs = {pairs}"),
        };
        format!(
            "{about}: too much for this machine's {machine}; {ways} fits, and accumulation-steps \
             makes up for smaller batches"
        )
    }
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

impl Described {
    fn text(&self) -> String {
        let Self { folder, description, training } = self;
        let mut lines = vec![
            ("family", description.family.to_owned()),
            ("kind", kind(description)),
            (
                "weights",
                format!(
                    "{:.1} M parameters in {}",
                    description.parameters as f64 / 1e6,
                    description.dtypes.join(", ")
                ),
            ),
            ("layers", format!("{} of width {}", description.layers, description.hidden)),
            (
                "longest input",
                format!(
                    "{} tokens; pairs are cut at {} unless you say other",
                    description.longest_input, description.max_seq_tokens
                ),
            ),
            ("tokenizer", tokenizer(&description.tokenizer)),
        ];
        lines.extend(description.bi_encoder.as_ref().map(|of| ("bi-encoder", bi_encoder(of))));
        let problem = description.bi_encoder_problem.as_ref();
        lines.extend(problem.map(|problem| ("bi-encoder", format!("cannot serve: {problem}"))));
        let late = description.late_interaction.as_ref();
        lines.extend(late.map(|late| ("token vectors", late_interaction(late))));
        lines.push(("training", training.text()));
        let lines = lines.iter().map(|(name, value)| format!("  {name:<14} {value}\n"));
        format!("{}\n{}", folder.display(), lines.collect::<String>())
    }
}

/// What the head makes of a model.
fn kind(description: &Description) -> String {
    if description.late_interaction.is_some() {
        let key = "`kind = \"late-interaction\"`";
        return format!(
            "late interaction; training makes one of it with {key}, else a cross-encoder"
        );
    }
    match &description.labels[..] {
        labels @ [_, _, ..] => format!(
            "classifier with {} labels ({}); `head-label` chooses",
            labels.len(),
            labels.join(", ")
        ),
        [] => "encoder without a relevance head; training makes one".into(),
        [_] => "cross-encoder".into(),
    }
}

fn tokenizer(TokenizerDescription { kind, tokens, embeddings }: &TokenizerDescription) -> String {
    // Tables are padded to a multiple of some number, which adds less.
    let warning = match tokens * 10 < embeddings * 9 {
        true => format!("; the network embeds {embeddings}: is it another model's?"),
        false => String::new(),
    };
    format!("{kind}, {tokens} tokens{warning}")
}

fn bi_encoder(description: &BiEncoderDescription) -> String {
    let BiEncoderDescription { pooling, query_prompt, passage_prompt, max_seq_tokens } =
        description;
    let prompts = match (query_prompt.as_str(), passage_prompt.as_str()) {
        ("", "") => "no prompts".to_owned(),
        (query, passage) => format!("prompts {query:?} and {passage:?}"),
    };
    format!("pooling {pooling}, {prompts}, texts are cut at {max_seq_tokens} tokens")
}

fn late_interaction(description: &LateInteractionDescription) -> String {
    let LateInteractionDescription { width, query_tokens, expands_queries, passage_tokens } =
        description;
    let queries = if *expands_queries { "filled up to" } else { "cut at" };
    format!(
        "of width {width}, queries {queries} {query_tokens} tokens, passages cut at {passage_tokens}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tiny(name: &str) -> Description {
        let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles");
        Description::read(&oracles.join(name)).unwrap()
    }

    #[test]
    fn a_batch_that_is_too_large_for_the_machine_gives_the_one_that_fits() {
        let model = tiny("tiny-model");
        let needed = |pairs, gradient_checkpointing| {
            let tokens = model.longest_input;
            model.training_bytes(TrainingBatch {
                pairs,
                tokens,
                gradient_checkpointing,
                is_on_gpu: false,
            })
        };
        let training = |machine| Training::of(&model, machine);
        assert_eq!(training(Some(needed(32, false))).fits, Some(true));
        let smaller = training(Some(needed(20, false)));
        assert_eq!((smaller.fits, smaller.fitting_pairs), (Some(false), Some(20)));
        let with_key = smaller.checkpointing_fitting_pairs.unwrap();
        assert!(with_key > 20 && smaller.checkpointing_bytes == needed(32, true));
        let ways = format!("batch-pairs = 20, or batch-pairs = {with_key} with gradient-");
        assert!(smaller.text().contains(&ways), "{}", smaller.text());
        assert!(training(Some(1)).text().contains("not even one pair"));
        assert_eq!(training(None).fits, None);
    }
}
