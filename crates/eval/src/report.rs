//! Reads qrels and runs together and measures them.

use crate::error::{Error, Result};
use crate::measure::Measure;
use crate::per_query::{Evaluation, per_query};
use rayon::prelude::*;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use whetstone_records::{Qrels, QueryId, Run};

/// What `whetstone eval --json` prints: `{"runs": {"NAME": {"queries": 300, "ndcg@10": 0.7, …}}}`.
/// Runs and measures keep the order in which they were given.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    #[serde(serialize_with = "runs_by_name")]
    pub runs: Vec<RunReport>,
}

impl Report {
    /// Returns one record per query with the measures of every run: the lines of `per_query.jsonl`.
    pub fn per_query(&self) -> impl Iterator<Item = QueryRecord<'_>> {
        let queries = self.runs.first().map_or(&[][..], |run| &run.evaluation.queries);
        queries.iter().enumerate().map(|(place, query_id)| QueryRecord {
            query_id,
            runs: QueryRuns { report: self, place },
        })
    }
}

/// `{"query_id": "q1", "runs": {"NAME": {"ndcg@10": 0.7, …}, …}}`
#[derive(serde::Serialize)]
pub struct QueryRecord<'a> {
    query_id: &'a QueryId,
    runs: QueryRuns<'a>,
}

struct QueryRuns<'a> {
    report: &'a Report,
    place: usize,
}

impl Serialize for QueryRuns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = |run: &RunReport| {
            let values = run.evaluation.values.iter().map(|values| values[self.place]);
            run.evaluation.measures.iter().copied().zip(values).collect::<Vec<_>>()
        };
        serializer
            .collect_map(self.report.runs.iter().map(|run| (&run.name, ByMeasure(values(run)))))
    }
}

struct ByMeasure(Vec<(Measure, f64)>);

impl Serialize for ByMeasure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// One run of a report.
#[derive(Clone, Debug)]
pub struct RunReport {
    pub name: String,
    pub evaluation: Evaluation,
}

fn runs_by_name<S: Serializer>(runs: &[RunReport], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(runs.iter().map(|run| (&run.name, Means(&run.evaluation))))
}

/// The means of a run, keyed by the names of the measures.
pub(crate) struct Means<'a>(pub &'a Evaluation);

impl Serialize for Means<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let evaluation = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("queries", &evaluation.queries.len())?;
        for (measure, mean) in evaluation.measures.iter().zip(&evaluation.means) {
            map.serialize_entry(measure, mean)?;
        }
        map.serialize_entry("missing_queries", &evaluation.missing.len())?;
        map.end()
    }
}

/// Qrels and runs that were read and fit together.
pub struct Inputs {
    pub qrels: Qrels,
    /// The runs in the order given, each with its name.
    pub runs: Vec<(String, Run)>,
    /// The candidates that the systems reordered.
    pub candidates: Option<Run>,
}

impl Inputs {
    /// Reads qrels, runs (each with its name) and the candidates.
    ///
    /// # Errors
    /// Two runs have one name, the qrels have no relevant passage, or a run shares no query with
    /// the qrels.
    pub fn read(
        qrels: &Path,
        runs: &[(String, PathBuf)],
        candidates: Option<&Path>,
    ) -> Result<Self> {
        let mut names = HashSet::new();
        if let Some((name, _)) = runs.iter().find(|(name, _)| !names.insert(name)) {
            return Err(Error::DuplicateRun { name: name.clone() });
        }
        let judged = Qrels::read(qrels)?;
        let queries = judged.iter().filter(|(_, grades)| grades.values().any(|grade| *grade > 0));
        let queries: Vec<&QueryId> = queries.map(|(query, _)| query).collect();
        if queries.is_empty() {
            return Err(Error::NothingRelevant { path: qrels.into() });
        }
        let read = |(name, path): (&str, &Path)| {
            let run = Run::read(path)?;
            if queries.iter().all(|query| run.get(query.as_str()).is_none()) {
                let (name, path, qrels) = (name.to_owned(), path.to_owned(), qrels.into());
                return Err(Error::NoQueryInCommon { name, path, qrels, queries: queries.len() });
            }
            Ok(run)
        };
        let candidates = candidates.map(|path| read(("candidates", path))).transpose()?;
        let runs = runs
            .par_iter()
            .map(|(name, path)| Ok((name.clone(), read((name, path))?)))
            .collect::<Result<_>>()?;
        Ok(Self { qrels: judged, runs, candidates })
    }

