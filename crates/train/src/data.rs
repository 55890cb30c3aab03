//! Training pairs in batches, and the dev set.

use crate::config::TrainConfig;
use crate::error::{Error, Result};
use crate::pair_file::PairFile;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use whetstone_eval::{Measure, per_query};
use whetstone_model::{BiEncoder, Packed, PairTokenizer, Tokens};
use whetstone_records::{Hit, Pair, PassageId, Qrels, QueryId, Run, Silent, read_jsonl};

/// The pairs of a file. Labels and groups are in memory, texts stay on disk until their batch
/// comes.
pub(crate) struct Pairs {
    file: PairFile,
    pub labels: Vec<f32>,
    /// Scores of a teacher, where the file has them.
    teacher: Vec<Option<f32>>,
    /// Number of the query of each pair.
    pub groups: Vec<usize>,
    /// Bytes of each pair's texts: near enough to their tokens to find pairs of like length.
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

    /// Reads and tokenizes a batch; with a bi-encoder, its scores are the labels.
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

    /// What must share a batch: the whole group of a query for a loss that compares, one pair
    /// otherwise.
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

    /// Returns every pair's teacher score where the loss needs them.
    pub fn teacher_scores(&self, path: &Path, config: &TrainConfig) -> Result<Vec<f32>> {
        if !config.loss.needs_teacher() {
            return Ok(Vec::new());
        }
        let score = |(index, score): (usize, &Option<f32>)| {
            score.ok_or_else(|| Error::NoTeacher { path: path.into(), line: self.file.line(index) })
        };
        self.teacher.iter().enumerate().map(score).collect()
    }

    /// Refuses pairs from which nothing can be learned; returns negatives / positives.
    pub fn balance(&self, path: &Path) -> Result<f32> {
        let positives = self.labels.iter().filter(|&&label| label > 0.5).count();
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
    /// During the warm start, what the base model's embeddings think of each pair.
    pub warm_labels: Option<Vec<f32>>,
}

/// Returns what a bi-encoder thinks of query, passage, query, passage, …, as a label for each pair:
/// σ(10·(cos − 0.4)). The cosines of all-MiniLM-L6-v2 lie around 0.1 for unrelated texts and above
/// 0.6 for answers, which this spreads over 0.05 to 0.9. It sees no more than `limit` tokens of a
/// text, as the cross-encoder.
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

/// Held-out candidates of some queries, with judgements; tokenized once, since they are scored
/// again and again.
pub(crate) struct Dev {
    /// Tokens of the query and of the passage of each pair.
    pairs: Vec<(Tokens, Tokens)>,
    ids: Vec<(QueryId, PassageId)>,
    qrels: Qrels,
}

impl Dev {
    /// Reads `dev.jsonl`, and `qrels/dev.tsv` for the ideal ranking (the labels themselves where it
    /// is missing). None where there is no such file or no relevant passage in it.
    pub fn read(data: &Path, tokenizer: &PairTokenizer) -> Result<Option<Self>> {
        let path = data.join("dev.jsonl");
        if !path.exists() {
            return Ok(None);
        }
        let pairs: Vec<Pair> = read_jsonl(&path)?;
        let judged = data.join("qrels").join("dev.tsv");
        let qrels = if judged.exists() && !pairs.is_empty() {
            Qrels::read(&judged)?
        } else {
            as_qrels(&pairs)
        };
        if !pairs.iter().any(|pair| qrels.get(pair.query_id.as_str()).is_some()) {
            return Ok(None);
        }
        let texts: Vec<&str> =
            pairs.iter().flat_map(|pair| [pair.query.as_str(), pair.passage.as_str()]).collect();
        let tokens = tokenizer.tokenize(&texts)?;
        let tokens =
            tokens.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let ids = pairs.into_iter().map(|pair| (pair.query_id, pair.passage_id)).collect();
        Ok(Some(Self { pairs: tokens, ids, qrels }))
    }

    /// The pairs in batches, in the order that [`Dev::ndcg_at_10`] wants their logits.
    pub fn batches<'a>(
        &'a self,
        tokenizer: &'a PairTokenizer,
    ) -> impl Iterator<Item = Packed> + 'a {
        self.pairs
            .chunks(32)
            .map(|part| tokenizer.batch(part.iter().map(|(query, passage)| (query, passage))))
    }

    pub fn queries(&self) -> usize {
        self.ids.iter().map(|(query, _)| query).collect::<BTreeSet<_>>().len()
    }

    /// Returns the mean nDCG@10 of the candidates ranked by `logits`.
    pub fn ndcg_at_10(&self, logits: &[f32]) -> f64 {
        let hit = |((query, passage), score): (&(QueryId, PassageId), &f32)| {
            (query.clone(), Hit { passage: passage.clone(), score: *score })
        };
        let run: Run = self.ids.iter().zip(logits).map(hit).collect();
        let mut judged = Qrels::default();
        for (query, _) in run.iter() {
            for (passage, &grade) in self.qrels.get(query.as_str()).into_iter().flatten() {
                judged.insert(query.clone(), passage.clone(), grade);
            }
        }
        let measure: Measure = "ndcg@10".parse().expect("a measure that exists");
        per_query(&judged, &run, &[measure]).mean_of(measure).unwrap_or(0.0)
    }
}

/// The labels as judgements.
fn as_qrels(pairs: &[Pair]) -> Qrels {
    let mut qrels = Qrels::default();
    for pair in pairs {
        // Grades are whole numbers; four steps keep the order of soft labels.
        qrels.insert(
            pair.query_id.clone(),
            pair.passage_id.clone(),
            (pair.label * 4.0).round() as i32,
        );
    }
    qrels
}
