use crate::error::{Error, Result};
use crate::measure::Measure;
use crate::per_query::{Evaluation, per_query};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use whetstone_records::{Qrels, Run};

/// What `whetstone eval --json` prints: `{"runs": {"NAME": {"queries": 300, "ndcg@10": 0.7, …}}}`, the runs in the
/// order given and the measures in the order asked for.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    #[serde(serialize_with = "runs_by_name")]
    pub runs: Vec<RunReport>,
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

struct Means<'a>(&'a Evaluation);

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

/// Reads qrels and runs (each with its name) and measures every run over the same queries: those of the qrels with at
/// least one relevant passage.
///
/// Refused: two runs of one name, qrels without a relevant passage, a run that shares no query with the qrels.
pub fn evaluate(qrels: &Path, runs: &[(String, PathBuf)], measures: &[Measure]) -> Result<Report> {
    let mut names = HashSet::new();
    if let Some((name, _)) = runs.iter().find(|(name, _)| !names.insert(name)) {
        return Err(Error::DuplicateRun { name: name.clone() });
    }
    let judged = Qrels::read(qrels)?;
    let measure = |(name, path): &(String, PathBuf)| {
        let evaluation = per_query(&judged, &Run::read(path)?, measures);
        let queries = evaluation.queries.len();
        if queries == 0 {
            return Err(Error::NothingRelevant { path: qrels.into() });
        }
        if evaluation.missing.len() == queries {
            let (name, path, qrels) = (name.clone(), path.clone(), qrels.into());
            return Err(Error::NoQueryInCommon { name, path, qrels, queries });
        }
        Ok(RunReport { name: name.clone(), evaluation })
    };
    Ok(Report { runs: runs.iter().map(measure).collect::<Result<_>>()? })
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
    fn files_that_do_not_belong_together_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let qrels = write(folder.path(), "a.qrels", "q 0 a 1\n");
        let zeros = write(folder.path(), "zeros.qrels", "q 0 a 0\n");
        let run = write(folder.path(), "a.run", "q Q0 a 1 0.5 x\n");
        let other = write(folder.path(), "other.run", "z Q0 a 1 0.5 x\n");
        let refusal = |qrels: &Path, runs: &[(&str, &PathBuf)]| {
            let runs: Vec<_> = runs.iter().map(|(name, path)| (name.to_string(), path.to_path_buf())).collect();
            evaluate(qrels, &runs, &Measure::defaults()).unwrap_err()
        };
        assert!(matches!(refusal(&qrels, &[("a", &run), ("a", &run)]), Error::DuplicateRun { .. }));
        assert!(matches!(refusal(&zeros, &[("a", &run)]), Error::NothingRelevant { .. }));
        assert!(matches!(refusal(&qrels, &[("a", &run), ("b", &other)]), Error::NoQueryInCommon { .. }));
    }
}