    /// Measures every run over the same queries: those of the qrels with a relevant passage.
    pub fn measure(&self, measures: &[Measure]) -> Report {
        let measure = |(name, run): &(String, Run)| {
            let evaluation = per_query(&self.qrels, run, measures);
            RunReport { name: name.clone(), evaluation }
        };
        Report { runs: self.runs.iter().map(measure).collect() }
    }
}

/// Reads qrels and runs as [`Inputs::read`] does, and measures every run.
///
/// ```
/// # use whetstone_eval::{Measure, evaluate};
/// # let folder = tempfile::tempdir().unwrap();
/// # let (qrels, run) = (folder.path().join("test.qrels"), folder.path().join("bm25.run"));
/// std::fs::write(&qrels, "q1 0 p7 1\n").unwrap();
/// std::fs::write(&run, "q1 Q0 p3 1 9.5 bm25\nq1 Q0 p7 2 8.5 bm25\n").unwrap();
/// let measure: Measure = "mrr@10".parse()?;
/// let report = evaluate(&qrels, &[("bm25".into(), run)], &[measure])?;
/// assert_eq!(report.runs[0].evaluation.mean_of(measure), Some(0.5));
/// # Ok::<(), whetstone_eval::Error>(())
/// ```
pub fn evaluate(qrels: &Path, runs: &[(String, PathBuf)], measures: &[Measure]) -> Result<Report> {
    Ok(Inputs::read(qrels, runs, None)?.measure(measures))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_report_has_the_promised_shape() {
        let folder = tempfile::tempdir().unwrap();
        let qrels = write(folder.path(), "a.tsv", "query-id\tcorpus-id\tscore\nq\ta\t1\nr\ta\t1\n");
        let run = write(folder.path(), "a.run", "q Q0 a 1 0.5 x\n");
        let runs = [("second".into(), run.clone()), ("first".into(), run)];
        let report = evaluate(&qrels, &runs, &Measure::defaults()).unwrap();
        let one = r#"{"queries":2,"ndcg@10":0.5,"mrr@10":0.5,"p@1":0.5,"recall@10":0.5,"map":0.5,"judged@10":0.5,"missing_queries":1}"#;
        let expected = format!(r#"{{"runs":{{"second":{one},"first":{one}}}}}"#);
        assert_eq!(serde_json::to_string(&report).unwrap(), expected);
    }

    #[test]
    fn every_query_has_a_record_with_all_runs() {
        let folder = tempfile::tempdir().unwrap();
        let qrels = write(folder.path(), "a.qrels", "q 0 a 1\nr 0 b 1\n");
        let run = write(folder.path(), "a.run", "q Q0 a 1 0.5 x\nr Q0 a 1 0.5 x\n");
        let runs = [("second".into(), run.clone()), ("first".into(), run)];
        let report = evaluate(&qrels, &runs, &["p@1".parse().unwrap(), Measure::Map]).unwrap();
        let lines: Vec<_> =
            report.per_query().map(|record| serde_json::to_string(&record).unwrap()).collect();
        let line = |query: &str, value: &str| {
            let values = format!(r#"{{"p@1":{value},"map":{value}}}"#);
            format!(r#"{{"query_id":"{query}","runs":{{"second":{values},"first":{values}}}}}"#)
        };
        assert_eq!(lines, [line("q", "1.0"), line("r", "0.0")]);
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let qrels = write(folder.path(), "a.qrels", "q 0 a 1\n");
        let zeros = write(folder.path(), "zeros.qrels", "q 0 a 0\n");
        let run = write(folder.path(), "a.run", "q Q0 a 1 0.5 x\n");
        let other = write(folder.path(), "other.run", "z Q0 a 1 0.5 x\n");
        let refusal = |qrels: &Path, runs: &[(&str, &PathBuf)]| {
            let runs: Vec<_> =
                runs.iter().map(|(name, path)| (name.to_string(), path.to_path_buf())).collect();
            evaluate(qrels, &runs, &Measure::defaults()).unwrap_err()
        };
        assert!(matches!(refusal(&qrels, &[("a", &run), ("a", &run)]), Error::DuplicateRun { .. }));
        assert!(matches!(refusal(&zeros, &[("a", &run)]), Error::NothingRelevant { .. }));
        assert!(matches!(
            refusal(&qrels, &[("a", &run), ("b", &other)]),
            Error::NoQueryInCommon { .. }
        ));
    }
}
