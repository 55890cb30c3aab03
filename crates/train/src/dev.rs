//! The dev set that chooses the best checkpoint.

use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use whetstone_eval::{Measure, mean, per_query};
use whetstone_model::{Engine, Packed, PairTokenizer, Tokens};
use whetstone_records::{
    DataSet, Error as RecordsError, Hit, JsonlReader, Pair, PassageId, Qrels, QueryId, Run,
};

/// What a data set offers for choosing a checkpoint.
pub(crate) enum DevSet {
    /// No dev queries.
    Missing,
    /// Dev queries on which every model scores the same.
    Mute(Mute),
    Telling(Dev),
}

/// Why every model has the same nDCG@10 on a dev set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mute {
    NothingRelevant,
    OneCandidate,
    EquallyRelevant,
    SameText,
}

impl fmt::Display for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mute::NothingRelevant => "no passage in it is relevant",
            Mute::OneCandidate => "no query in it has two passages",
            Mute::EquallyRelevant => "in every query, all passages are equally relevant",
            Mute::SameText => "in every query, relevant passages and others have the same text",
        })
    }
}

/// Judged candidates of the dev queries, tokenized once because every evaluation scores them.
pub(crate) struct Dev {
    /// Tokens of the query and of the passage of each pair.
    pairs: Vec<(Tokens, Tokens)>,
    ids: Vec<(QueryId, PassageId)>,
    qrels: Qrels,
    /// nDCG@10 of the first stage's own order, if every pair has its score.
    first_stage: Option<f64>,
    /// For each query whose order changes its nDCG@10, the positions of its candidates.
    telling: Vec<Vec<usize>>,
}

impl Dev {
    /// Reads `dev.jsonl`, and `qrels/dev.tsv` for the ideal ranking. Without qrels, the labels
    /// serve.
    pub fn read(data: &Path, tokenizer: &PairTokenizer) -> Result<DevSet> {
        let data = DataSet::new(data);
        let path = data.dev();
        if !path.exists() {
            return Ok(DevSet::Missing);
        }
        let pairs = read_pairs(&path)?;
        let judged = data.dev_qrels();
        let qrels = match judged.exists() && !pairs.is_empty() {
            true => Qrels::read(&judged)?,
            false => Qrels::of_labels(&pairs),
        };
        if !pairs.iter().any(|pair| qrels.get(pair.query_id.as_str()).is_some()) {
            return Ok(DevSet::Missing);
        }
        let texts: Vec<&str> =
            pairs.iter().flat_map(|pair| [pair.query.as_str(), pair.passage.as_str()]).collect();
        let tokens = tokenizer.tokenize(&texts)?;
        let tokens =
            tokens.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        let of_first_stage = |pair: &Pair| pair.provenance.as_ref()?.score;
        let scores: Option<Vec<f32>> = pairs.iter().map(of_first_stage).collect();
        let ids = pairs.into_iter().map(|pair| (pair.query_id, pair.passage_id)).collect();
        let mut dev = Self { pairs: tokens, ids, qrels, first_stage: None, telling: Vec::new() };
        dev.first_stage = scores.map(|scores| dev.ndcg_at_10(&scores));
        Ok(match dev.queries_that_tell(tokenizer) {
            Ok(telling) => DevSet::Telling(Self { telling, ..dev }),
            Err(mute) => DevSet::Mute(mute),
        })
    }

    /// Returns the candidates of each query that can tell models apart: their relevance differs,
    /// and so do the tokens that the model reads.
    fn queries_that_tell(&self, tokenizer: &PairTokenizer) -> Result<Vec<Vec<usize>>, Mute> {
        let mut of_query: BTreeMap<&QueryId, Vec<usize>> = BTreeMap::new();
        for (place, (query, _)) in self.ids.iter().enumerate() {
            of_query.entry(query).or_default().push(place);
        }
        let queries: Vec<Vec<usize>> = of_query.into_values().collect();
        let of_several = |groups: Vec<Vec<usize>>, differ: &dyn Fn(usize, usize) -> bool, why| {
            let kept = groups.into_iter().filter(|group| {
                let (first, others) = group.split_first().expect("a query has a candidate");
                others.iter().any(|other| differ(*first, *other))
            });
            let kept: Vec<Vec<usize>> = kept.collect();
            if kept.is_empty() { Err(why) } else { Ok(kept) }
        };
        if !(0..self.ids.len()).any(|place| self.gain(place) > 0) {
            return Err(Mute::NothingRelevant);
        }
        let several = of_several(queries, &|_, _| true, Mute::OneCandidate)?;
        let graded =
            of_several(several, &|a, b| self.gain(a) != self.gain(b), Mute::EquallyRelevant)?;
        let seen = |place: usize| {
            let (query, passage) = &self.pairs[place];
            tokenizer.batch([(query, passage)])
        };
        of_several(graded, &|a, b| seen(a).ids != seen(b).ids, Mute::SameText)
    }

