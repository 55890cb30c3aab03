//! Downloads from the Hugging Face hub, with the token, cache and endpoint that users of it have
//! set.

use super::folder;
use crate::failure::Problem;
use anyhow::{Context, Result, bail};
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use whetstone_records::Progress;

/// How long the hub may say nothing before its first answer. Its client has no time-out of its own.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// How long it may say nothing later.
const NEXT_BYTES: Duration = Duration::from_secs(60);

const OTHER_WAYS: &str = "check the network, or name a local folder with the model's files instead";

enum News {
    /// The list of files is here.
    Listed,
    File {
        name: String,
        bytes: u64,
    },
    Bytes(u64),
    Done(Result<Vec<PathBuf>>),
}

/// Copies the model `id` into `folder`, from the hub's cache on this machine or from the hub.
pub fn fetch(id: &str, folder: &Path, progress: &dyn Progress) -> Result<()> {
    let paths = match cached(id) {
        Some(paths) => paths,
        None => {
            let (sender, news) = channel();
            let id = id.to_owned();
            // On a thread of its own, so that a hub that never answers does not keep the user
            // waiting for ever.
            std::thread::spawn(move || {
                let done = download(&id, &sender);
                let _ = sender.send(News::Done(done));
            });
            follow(&news, progress)?
        }
    };
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        fs::copy(&path, folder.join(name))
            .with_context(|| format!("cannot copy `{}`", path.display()))?;
    }
    Ok(())
}

/// The files of a model that the hub's cache holds, where it holds all that are needed.
fn cached(id: &str) -> Option<Vec<PathBuf>> {
    let cache = Cache::from_env().repo(Repo::model(id.to_owned()));
    let needed = folder::NEEDED.iter().map(|name| cache.get(name)).collect::<Option<Vec<_>>>()?;
    Some(
        needed
            .into_iter()
            .chain(folder::OPTIONAL.iter().filter_map(|name| cache.get(name)))
            .collect(),
    )
}

fn follow(news: &Receiver<News>, progress: &dyn Progress) -> Result<Vec<PathBuf>> {
    let mut patience = FIRST_ANSWER;
    let result = loop {
        match news.recv_timeout(patience) {
            Ok(News::Listed) => patience = NEXT_BYTES,
            Ok(News::File { name, bytes }) => {
                progress.start(&format!("download {name}"), Some(bytes), "bytes")
            }
            Ok(News::Bytes(count)) => progress.advance(count),
            Ok(News::Done(paths)) => break paths,
            Err(RecvTimeoutError::Timeout) => {
                let message =
                    format!("the model hub has said nothing for {} s", patience.as_secs());
                break Err(Problem::new(message, OTHER_WAYS).into());
            }
            Err(RecvTimeoutError::Disconnected) => {
                break Err(Problem::new("the download broke off", OTHER_WAYS).into());
            }
        }
    };
    progress.finish();
    result
}

fn download(id: &str, sender: &Sender<News>) -> Result<Vec<PathBuf>> {
    let mut builder = ApiBuilder::from_env().with_progress(false).with_retries(2);
    if let Some(token) = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()) {
        builder = builder.with_token(Some(token));
    }
    let repo = builder.build()?.repo(Repo::new(id.to_owned(), RepoType::Model));
    let listed = repo.info().map_err(|error| explained(id, error))?;
    let _ = sender.send(News::Listed);
    let there = |name: &str| listed.siblings.iter().any(|file| file.rfilename == name);
    if let Some(name) = folder::NEEDED.into_iter().find(|name| !there(name)) {
        bail!(Problem::new(
            format!("the hub's `{id}` has no {name}"),
            "choose a BERT model with one model.safetensors and a tokenizer.json"
        ));
    }
    let wanted = folder::NEEDED.into_iter().chain(folder::OPTIONAL).filter(|name| there(name));
    wanted
        .map(|name| {
            repo.download_with_progress(name, Teller(sender)).map_err(|error| explained(id, error))
        })
        .collect()
}

/// What the hub's answer means for the user.
fn explained(id: &str, error: ApiError) -> anyhow::Error {
    let text = error.to_string();
    let hint = if text.contains("401") || text.contains("403") || text.contains("404") {
        format!("check the id `{id}`; for a private model set HF_TOKEN")
    } else {
        OTHER_WAYS.into()
    };
    Problem::new("the model hub is not in reach or refused", hint).because(error).into()
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
