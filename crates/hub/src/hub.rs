//! Downloads from the Hugging Face hub, with the user's own token, cache and endpoint.

use crate::error::{Error, Result};
use crate::folder;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use whetstone_records::{ModelDir, Progress};

/// Longest wait for the hub's first answer. Its client has no time-out of its own.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// Longest silence later.
const NEXT_BYTES: Duration = Duration::from_secs(60);

/// Set once the hub let this program wait in vain, so that it does not wait again for another model.
static IS_SILENT: AtomicBool = AtomicBool::new(false);

/// A file's path below the model's folder, and in the hub's cache.
type Cached = (String, PathBuf);

enum News {
    /// The list of files has arrived.
    Listed,
    File {
        name: String,
        bytes: u64,
    },
    Bytes(u64),
    Done(Result<Vec<Cached>>),
}

/// Copies the model `id` into `folder`, from the hub's cache on this machine or from the hub. An id
/// may end in `@REVISION`: a branch, a tag or a commit. Returns the commit that the files are of.
pub fn fetch(id: &str, folder: &Path, progress: &dyn Progress) -> Result<Option<String>> {
    let files = match cached(id) {
        Some(files) => files,
        None if IS_SILENT.load(Ordering::Relaxed) => {
            return Err(Error::HubSilent { seconds: FIRST_ANSWER.as_secs() });
        }
        None => {
            let (sender, news) = channel();
            let id = id.to_owned();
            // Runs on its own thread, so that a silent hub does not keep the user waiting for ever.
            std::thread::spawn(move || {
                let done = download(&id, &sender);
                let _ = sender.send(News::Done(done));
            });
            follow(&news, progress)?
        }
    };
    files.iter().try_for_each(|(name, path)| folder::copy_file(path, folder, name))?;
    // The cache keeps files below the commit that they are of.
    let commit = files
        .iter()
        .find(|(name, _)| name == ModelDir::CONFIG)
        .and_then(|(_, path)| Some(path.parent()?.file_name()?.to_string_lossy().into_owned()));
    Ok(commit)
}

pub(crate) fn repo(id: &str) -> Repo {
    match id.split_once('@') {
        Some((id, revision)) => {
            Repo::with_revision(id.to_owned(), RepoType::Model, revision.to_owned())
        }
        None => Repo::model(id.to_owned()),
    }
}

/// The model's files in the hub's cache, if it has all that are needed.
fn cached(id: &str) -> Option<Vec<Cached>> {
    let cache = Cache::from_env().repo(repo(id));
    let there = |name: &str| cache.get(name).is_some();
    let parts = |index: &str| match cache.get(index) {
        Some(path) => Ok(ModelDir::parts_of(&path)?),
        None => Err(Error::HubLacks { id: id.to_owned(), file: index.to_owned() }),
    };
    let files = wanted(id, there, parts).ok()?;
    files.into_iter().map(|name| cache.get(&name).map(|path| (name, path))).collect()
}

/// Returns the names of the files to get, by a test of what is there.
///
/// # Errors
/// [`Error::HubLacks`] for a model without weights or tokenizer that can be read.
fn wanted(
    id: &str,
    there: impl Fn(&str) -> bool,
    parts: impl Fn(&str) -> Result<BTreeSet<String>>,
) -> Result<Vec<String>> {
    let lacks = |file: &str| Err(Error::HubLacks { id: id.to_owned(), file: file.to_owned() });
    if !there(ModelDir::CONFIG) {
        return lacks(ModelDir::CONFIG);
    }
    let mut files = vec![ModelDir::CONFIG.to_owned()];
    if there(ModelDir::WEIGHTS) {
        files.push(ModelDir::WEIGHTS.to_owned());
    } else if there(ModelDir::WEIGHTS_INDEX) {
        files.push(ModelDir::WEIGHTS_INDEX.to_owned());
        files.extend(parts(ModelDir::WEIGHTS_INDEX)?);
    } else {
        return lacks(ModelDir::WEIGHTS);
    }
    if ModelDir::tokenizer_among(&there).is_none() {
        return lacks(ModelDir::TOKENIZER);
    }
    files.extend(ModelDir::OPTIONAL.iter().filter(|name| there(name)).map(|&name| name.into()));
    Ok(files)
}

fn follow(news: &Receiver<News>, progress: &dyn Progress) -> Result<Vec<Cached>> {
    let mut patience = FIRST_ANSWER;
    let result = loop {
        match news.recv_timeout(patience) {
            Ok(News::Listed) => patience = NEXT_BYTES,
            Ok(News::File { name, bytes }) => {
                progress.start(&format!("download {name}"), Some(bytes), "bytes")
            }
            Ok(News::Bytes(count)) => progress.advance(count),
            Ok(News::Done(files)) => break files,
            Err(RecvTimeoutError::Timeout) => {
                IS_SILENT.store(true, Ordering::Relaxed);
                break Err(Error::HubSilent { seconds: patience.as_secs() });
            }
            Err(RecvTimeoutError::Disconnected) => break Err(Error::HubBrokeOff),
        }
    };
    progress.finish();
    result
}

fn download(id: &str, sender: &Sender<News>) -> Result<Vec<Cached>> {
    let refused = |source: ApiError| Error::HubRefused { id: id.to_owned(), source };
    let mut builder = ApiBuilder::from_env().with_progress(false).with_retries(2);
    if let Some(token) = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()) {
        builder = builder.with_token(Some(token));
    }
    let repo = builder.build().map_err(refused)?.repo(repo(id));
    let listed = repo.info().map_err(refused)?;
    let _ = sender.send(News::Listed);
    let there = |name: &str| listed.siblings.iter().any(|file| file.rfilename == name);
    let get = |name: &str| repo.download_with_progress(name, Teller(sender)).map_err(refused);
    let parts = |index: &str| Ok(ModelDir::parts_of(&get(index)?)?);
    let files = wanted(id, there, parts)?.into_iter();
    files.map(|name| get(&name).map(|path| (name, path))).collect()
}

struct Teller<'a>(&'a Sender<News>);

impl hf_hub::api::Progress for Teller<'_> {
    fn init(&mut self, size: usize, name: &str) {
        let _ = self.0.send(News::File { name: name.to_owned(), bytes: size as u64 });
    }

    fn update(&mut self, size: usize) {
        let _ = self.0.send(News::Bytes(size as u64));
    }

    fn finish(&mut self) {}
}
