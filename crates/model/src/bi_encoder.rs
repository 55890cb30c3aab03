use crate::config::BertConfig;
use crate::encoder::Encoder;
use crate::error::Result;
use crate::score::by_length;
use crate::tokenizer::{Packed, PairTokenizer, Tokens};
use crate::weights::{self, Tensors};
use burn::tensor::Device;
use std::path::Path;
use whetstone_records::Progress;

/// The limit of all-MiniLM-L6-v2 in sentence-transformers: it was trained on short texts.
const MAX_SEQ_TOKENS: usize = 256;

/// Turns a text into one vector: the mean of its token vectors, L2-normalised.
pub struct BiEncoder {
    encoder: Encoder,
    tokenizer: PairTokenizer,
    hidden: usize,
    device: Device,
}

impl BiEncoder {
    /// Loads the encoder of any BERT folder; a pooler and a classifier are left aside.
    pub fn load(model_dir: &Path, device: &Device) -> Result<Self> {
        let config = BertConfig::load(model_dir)?;
        let tokenizer = PairTokenizer::open(
            model_dir,
            MAX_SEQ_TOKENS.min(PairTokenizer::stored_limit(model_dir)?),
        )?;
        let path = model_dir.join("model.safetensors");
        let tensors: Tensors = weights::read_tensors(&path)?
            .into_iter()
            .map(|(name, tensor)| {
                (name.strip_prefix("bert.").map(str::to_owned).unwrap_or(name), tensor)
            })
            .filter(|(name, _)| !name.starts_with("pooler.") && !name.starts_with("classifier."))
            .collect();
        let mut encoder = Encoder::init(&config, device);
        weights::fill(encoder.slots(""), tensors, &path, device)?;
        Ok(Self { encoder, tokenizer, hidden: config.hidden_size, device: device.clone() })
    }

    /// The length of a vector.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Returns row-major `[texts, hidden]`, every row of length 1, in the order given.
    pub fn encode(&self, texts: &[&str], progress: &dyn Progress) -> Result<Vec<f32>> {
        Ok(self.encode_tokens(&self.tokenizer.tokenize(texts)?, progress))
    }

    /// The same for texts that are tokenized already, by the tokenizer of the same model folder.
    pub fn encode_tokens(&self, tokens: &[Tokens], progress: &dyn Progress) -> Vec<f32> {
        let limit = self.tokenizer.max_seq_tokens();
        let lengths: Vec<usize> = tokens.iter().map(|text| (text.len() + 2).min(limit)).collect();
        let mut vectors = vec![0f32; tokens.len() * self.hidden];
        for group in by_length(&lengths) {
            let mut batch = Packed::default();
            group.iter().for_each(|&i| self.tokenizer.join_text(&tokens[i], &mut batch));
            let means = self.encoder.forward(&batch, None, &self.device).mean(&batch);
            for (&i, mean) in group.iter().zip(means.chunks_exact(self.hidden)) {
                let norm = mean.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
                let row = &mut vectors[i * self.hidden..(i + 1) * self.hidden];
                row.iter_mut().zip(mean).for_each(|(to, from)| *to = from / norm);
            }
            progress.advance(group.len() as u64);
        }
        vectors
    }
}
