//! The files that `mine` writes.

use super::findings::{Findings, FindingsWriter};
use super::negatives::Chooser;
use crate::collection::Collection;
use crate::config::MineConfig;
use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;
use whetstone_records::{AtomicFile, DataSet, Manifest, Negative, manifest_name};

/// Returns the paths of the stage's files, below the data set.
pub fn outputs(config: &MineConfig) -> Vec<String> {
    let mut outputs: Vec<String> = config.names().map(DataSet::mined_run_name).collect();
    outputs.extend(config.names().map(DataSet::pair_scores_name));
    outputs.push(DataSet::NEGATIVES.into());
    outputs
}

/// Removes the stage's runs of retrievers that the config no longer lists. A command that takes all
/// runs of the folder would take them too.
pub fn forget_stale_runs(out: &Path, stage: &str, outputs: &[String]) -> Result<()> {
    let Ok(bytes) = std::fs::read(out.join(manifest_name(stage))) else { return Ok(()) };
    let Ok(earlier) = serde_json::from_slice::<Manifest>(&bytes) else { return Ok(()) };
    let runs = earlier.outputs.keys().filter(|name| {
        let folders = [DataSet::MINED, DataSet::PAIR_SCORES, DataSet::RUNS, DataSet::DEV_RUNS];
        let folders = folders.map(Path::new);
        Path::new(name).parent().is_some_and(|parent| folders.contains(&parent))
    });
    for name in runs.filter(|name| !outputs.contains(name)) {
        let path = out.join(name);
        if path.exists() {
            std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The files while they are written. None gets its name before all are whole.
pub struct MinedFiles {
    data: DataSet,
    runs: Vec<FindingsWriter>,
    negatives: AtomicFile,
    /// In the order of the config, as the runs.
    pair_scores: Vec<FindingsWriter>,
}

impl MinedFiles {
    pub fn create(out: &Path, config: &MineConfig) -> Result<Self> {
        let data = DataSet::new(out);
        let run =
            |name: &str| FindingsWriter::create(&data.path(DataSet::mined_run_name(name)), name);
        let scores =
            |name: &str| FindingsWriter::create(&data.path(DataSet::pair_scores_name(name)), name);
        Ok(Self {
            runs: config.names().map(run).collect::<Result<_>>()?,
            negatives: AtomicFile::create(&data.negatives())?,
            pair_scores: config.names().map(scores).collect::<Result<_>>()?,
            data,
        })
    }

    pub fn write_findings(
        &mut self,
        collection: &Collection,
        query: usize,
        findings: &Findings,
    ) -> Result<()> {
        let id = &collection.queries[query].id;
        for (run, ranking) in self.runs.iter_mut().zip(findings) {
            run.write(id, ranking, &collection.passages)?;
        }
        Ok(())
    }

    pub fn write_negatives(
        &mut self,
        chooser: &Chooser,
        query: usize,
        negatives: &[Negative],
    ) -> Result<()> {
        let Chooser { collection, miners, .. } = chooser;
        for (miner, scores) in miners.iter().zip(&mut self.pair_scores) {
            let ranking = chooser.scores_of_pairs(miner, query, negatives);
            scores.write(&collection.queries[query].id, &ranking, &collection.passages)?;
        }
        for negative in negatives {
            let line = serde_json::to_string(negative).expect("a negative is plain data");
            let path = self.data.negatives();
            writeln!(self.negatives, "{line}").map_err(Error::io("write", &path))?;
        }
        Ok(())
    }

    pub fn commit(self) -> Result<()> {
        let runs = self.runs.into_iter().chain(self.pair_scores);
        runs.into_iter().try_for_each(FindingsWriter::commit)?;
        Ok(self.negatives.commit()?)
    }
}
