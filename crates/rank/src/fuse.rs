//! Joins runs: by reciprocal rank fusion, or a model's logits with the first stages' scores.

use crate::error::{Error, Result};
use crate::notes::notes_of;
use crate::rerank::Scores;
use crate::run_file::{RunPaths, file_name, folder, run_name, runs_in, stage_name};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_eval::{Join, RRF_K, rrf};
use whetstone_records::{DataSet, Manifest, ModelDir, Outcome, Run, Stage, digests};

/// The command's name, which is also the stage's.
pub const FUSE: &str = "fuse";
/// The name of a run of joined scores.
pub(crate) const JOINED_NAME: &str = "whetstone-fused";

/// A join, and the runs that it takes the first stages' scores from.
#[derive(Clone, Debug, Serialize)]
pub struct Joining {
    pub join: Join,
    /// By the names of the first stages; those with a weight and no others.
    #[serde(skip)]
    pub first_stages: RunPaths,
}

impl Joining {
    /// Returns the join of a calibrated model over `candidates`. `given` are the first stages' runs
    /// by their names. Without any, the data set's own runs beside the candidates serve
    /// (`runs/NAME.run`), or the candidates themselves if the join has no other first stage.
    ///
    /// # Errors
    /// As [`notes_of`]; where a first stage of the join has no run.
    pub fn of_model(model: &ModelDir, candidates: &Path, given: &RunPaths) -> Result<Self> {
        let join = notes_of(model)?.fusion.join;
        let mut found = given.clone();
        if given.is_empty() {
            found = runs_in(&DataSet::new(folder(candidates)).runs())?;
            let name = run_name(candidates)?;
            if join.weights.keys().eq([&name]) {
                found.entry(name).or_insert_with(|| candidates.to_path_buf());
            }
        }
        found.retain(|name, _| join.weights.contains_key(name));
        match join.weights.keys().find(|name| !found.contains_key(*name)) {
            Some(name) => Err(Error::NoRunOf { name: name.clone() }),
            None => Ok(Self { join, first_stages: found }),
        }
    }

    /// The default join of a model's run with first stages: what its scores are divided by goes with
    /// their kind.
    ///
    /// # Errors
    /// A run that cannot be read.
    pub fn fixed(scores: &Path, first_stages: RunPaths) -> Result<Self> {
        let kind = Scores::named(&run_name(scores)?).unwrap_or(Scores::Logits);
        let join = Join::fixed(first_stages.keys()).at(kind.temperature());
        Ok(Self { join, first_stages })
    }

    /// The runs by their roles in a manifest.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (String, &Path)> {
        self.first_stages.iter().map(|(name, path)| (format!("first-stage {name}"), path.as_path()))
    }

    pub(crate) fn apply(&self, logits: &Run) -> Result<Run> {
        let read = |(name, path): (&String, &PathBuf)| Ok((name.clone(), Run::read(path)?));
        let runs: BTreeMap<String, Run> =
            self.first_stages.iter().map(read).collect::<Result<_>>()?;
        Ok(self.join.apply(logits, &runs))
    }
}

/// Writes the reciprocal rank fusion of `runs` as the TREC run `out`. Refuses to overwrite one of
/// them.
pub fn fuse(runs: &[PathBuf], out: &Path) -> Result<Manifest> {
    let roles: Vec<String> = (1..=runs.len()).map(|number| format!("run-{number}")).collect();
    let inputs: Vec<(&str, &Path)> =
        roles.iter().map(String::as_str).zip(runs.iter().map(PathBuf::as_path)).collect();
    write(&RRF_K, &inputs, out, || {
        let runs: Vec<Run> = runs.iter().map(|run| Run::read(run)).collect::<Result<_, _>>()?;
        Ok((rrf(&runs.iter().collect::<Vec<_>>(), RRF_K), "rrf"))
    })
}

/// Writes the joined scores of `logits`, the run of a model, and of its first stages as the TREC
/// run `out`. Refuses to overwrite one of them.
pub fn fuse_scores(joining: &Joining, logits: &Path, out: &Path) -> Result<Manifest> {
    let first: Vec<(String, &Path)> = joining.inputs().collect();
    let mut inputs = vec![("logits", logits)];
    inputs.extend(first.iter().map(|(role, path)| (role.as_str(), *path)));
    write(joining, &inputs, out, || Ok((joining.apply(&Run::read(logits)?)?, JOINED_NAME)))
}

/// Writes what `fused` makes of the inputs, unless it is there already.
/// Refuses an output that is one of the files to be read.
pub(crate) fn refuse_writing_over<'a>(
    mut inputs: impl Iterator<Item = &'a Path>,
    out: &Path,
) -> Result<()> {
    // Only an existing file can be overwritten.
    let Ok(written) = out.canonicalize() else { return Ok(()) };
    match inputs.find(|input| input.canonicalize().is_ok_and(|input| input == written)) {
        Some(input) => Err(Error::WritesOver { path: input.to_path_buf() }),
        None => Ok(()),
    }
}

fn write(
    config: &impl Serialize,
    inputs: &[(&str, &Path)],
    out: &Path,
    fused: impl FnOnce() -> Result<(Run, &'static str)>,
) -> Result<Manifest> {
    refuse_writing_over(inputs.iter().map(|(_, run)| *run), out)?;
    let digests = digests(inputs.iter().copied())?;
    let stage = Stage::new(stage_name(FUSE, out), folder(out), config, digests);
    if let Some(manifest) = stage.begin_beside_others()? {
        return Ok(manifest);
    }
    let (run, name) = fused()?;
    run.write(out, name)?;
    let counts =
        [("queries".to_owned(), run.len() as u64), ("runs".to_owned(), inputs.len() as u64)];
    Ok(stage.finish(&[&file_name(out)], Outcome { counts: counts.into(), ..Outcome::default() })?)
}
