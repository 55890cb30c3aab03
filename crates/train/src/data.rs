use crate::config::TrainConfig;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::Path;
use whetstone_eval::{Measure, per_query};
use whetstone_model::{BiEncoder, Packed, PairTokenizer, Tokens};
use whetstone_records::{Hit, JsonlReader, Pair, PassageId, Progress, Qrels, QueryId, Run};

/// Pairs with their texts tokenized once each.
pub(crate) struct Pairs {
    texts: Vec<Tokens>,
    /// Index of the query's and the passage's text.
    pub pairs: Vec<(usize, usize)>,
    pub labels: Vec<f32>,
    /// Scores of a teacher, where the file has them.
    pub teacher: Vec<Option<f32>>,
    /// Number of the query of each pair.
    pub groups: Vec<usize>,
    ids: Vec<(QueryId, PassageId)>,
}

impl Pairs {
    /// Reads `train.jsonl`, `dev.jsonl` or any file of pairs, and tokenizes on all cores.
    pub fn read(path: &Path, tokenizer: &PairTokenizer) -> Result<Self> {
        let (mut texts, mut text_index) = (Vec::<String>::new(), HashMap::<String, usize>::new());
        let mut query_index = HashMap::new();
        let (mut pairs, mut labels, mut groups, mut ids) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut teacher = Vec::new();
        let mut reader = JsonlReader::<Pair>::open(path)?;
        while let Some(pair) = reader.next() {
            let pair = pair?;
            if !(0.0..=1.0).contains(&pair.label) {
                return Err(Error::Label { path: path.into(), line: reader.line(), label: pair.label });
            }
            let mut number = |text: String| {
                *text_index.entry(text).or_insert_with_key(|text| {
                    texts.push(text.clone());
                    texts.len() - 1
                })
            };
            pairs.push((number(pair.query), number(pair.passage)));
            labels.push(pair.label);
            teacher.push(pair.teacher);
            let count = query_index.len();
            groups.push(*query_index.entry(pair.query_id.clone()).or_insert(count));
            ids.push((pair.query_id, pair.passage_id));
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Ok(Self { texts: tokenizer.tokenize(&texts)?, pairs, labels, teacher, groups, ids })
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Returns what a bi-encoder thinks of each pair, as a label: σ(10·(cos − 0.4)). The cosines of all-MiniLM-L6-v2 lie
    /// around 0.1 for unrelated texts and above 0.6 for answers, which this spreads over 0.05 to 0.9.
    pub fn teacher_labels(&self, teacher: &BiEncoder, progress: &dyn Progress) -> Vec<f32> {
        let (slope, center) = (10.0, 0.4);
        progress.start("embed for the warm start", Some(self.texts.len() as u64), "texts");
        let vectors = teacher.encode_tokens(&self.texts, progress);
        progress.finish();
        let row = |text: usize| &vectors[text * teacher.hidden()..(text + 1) * teacher.hidden()];
        let cosine = |&(query, passage): &(usize, usize)| -> f32 {
            row(query).iter().zip(row(passage)).map(|(a, b)| a * b).sum()
        };
        self.pairs.iter().map(|pair| 1.0 / (1.0 + (-slope * (cosine(pair) - center)).exp())).collect()
    }

    /// Tokens of each pair after truncation.
    pub fn lengths(&self, tokenizer: &PairTokenizer) -> Vec<usize> {
        self.pairs.iter().map(|&(q, p)| tokenizer.joined_len(&self.texts[q], &self.texts[p])).collect()
    }

    pub fn batch(&self, indices: &[usize], tokenizer: &PairTokenizer) -> Packed {
        tokenizer.batch(indices.iter().map(|&i| (&self.texts[self.pairs[i].0], &self.texts[self.pairs[i].1])))
    }

    /// What must share a batch: the whole group of a query for a loss that compares, one pair otherwise.
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
                query: self.ids[unit[0]].0.to_string(),
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
            score.ok_or_else(|| Error::NoTeacher { path: path.into(), line: index + 1 })
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

/// Held-out candidates of some queries, with judgements.
pub(crate) struct Dev {
    pub pairs: Pairs,
    qrels: Qrels,
}

impl Dev {
    /// Reads `dev.jsonl`, and `qrels/dev.tsv` for the ideal ranking (the labels themselves where it is missing).
    /// None where there is no such file or no relevant passage in it.
    pub fn read(data: &Path, tokenizer: &PairTokenizer) -> Result<Option<Self>> {
        let path = data.join("dev.jsonl");
        if !path.exists() {
            return Ok(None);
        }
        let pairs = Pairs::read(&path, tokenizer)?;
        let judged = data.join("qrels").join("dev.tsv");
        let qrels = if judged.exists() && pairs.len() > 0 { Qrels::read(&judged)? } else { pairs.as_qrels() };
        let usable = pairs.ids.iter().any(|(query, _)| qrels.get(query.as_str()).is_some());
        Ok(usable.then_some(Self { pairs, qrels }))
    }

    pub fn queries(&self) -> usize {
        self.pairs.groups.iter().max().map_or(0, |last| last + 1)
    }

    /// Returns the mean nDCG@10 of the candidates ranked by `logits`.
    pub fn ndcg_at_10(&self, logits: &[f32]) -> f64 {
        let mut rankings: HashMap<&QueryId, Vec<Hit>> = HashMap::new();
        for ((query, passage), &score) in self.pairs.ids.iter().zip(logits) {
            rankings.entry(query).or_default().push(Hit { passage: passage.clone(), score });
        }
        let mut run = Run::default();
        let mut judged = Qrels::default();
        for (query, hits) in rankings {
            run.insert(query.clone(), hits);
            for (passage, &grade) in self.qrels.get(query.as_str()).into_iter().flatten() {
                judged.insert(query.clone(), passage.clone(), grade);
            }
        }
        let measure: Measure = "ndcg@10".parse().expect("a measure that exists");
        per_query(&judged, &run, &[measure]).mean_of(measure).unwrap_or(0.0)
    }
}

impl Pairs {
    fn as_qrels(&self) -> Qrels {
        let mut qrels = Qrels::default();
        for ((query, passage), &label) in self.ids.iter().zip(&self.labels) {
            // Grades are whole numbers; four steps keep the order of soft labels.
            qrels.insert(query.clone(), passage.clone(), (label * 4.0).round() as i32);
        }
        qrels
    }
}
