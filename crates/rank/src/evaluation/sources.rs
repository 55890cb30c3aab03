//! The files behind a report, and the commands that made them.

use super::{EVAL, EvalRequest};
use crate::error::Result;
use crate::fuse::FUSE;
use crate::rerank::RERANK;
use crate::run_file::{folder, stage_name};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use whetstone_eval::{AssessConfig, Origin};
use whetstone_records::{
    Cost, DataSet, Input, Manifest, ModelDir, manifest_name, read_text, sha256_bytes,
};

/// Everything that a report depends on.
pub struct Sources {
    /// Every input file by its role.
    pub origins: Vec<Origin>,
    /// The same files, which are looked at again at the end.
    files: Vec<Input>,
    /// The manifests of their stages.
    pub made_by: Vec<(String, Manifest)>,
    /// The cost of reranking, by the name of the run.
    pub costs: BTreeMap<String, Cost>,
    /// The manifests that were examined, used or not.
    seen: BTreeSet<PathBuf>,
}

/// What the stage's result depends on, besides the bytes of its inputs.
#[derive(Serialize)]
pub struct Config<'a> {
    assess: &'a AssessConfig,
    /// The report names them and keeps their order.
    files: Vec<(&'a str, &'a str)>,
}

impl Sources {
    /// Finds and digests the files of a request, and the manifests beside them.
    pub fn gather(request: &EvalRequest) -> Result<Self> {
        let mut sources = Self {
            origins: vec![],
            files: vec![],
            made_by: vec![],
            costs: BTreeMap::new(),
            seen: BTreeSet::new(),
        };
        sources.file("qrels", &request.qrels)?;
        if let Some(candidates) = &request.candidates {
            sources.file("candidates", candidates)?;
        }
        for (name, path) in &request.runs {
            sources.run(name, path)?;
        }
        let texts = request.data.iter().flat_map(texts);
        let texts = texts.map(|(role, path)| (role.to_owned(), path));
        let model = request.model.as_ref().map(parts).transpose()?.unwrap_or_default();
        for (role, path) in texts.chain(model) {
            if path.is_file() {
                sources.file(&role, &path)?;
            }
        }
        let data = request.data.iter().map(DataSet::root);
        for folder in data.chain(request.model.iter().map(ModelDir::root)) {
            for path in json_files(&folder.join("manifests")) {
                sources.manifest(&path, None)?;
            }
        }
        Ok(sources)
    }

    /// Adds a run, and the manifest of the command that made it.
    fn run(&mut self, name: &str, path: &Path) -> Result<()> {
        let digest = self.file(&format!("run {name}"), path)?;
        for command in [RERANK, FUSE] {
            let manifest = folder(path).join(manifest_name(&stage_name(command, path)));
            let made_by = self.manifest(&manifest, Some(digest.as_str()))?;
            if let Some(cost) = made_by.as_ref().and_then(cost) {
                self.costs.insert(name.to_owned(), cost);
            }
        }
        Ok(())
    }

    fn file(&mut self, role: &str, path: &Path) -> Result<String> {
        let input = Input::of_file(role, path)?;
        let digest = input.digest.clone();
        self.files.push(input);
        self.origins.push(Origin {
            role: role.into(),
            path: path.display().to_string(),
            digest: digest.clone(),
        });
        Ok(digest)
    }

    /// Adds a manifest if there is one. For a single file, the manifest must be of those bytes,
    /// since another command may have rewritten the file. Skips the manifest of an evaluation,
    /// which would describe itself.
    fn manifest(&mut self, path: &Path, of: Option<&str>) -> Result<Option<Manifest>> {
        if !self.seen.insert(path.to_path_buf()) || !path.is_file() {
            return Ok(None);
        }
        // A manifest that `--force` emptied says nothing.
        let Ok(manifest) = serde_json::from_str::<Manifest>(&read_text(path)?) else {
            return Ok(None);
        };
        let is_of_other_bytes =
            of.is_some_and(|digest| !manifest.outputs.values().any(|output| output == digest));
        if manifest.stage == EVAL || is_of_other_bytes {
            return Ok(None);
        }
        self.made_by.push((path.display().to_string(), manifest.clone()));
        Ok(Some(manifest))
    }

    /// All inputs with their digests. Of a manifest, only the part in the report counts.
    pub fn digests(&self) -> Vec<Input> {
        let manifests = self.made_by.iter().map(|(path, manifest)| {
            let text = serde_json::to_vec(manifest)
                .expect("manifests are plain data, which always serialises");
            Input::from((format!("manifest {path}"), sha256_bytes(&text)))
        });
        self.files.iter().cloned().chain(manifests).collect()
    }

    pub fn config<'a>(&'a self, request: &'a EvalRequest) -> Config<'a> {
        let files = self.origins.iter().map(|origin| (origin.role.as_str(), origin.path.as_str()));
        Config { assess: &request.config, files: files.collect() }
    }
}

/// The data set's files that the report or the guards use.
fn texts(data: &DataSet) -> [(&'static str, PathBuf); 3] {
    [("corpus", data.corpus()), ("queries", data.queries()), ("training pairs", data.train())]
}

/// The files of a model dir that decide how it reads a pair.
fn parts(model: &ModelDir) -> Result<Vec<(String, PathBuf)>> {
    let mut parts = model.parts()?;
    for (role, _) in parts.iter_mut().filter(|(role, _)| role == "config") {
        *role = "model config".into();
    }
    let others = [
        ("tokenizer config", model.tokenizer_config()),
        ("sentence config", model.sentence_config()),
        ("calibration", model.notes()),
    ];
    parts.extend(others.map(|(role, path)| (role.to_owned(), path)));
    Ok(parts)
}

fn json_files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
}

fn cost(manifest: &Manifest) -> Option<Cost> {
    manifest.cost.filter(|cost| cost.pairs > 0)
}
