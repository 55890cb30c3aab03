//! What an ONNX file loses on a data set: the same candidates in its order and in our engine's.

use super::Quality;
use super::onnx::{OnnxRuntime, files};
use crate::error::{Error, Result};
use crate::rerank::order;
use crate::texts::{TextFiles, Texts};
use whetstone_eval::{CompareConfig, Measure, paired, per_query};
use whetstone_model::{Engine, Placement, Scorer};
use whetstone_records::{DataSet, ModelDir, Progress, Qrels, Run};

/// A model, and the data set that it is measured on.
#[derive(Clone, Copy, Debug)]
pub struct QualityJob<'a> {
    pub model: &'a ModelDir,
    /// Its candidates of test queries are ordered.
    pub data: &'a DataSet,
    pub placement: Placement,
}

impl QualityJob<'_> {
    /// Orders the candidates of the test queries with our engine and with every ONNX file.
    pub fn run(&self, runtime: &OnnxRuntime, progress: &dyn Progress) -> Result<Vec<Quality>> {
        let files = files(self.model);
        if files.is_empty() {
            return Err(Error::NoOnnx { model: self.model.root().into() });
        }
        let (corpus, queries) = (self.data.corpus(), self.data.queries());
        let qrels = Qrels::read(&self.data.test_qrels())?;
        let candidates = judged(&Run::read(&self.data.candidates())?, &qrels);
        let texts = TextFiles { corpus: &corpus, queries: &queries };
        let texts = Texts::of_candidates(texts, [&candidates])?;
        let engine = Engine::placed(self.placement)?;
        let scorer = Scorer::load(self.model.root(), None, None, &engine)?;
        let engine = order(&candidates, &texts, |pairs| {
            progress.start("our engine", Some(pairs.len() as u64), "pairs");
            let scores = scorer.score(pairs, progress)?;
            progress.finish();
            Ok(scores)
        })?;
        let name = format!("whetstone on {}", scorer.placement(self.placement));
        let mut found = vec![quality(name, &qrels, &engine, None)];
        for (file, _) in files {
            let session = runtime.open(self.model, file, None)?;
            let run = order(&candidates, &texts, |pairs| {
                progress.start(file, Some(pairs.len() as u64), "pairs");
                let logits = session.score(pairs, progress)?;
                progress.finish();
                Ok(logits)
            })?;
            let name = format!("ONNX Runtime, {file}");
            found.push(quality(name, &qrels, &run, Some(&engine)));
        }
        Ok(found)
    }
}

/// The candidates of the queries that have judgements.
fn judged(candidates: &Run, qrels: &Qrels) -> Run {
    let judged = candidates.iter().filter(|(query, _)| qrels.get(query.as_str()).is_some());
    judged.flat_map(|(query, hits)| hits.iter().map(|hit| (query.clone(), hit.clone()))).collect()
}

fn quality(scorer: String, qrels: &Qrels, run: &Run, engine: Option<&Run>) -> Quality {
    let measure: Measure = "ndcg@10".parse().expect("a measure's name");
    let of = |run: &Run| per_query(qrels, run, &[measure]);
    let own = of(run);
    let compared = engine.map(|engine| {
        let theirs = of(engine);
        let both = own.values[0].iter().zip(&theirs.values[0]);
        let differences: Vec<f64> = both.map(|(own, theirs)| own - theirs).collect();
        paired(&differences, &CompareConfig::default())
    });
    Quality {
        scorer,
        queries: own.queries.len(),
        measure,
        mean: own.means[0],
        difference: compared.as_ref().map(|paired| paired.difference),
        interval: compared.map(|paired| paired.interval),
    }
}
