//! The folders that stages hand to each other. It names every file of a data set, a model folder, a
//! training run and an evaluation once.

use crate::error::Result;
use crate::io::read_json;
use crate::language::Language;
use std::path::{Path, PathBuf};

/// Defines a folder. Each file has a constant with its path below the folder, for manifests, and a
/// method that returns its whole path.
macro_rules! folder {
    ($(#[$doc:meta])* $name:ident { $($(#[$file_doc:meta])* $file:ident $method:ident = $path:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            root: PathBuf,
        }

        impl $name {
            $($(#[$file_doc])* pub const $file: &'static str = $path;)*

            pub fn new(root: impl Into<PathBuf>) -> Self {
                Self { root: root.into() }
            }

            /// The folder itself.
            pub fn root(&self) -> &Path {
                &self.root
            }

            /// Returns the path of a file below the folder.
            pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
                self.root.join(below)
            }

            $($(#[$file_doc])* pub fn $method(&self) -> PathBuf {
                self.root.join(Self::$file)
            })*
        }
    };
}

folder! {
    /// A data set, which is also a valid BEIR folder.
    DataSet {
        /// Passages, one JSON object a line, as BEIR has them.
        CORPUS corpus = "corpus.jsonl",
        /// Queries, as BEIR has them.
        QUERIES queries = "queries.jsonl",
        /// Which passages answer which query, all splits together.
        ALL_QRELS all_qrels = "qrels/all.tsv",
        TRAIN_QRELS train_qrels = "qrels/train.tsv",
        DEV_QRELS dev_qrels = "qrels/dev.tsv",
        TEST_QRELS test_qrels = "qrels/test.tsv",
        /// Queries that the filters dropped, each with its reason.
        SKIPPED skipped = "skipped.jsonl",
        /// What `ask` counted.
        ASK_REPORT ask_report = "synth.json",
        /// The counts of `ask` as a page.
        ASK_PAGE ask_page = "synth.html",
        /// Every answer of an LLM that `ask` and its judge received.
        ASK_JOURNAL ask_journal = "ask.journal.jsonl",
        /// The negatives of each training query.
        NEGATIVES negatives = "negatives.jsonl",
        /// The rankings of every retriever.
        MINED mined = "mined",
        /// The bi-encoder's vectors.
        EMBEDDINGS embeddings = "mined/embeddings",
        /// Each retriever's scores of every positive and negative of a training query.
        PAIR_SCORES pair_scores = "mined/pairs",
        /// A cross-encoder's scores of the training pairs.
        TEACHER_SCORES teacher_scores = "mined/teacher",
        /// An LLM's grades of positives and negatives.
        GRADES grades = "grades.jsonl",
        TRAIN train = "train.jsonl",
        DEV dev = "dev.jsonl",
        TEST test = "test.jsonl",
        /// The first stage's ranking of each test query: what rerankers reorder.
        CANDIDATES candidates = "candidates.run",
        /// The retrievers' rankings of the test candidates.
        RUNS runs = "runs",
        /// The retrievers' rankings of the dev candidates.
        DEV_RUNS dev_runs = "runs/dev",
    }
}

impl DataSet {
    /// Returns the longest query and passage together, in tokens, that the data set was made for;
    /// None if it states none.
    pub fn max_seq_tokens(&self) -> Result<Option<usize>> {
        Ok(self.begun()?.max_seq_tokens)
    }

    /// Returns the language of the passages; None for a data set made elsewhere.
    pub fn language(&self) -> Result<Option<Language>> {
        Ok(self.begun()?.language)
    }

    fn begun(&self) -> Result<Begun> {
        let manifests = ["chunk", "gather"].map(|stage| self.path(manifest_name(stage)));
        // `--force` empties a manifest.
        let is_whole = |path: &&PathBuf| path.metadata().is_ok_and(|file| file.len() > 0);
        match manifests.iter().find(is_whole) {
            Some(path) => Ok(read_json(path)?.unwrap_or_default()),
            None => Ok(Begun::default()),
        }
    }

    /// Returns the path, below the folder, of a retriever's ranking for every query.
    pub fn mined_run_name(retriever: &str) -> String {
        format!("{}/{retriever}.run", Self::MINED)
    }

    /// Returns the path, below the folder, of a retriever's scores of training pairs.
    pub fn pair_scores_name(retriever: &str) -> String {
        format!("{}/{retriever}.run", Self::PAIR_SCORES)
    }

    /// Returns the path, below the folder, of a retriever's ranking of the test candidates.
    pub fn run_name(retriever: &str) -> String {
        format!("{}/{retriever}.run", Self::RUNS)
    }

    /// Returns the path, below the folder, of a retriever's ranking of the dev candidates.
    pub fn dev_run_name(retriever: &str) -> String {
        format!("{}/{retriever}.run", Self::DEV_RUNS)
    }
}

/// What other stages read from the manifest of `chunk` or `gather`, whichever began the data set.
#[derive(Default, serde::Deserialize)]
struct Begun {
    max_seq_tokens: Option<usize>,
    language: Option<Language>,
}

folder! {
    /// A model: Hugging Face's files, and what Whetstone measured.
    ModelDir {
        CONFIG config = "config.json",
        WEIGHTS weights = "model.safetensors",
        /// Present if the weights are split over several files.
        WEIGHTS_INDEX weights_index = "model.safetensors.index.json",
        TOKENIZER tokenizer = "tokenizer.json",
        TOKENIZER_CONFIG tokenizer_config = "tokenizer_config.json",
        SPECIAL_TOKENS special_tokens = "special_tokens_map.json",
        /// A vocabulary of WordPiece.
        VOCABULARY vocabulary = "vocab.txt",
        /// A vocabulary of byte pairs, with their merges in a file of its own.
        BPE_VOCABULARY bpe_vocabulary = "vocab.json",
        MERGES merges = "merges.txt",
        /// Tokens that were added to a vocabulary.
        ADDED_TOKENS added_tokens = "added_tokens.json",
        /// The longest input, for sentence-transformers.
        SENTENCE_CONFIG sentence_config = "sentence_bert_config.json",
        /// Activation and prompts, for sentence-transformers.
        SENTENCE_TRANSFORMERS sentence_transformers = "config_sentence_transformers.json",
        /// The modules after the network, for sentence-transformers.
        MODULES modules = "modules.json",
        /// How to pool token vectors into one, for sentence-transformers.
        POOLING pooling = "1_Pooling/config.json",
        /// The projections of a model of late interaction, as PyLate saves them: up to three, one
        /// after the other.
        DENSE dense = "1_Dense/config.json",
        DENSE_WEIGHTS dense_weights = "1_Dense/model.safetensors",
        SECOND_DENSE second_dense = "2_Dense/config.json",
        SECOND_DENSE_WEIGHTS second_dense_weights = "2_Dense/model.safetensors",
        THIRD_DENSE third_dense = "3_Dense/config.json",
        THIRD_DENSE_WEIGHTS third_dense_weights = "3_Dense/model.safetensors",
        /// The settings of a model of late interaction, as colbert-ai saves them.
        ARTIFACT artifact = "artifact.metadata",
        /// The model card.
        CARD card = "README.md",
        /// What dev says about the model: fusion, probabilities, thresholds.
        NOTES notes = "whetstone.json",
        /// Measures of the model.
        RESULTS results = "results.json",
        /// Where the weights come from: base model, data, config.
        ORIGIN origin = "origin.json",
        /// Pairs with their logits, against which other programs are held.
        GOLDEN golden = "golden.json",
        /// The network for ONNX runtimes; the names are those that transformers.js looks for.
        ONNX onnx = "onnx/model.onnx",
        ONNX_F16 onnx_f16 = "onnx/model_fp16.onnx",
        ONNX_INT8 onnx_int8 = "onnx/model_quantized.onnx",
    }
}

impl ModelDir {
    /// What every model has. Weights and tokenizer may have other forms.
    pub const NEEDED: [&'static str; 3] = [Self::CONFIG, Self::WEIGHTS, Self::TOKENIZER];
    /// The files of a tokenizer. Some models lack some of them.
    pub const TOKENIZER_PARTS: [&'static str; 7] = [
        Self::TOKENIZER,
        Self::TOKENIZER_CONFIG,
        Self::SPECIAL_TOKENS,
        Self::VOCABULARY,
        Self::BPE_VOCABULARY,
        Self::MERGES,
        Self::ADDED_TOKENS,
    ];
    /// Files that some models have.
    pub const OPTIONAL: [&'static str; 18] = [
        Self::TOKENIZER,
        Self::TOKENIZER_CONFIG,
        Self::SPECIAL_TOKENS,
        Self::VOCABULARY,
        Self::BPE_VOCABULARY,
        Self::MERGES,
        Self::ADDED_TOKENS,
        Self::SENTENCE_CONFIG,
        Self::SENTENCE_TRANSFORMERS,
        Self::MODULES,
        Self::POOLING,
        Self::DENSE,
        Self::DENSE_WEIGHTS,
        Self::SECOND_DENSE,
        Self::SECOND_DENSE_WEIGHTS,
        Self::THIRD_DENSE,
        Self::THIRD_DENSE_WEIGHTS,
        Self::ARTIFACT,
    ];
    /// The settings and the weights of the projections, in their order.
    pub const DENSE_MODULES: [[&'static str; 2]; 3] = [
        [Self::DENSE, Self::DENSE_WEIGHTS],
        [Self::SECOND_DENSE, Self::SECOND_DENSE_WEIGHTS],
        [Self::THIRD_DENSE, Self::THIRD_DENSE_WEIGHTS],
    ];
}

folder! {
    /// A training run.
    RunDir {
        /// The config of the run, every key written out.
        CONFIG config = "config.toml",
        /// What must stay the same when a run is resumed.
        IDENTITY identity = "run.json",
        LOG log = "log.jsonl",
        LOSS_PLOT loss_plot = "loss.svg",
        DEV_PLOT dev_plot = "dev.svg",
        /// Which step is the best.
        BEST best = "best.json",
        /// The best step with the base model mixed in.
        BLENDED blended = "blended",
        /// The scores that a teacher model gave to the pairs.
        TEACHER teacher = "teacher",
        /// The smaller model that the run of `shrink` begins with.
        STUDENT student = "student",
        /// What the student became, before it loses words.
        LEARNED learned = "learned",
        /// Below a step: where the run stands.
        STATE state = "state.json",
        /// Below a step: the optimizer's moments.
        OPTIMIZER optimizer = "optimizer.safetensors",
    }
}

impl RunDir {
    const STEP: &'static str = "step-";

    /// Returns the name of a step's folder, such as `step-000500`.
    pub fn step_name(step: usize) -> String {
        format!("{}{step:06}", Self::STEP)
    }

    /// Returns the folder of a step.
    pub fn step(&self, step: usize) -> PathBuf {
        self.path(Self::step_name(step))
    }

    /// Returns whether a folder's name is that of a step, or of an incomplete one.
    pub fn is_step_name(name: &str) -> bool {
        name.trim_start_matches('.').starts_with(Self::STEP)
    }

    /// Returns the step that a folder's name stands for.
    pub fn step_of(name: &str) -> Option<usize> {
        name.strip_prefix(Self::STEP)?.parse().ok()
    }
}

folder! {
    /// What `eval` writes.
    EvalDir {
        MEASURES measures = "measures.json",
        PER_QUERY per_query = "per_query.jsonl",
        REPORT report = "report.md",
        PAGE page = "report.html",
    }
}

folder! {
    /// What `quickstart` writes beside the folders of its stages.
    QuickstartDir {
        /// From which base model it was begun.
        BASE base = "base.json",
    }
}

/// Returns the path of a stage's manifest, below its folder.
pub fn manifest_name(stage: &str) -> String {
    format!("manifests/{stage}.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_same_name_below_its_folder_and_as_a_path() {
        let data = DataSet::new("out/data");
        assert_eq!(data.dev_qrels(), Path::new("out/data").join(DataSet::DEV_QRELS));
        assert_eq!(data.path(DataSet::run_name("bm25")), Path::new("out/data/runs/bm25.run"));
    }

    #[test]
    fn a_data_set_knows_its_longest_input_and_language_where_a_stage_wrote_them() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataSet::new(folder.path());
        assert_eq!(data.max_seq_tokens().unwrap(), None);
        assert_eq!(data.language().unwrap(), None);
        let outcome = crate::Outcome {
            max_seq_tokens: Some(96),
            language: Some(Language::German),
            ..Default::default()
        };
        let none: [crate::Input; 0] = [];
        crate::Stage::new("chunk", folder.path(), &(), none).finish(&[], outcome).unwrap();
        assert_eq!(data.max_seq_tokens().unwrap(), Some(96));
        assert_eq!(data.language().unwrap(), Some(Language::German));
        crate::forget(folder.path(), "chunk").unwrap();
        assert_eq!(data.max_seq_tokens().unwrap(), None);
    }

    #[test]
    fn a_step_is_found_again_by_the_name_of_its_folder() {
        let run = RunDir::new("checkpoints/run");
        assert_eq!(run.step(500), Path::new("checkpoints/run/step-000500"));
        assert_eq!(RunDir::step_of(&RunDir::step_name(500)), Some(500));
        for rest in ["step-000500.tmp", ".step-000500.old"] {
            assert_eq!((RunDir::step_of(rest), RunDir::is_step_name(rest)), (None, true));
        }
    }
}