    fn gain(&self, place: usize) -> i32 {
        let (query, passage) = &self.ids[place];
        let grades = self.qrels.get(query.as_str());
        grades.and_then(|grades| grades.get(passage.as_str())).map_or(0, |grade| (*grade).max(0))
    }

    /// Returns whether some query has passages that differ in both relevance and score. If none
    /// does, the ranking is merely that of the ids.
    pub fn can_tell(&self, logits: &[f32]) -> bool {
        let differs = |group: &Vec<usize>| group.iter().any(|at| logits[*at] != logits[group[0]]);
        self.telling.iter().any(differs)
    }

    /// Returns the places of the pairs that are scored together.
    pub fn groups(&self, engine: &Engine) -> Vec<Vec<usize>> {
        if engine.works_apart() {
            let len = |(query, passage): &(Tokens, Tokens)| query.len() + passage.len();
            return engine.groups(&self.pairs.iter().map(len).collect::<Vec<_>>());
        }
        let places: Vec<usize> = (0..self.len()).collect();
        places.chunks(32).map(<[_]>::to_vec).collect()
    }

    /// Returns some pairs as one batch.
    pub fn batch(&self, group: &[usize], tokenizer: &PairTokenizer) -> Packed {
        let pairs = group.iter().map(|&place| &self.pairs[place]);
        tokenizer.batch(pairs.map(|(query, passage)| (query, passage)))
    }

    /// Returns the number of candidates.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn queries(&self) -> usize {
        self.ids.iter().map(|(query, _)| query).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Returns the mean nDCG@10 of the first stage's own order, if the dev pairs state its scores.
    pub fn first_stage(&self) -> Option<f64> {
        self.first_stage
    }

    /// Returns the mean nDCG@10 of the candidates ranked by `logits`.
    pub fn ndcg_at_10(&self, logits: &[f32]) -> f64 {
        mean(&self.ndcg_at_10_of_queries(logits))
    }

    /// Returns the nDCG@10 of each query that has a relevant passage.
    pub fn ndcg_at_10_of_queries(&self, logits: &[f32]) -> Vec<f64> {
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
        per_query(&judged, &run, &[measure]).values.remove(0)
    }
}

/// Reads dev pairs. Refuses labels outside 0..=1 and a passage that a query has twice.
fn read_pairs(path: &Path) -> Result<Vec<Pair>> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut seen: HashMap<(QueryId, PassageId), ()> = HashMap::new();
    let mut reader = JsonlReader::<Pair>::open(path)?;
    while let Some(pair) = reader.next() {
        let (pair, line) = (pair?, reader.line());
        if !(0.0..=1.0).contains(&pair.label) {
            return Err(Error::Label { path: path.into(), line, label: pair.label });
        }
        if seen.insert((pair.query_id.clone(), pair.passage_id.clone()), ()).is_some() {
            let id = format!("{} {}", pair.query_id, pair.passage_id);
            return Err(RecordsError::DuplicateId { path: path.into(), line, id }.into());
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

/// Reads the second dev set, if the config names one.
pub(crate) fn general_dev(
    folder: Option<&PathBuf>,
    tokenizer: &PairTokenizer,
) -> Result<Option<Dev>> {
    let Some(folder) = folder else { return Ok(None) };
    let path = DataSet::new(folder).dev();
    match Dev::read(folder, tokenizer)? {
        DevSet::Telling(dev) => Ok(Some(dev)),
        DevSet::Mute(why) => Err(Error::MuteDev { path, why }),
        DevSet::Missing => Err(Error::NoPairs { path, what: "relevant passage" }),
    }
}
