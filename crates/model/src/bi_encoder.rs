//! A bi-encoder: turns a text into a vector.

use crate::batch::Packed;
use crate::engine::{Engine, StepDropout, values};
use crate::error::{Error, Result};
use crate::families::Architecture;
use crate::nn::Encoder;
use crate::sentence::SentenceConfig;
use crate::spec::Pooling;
use crate::tokenizer::{PairTokenizer, Tokens};
use crate::weights;
use std::path::Path;
use whetstone_records::{ModelDir, Progress};

/// An encoder that pools its token vectors into one of length 1, as the model's own files say.
/// Without such files, it takes their mean.
pub struct BiEncoder {
    encoder: Encoder,
    tokenizer: PairTokenizer,
    sentence: SentenceConfig,
    engine: Engine,
}

impl BiEncoder {
    /// Returns the files of a model folder that its vectors depend on, by their paths below it.
    pub fn files(model_dir: &Path) -> Result<Vec<String>> {
        let dir = ModelDir::new(model_dir);
        let mut files = vec![ModelDir::CONFIG.to_owned()];
        files.extend(dir.weight_files()?);
        files.extend(dir.tokenizer_files().iter().map(|&file| file.to_owned()));
        let others = [
            ModelDir::TOKENIZER_CONFIG,
            ModelDir::SENTENCE_CONFIG,
            ModelDir::MODULES,
            ModelDir::POOLING,
            ModelDir::SENTENCE_TRANSFORMERS,
        ];
        files.extend(others.map(str::to_owned));
        files.retain(|file| dir.path(file).is_file());
        Ok(files)
    }

    /// Loads the encoder of a model folder. It ignores a head.
    ///
    /// # Errors
    /// Files and weights as in [`Error`]; a pooling, a module or a similarity that is not
    /// supported.
    pub fn load(model_dir: &Path, engine: &Engine) -> Result<Self> {
        let architecture = Architecture::read(model_dir)?;
        let sentence = SentenceConfig::read(model_dir)?;
        let limit = sentence.max_seq_tokens.min(PairTokenizer::stored_limit(model_dir)?);
        let tokenizer = PairTokenizer::open(model_dir, limit)?;
        let encoder = weights::encoder(model_dir, &architecture, engine)?;
        Ok(Self { encoder, tokenizer, sentence, engine: engine.clone() })
    }

    /// The length of a vector.
    pub fn hidden(&self) -> usize {
        self.encoder.spec.hidden
    }

    /// Returns the vectors of passages: row-major `[texts, hidden]`, every row of length 1, in the
    /// order given.
    ///
    /// # Errors
    /// A text that cannot be tokenized; [`Error::NoNumber`] where a vector is not finite.
    pub fn encode(&self, passages: &[&str], progress: &dyn Progress) -> Result<Vec<f32>> {
        self.encode_after(&self.sentence.passage_prompt, passages, progress)
    }

    /// The same for queries, for which some models use a different prompt.
    pub fn encode_queries(&self, queries: &[&str], progress: &dyn Progress) -> Result<Vec<f32>> {
        self.encode_after(&self.sentence.query_prompt, queries, progress)
    }

    fn encode_after(
        &self,
        prompt: &str,
        texts: &[&str],
        progress: &dyn Progress,
    ) -> Result<Vec<f32>> {
        if prompt.is_empty() {
            return self.encode_tokens(&self.tokenizer.tokenize(texts)?, progress);
        }
        let texts: Vec<String> = texts.iter().map(|text| format!("{prompt}{text}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.encode_tokens(&self.tokenizer.tokenize(&texts)?, progress)
    }

    /// The same without a prompt, for texts already tokenized by the same model folder's tokenizer.
    pub fn encode_tokens(&self, tokens: &[Tokens], progress: &dyn Progress) -> Result<Vec<f32>> {
        let hidden = self.hidden();
        let lengths: Vec<usize> = tokens.iter().map(|text| self.tokenizer.text_len(text)).collect();
        let mut vectors = vec![0f32; tokens.len() * hidden];
        for group in self.engine.groups(&lengths) {
            let mut batch = Packed::default();
            group.iter().for_each(|&i| self.tokenizer.join_text(&tokens[i], &mut batch));
            let pooled = self.pooled(&batch); // [batch, hidden]
            for (&i, vector) in group.iter().zip(pooled.chunks_exact(hidden)) {
                let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
                if !norm.is_finite() {
                    return Err(Error::NoNumber { what: "vector of a text" });
                }
                let norm = norm.max(1e-12);
                let row = &mut vectors[i * hidden..(i + 1) * hidden];
                row.iter_mut().zip(vector).for_each(|(to, from)| *to = from / norm);
            }
            progress.advance(group.len() as u64);
        }
        Ok(vectors)
    }

    /// One vector for each sequence, row-major `[batch, hidden]`.
    fn pooled(&self, batch: &Packed) -> Vec<f32> {
        let none = StepDropout::default();
        match self.sentence.pooling {
            Pooling::Mean => self.engine.all_tokens(&self.encoder, batch, none).mean(batch),
            Pooling::FirstToken => {
                values(self.engine.first_tokens(&self.encoder, batch, none, None))
            }
        }
    }
}
