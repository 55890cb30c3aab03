//! Training pairs in batches.

use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::pair_file::PairFile;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use whetstone_model::{BiEncoder, Packed, PairTokenizer, Tokens};
use whetstone_records::{Pair, Qrels, Silent};

/// The pairs of a file. Labels and groups stay in memory; texts are read when their batch is due.
pub(crate) struct Pairs {
    file: PairFile,
    pub labels: Vec<f32>,
    /// Teacher scores, for the pairs that have one.
    teacher: Vec<Option<f32>>,
    /// For each pair, the number of its query.
    pub groups: Vec<usize>,
    /// Bytes of each pair's texts, a cheap estimate of its tokens that serves to sort pairs by
    /// length.
    pub sizes: Vec<usize>,
}

impl Pairs {
    /// Reads `train.jsonl` or any file of pairs.
    pub fn read(path: &Path) -> Result<Self> {
        let (mut labels, mut teacher, mut groups, mut sizes) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut queries = HashMap::new();
        let file = PairFile::scan(path, |line, pair| {
            if !(0.0..=1.0).contains(&pair.label) {
                return Err(Error::Label { path: path.into(), line, label: pair.label });
            }
            labels.push(pair.label);
            teacher.push(pair.teacher);
            let count = queries.len();
            groups.push(*queries.entry(pair.query_id.clone()).or_insert(count));
            sizes.push(pair.query.len() + pair.passage.len());
            Ok(())
        })?;
        Ok(Self { file, labels, teacher, groups, sizes })
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Refuses a file that was modified after it was read.
    pub fn check(&self) -> Result<()> {
        self.file.check()
    }

    /// Reads and tokenizes a batch. With a bi-encoder, it adds that model's scores as warm labels.
    pub fn batch(
        &self,
        indices: &[usize],
        tokenizer: &PairTokenizer,
        warm: Option<&BiEncoder>,
    ) -> Result<Batch> {
        let pairs: Vec<Pair> =
            indices.iter().map(|&index| self.file.get(index)).collect::<Result<_>>()?;
        let texts: Vec<&str> =
            pairs.iter().flat_map(|pair| [pair.query.as_str(), pair.passage.as_str()]).collect();
        let tokens = tokenizer.tokenize(&texts)?;
        Ok(Batch {
            indices: indices.to_vec(),
            packed: tokenizer.batch(tokens.chunks_exact(2).map(|pair| (&pair[0], &pair[1]))),
            warm_labels: warm
                .map(|bi_encoder| warm_labels(bi_encoder, &tokens, tokenizer.max_seq_tokens()))
                .transpose()?,
        })
    }

    /// Reads some of the pairs from disk.
    pub fn of(&self, range: Range<usize>) -> Result<Vec<Pair>> {
        range.map(|index| self.file.get(index)).collect()
    }

    /// Returns the groups of pairs that must share a batch: a query's pairs if the loss compares
    /// them, single pairs otherwise.
    pub fn units(&self, config: &TrainConfig) -> Result<Vec<Vec<usize>>> {
        if !config.loss.compares() {
            return Ok((0..self.len()).map(|i| vec![i]).collect());
        }
        let mut units = vec![Vec::new(); self.groups.iter().max().map_or(0, |last| last + 1)];
        for (i, &group) in self.groups.iter().enumerate() {
            units[group].push(i);
        }
        match units.iter().find(|unit| unit.len() > config.batch_pairs) {
            Some(unit) => Err(Error::GroupTooLarge {
                query: self.file.get(unit[0])?.query_id.to_string(),
                pairs: unit.len(),
                batch: config.batch_pairs,
            }),
            None => Ok(units),
        }
    }

    /// Returns every pair's own teacher score, or nothing if the loss needs none or a model gives
    /// them.
    pub fn teacher_scores(&self, path: &Path, config: &TrainConfig) -> Result<Vec<f32>> {
        if !config.loss.needs_teacher() || config.teacher.is_some() {
            return Ok(Vec::new());
        }
        let score = |(index, score): (usize, &Option<f32>)| {
            score.ok_or_else(|| Error::NoTeacher { path: path.into(), line: self.file.line(index) })
        };
        self.teacher.iter().enumerate().map(score).collect()
    }

    /// Returns negatives / positives. Refuses pairs that cannot teach the model anything.
    pub fn balance(&self, path: &Path) -> Result<f32> {
        let positives = self.labels.iter().filter(|label| Qrels::grade_of(**label) > 0).count();
        let what = match (positives, self.len() - positives) {
            (0, _) => "positive pairs",
            (_, 0) => "negative pairs",
            (positives, negatives) => return Ok(negatives as f32 / positives as f32),
        };
        Err(Error::NoPairs { path: path.into(), what })
    }
}

/// Some pairs, ready for the network.
pub(crate) struct Batch {
    /// Places of the pairs in the file.
    pub indices: Vec<usize>,
    pub packed: Packed,
    /// The bi-encoder's label for each pair; only during the warm start.
    pub warm_labels: Option<Vec<f32>>,
}

/// Returns a label for each pair from a bi-encoder: σ(10·(cos − 0.4)). `tokens` alternates query
/// and passage. The cosines of all-MiniLM-L6-v2 lie around 0.1 for unrelated texts and above 0.6
/// for answers, which this spreads over 0.05 to 0.9. Texts are cut at `limit` tokens, as for the
/// cross-encoder.
fn warm_labels(bi_encoder: &BiEncoder, tokens: &[Tokens], limit: usize) -> Result<Vec<f32>> {
    let (slope, center) = (10.0, 0.4);
    let tokens: Vec<Tokens> =
        tokens.iter().map(|text| text[..text.len().min(limit)].into()).collect();
    let vectors = bi_encoder.encode_tokens(&tokens, &Silent)?;
    let cosine = |pair: &[f32]| {
        let (query, passage) = pair.split_at(bi_encoder.hidden());
        query.iter().zip(passage).map(|(a, b)| a * b).sum::<f32>()
    };
    let label = |cosine: f32| 1.0 / (1.0 + (-slope * (cosine - center)).exp());
    Ok(vectors.chunks_exact(2 * bi_encoder.hidden()).map(|pair| label(cosine(pair))).collect())
}
