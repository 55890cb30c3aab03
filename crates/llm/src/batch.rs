//! OpenAI's batch files: requests go out, results come in, through the same journal.

use crate::completion::Completion;
use crate::error::{Error, Result};
use crate::journal::place_key;
use crate::request::Dialect;
use crate::transport::Fault;
use crate::work::Look;
use crate::{Llm, Work};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use whetstone_records::{JsonlReader, write_jsonl};

/// The most requests that OpenAI takes in one file.
const MAX_REQUESTS: usize = 50_000;

/// Files of requests that were written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BatchFiles {
    pub files: Vec<PathBuf>,
    pub requests: u64,
    /// Requests that the journal already answers.
    pub from_journal: u64,
}

/// What a file of results contained.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BatchResults {
    pub answers: u64,
    /// In the journal already.
    pub known: u64,
    /// Answers to requests that the config no longer makes; they are kept too.
    pub of_other_requests: u64,
    /// Lines with an error instead of an answer.
    pub failed: u64,
    /// The message of the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<String>,
}

#[derive(Deserialize)]
struct ResultLine {
    custom_id: String,
    #[serde(default)]
    response: Value,
    #[serde(default)]
    error: Value,
}

impl ResultLine {
    /// The answer, or why there is none.
    fn completion(&self) -> Result<Completion, Fault> {
        let body = self.response.get("body").unwrap_or(&Value::Null);
        if !self.error.is_null() && body.is_null() {
            return Err(Fault::of_body(&self.error));
        }
        // A gateway may put text in place of JSON.
        body.as_str().map_or_else(|| Completion::of(body), Completion::of_text)
    }
}

impl Llm<'_> {
    /// Writes the requests that the journal does not answer. Each further 50,000 go into another
    /// file beside the first.
    pub fn batch_out(&self, work: &Work, path: &Path) -> Result<BatchFiles> {
        let mut open = Vec::new();
        let mut keys = std::collections::HashSet::new();
        for index in 0..work.count {
            if let Look::Asks { key, .. } = self.look(work, index)?
                && keys.insert(key)
            {
                open.push(index);
            }
        }
        let mut files = Vec::new();
        for (part, indices) in open.chunks(MAX_REQUESTS).enumerate() {
            let path = part_path(path, part);
            let lines = indices.iter().filter_map(|index| match self.look(work, *index) {
                Ok(Look::Asks { request, key, .. }) => Some(json!({
                    "custom_id": key,
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": request.body(self.config, Dialect::default()),
                })),
                _ => None,
            });
            write_jsonl(&path, lines)?;
            files.push(path);
        }
        Ok(BatchFiles {
            files,
            requests: open.len() as u64,
            from_journal: (work.count - open.len()) as u64,
        })
    }

    /// Imports results into the journal. Importing a file again changes nothing.
    pub fn batch_in(&self, work: &Work, path: &Path) -> Result<BatchResults> {
        let mut subjects = HashMap::new();
        for index in 0..work.count {
            if let Look::Asks { request, key, .. } = self.look(work, index)? {
                subjects.insert(key, (request.subject, request.llm));
            }
        }
        let mut results = BatchResults::default();
        let mut lines = JsonlReader::<ResultLine>::open(path)?;
        while let Some(line) = lines.next().transpose()? {
            let completion = line.completion();
            let key = line.custom_id;
            if place_key(&key).is_none() {
                return Err(Error::BadBatchLine {
                    path: path.into(),
                    line: lines.line(),
                    custom_id: key,
                });
            }
            if self.journal.borrow().has(&key) {
                results.known += 1;
                continue;
            }
            let known = subjects.get(&key).cloned();
            let (subject, llm) =
                known.clone().unwrap_or_else(|| (String::new(), self.config.name.clone()));
            let mut entry = match completion {
                Ok(completion) => completion.entry(&key, &subject, &llm),
                Err(fault) => {
                    results.failed += 1;
                    results.first_failure.get_or_insert_with(|| fault.to_string());
                    continue;
                }
            };
            entry.batch = true;
            self.journal.borrow_mut().append(&entry)?;
            results.answers += 1;
            results.of_other_requests += u64::from(known.is_none());
        }
        self.journal.borrow_mut().sync()?;
        Ok(results)
    }
}

/// `requests.jsonl`, `requests.2.jsonl`, …
fn part_path(path: &Path, part: usize) -> PathBuf {
    if part == 0 {
        return path.to_path_buf();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()))
        .unwrap_or_default();
    path.with_file_name(format!("{stem}.{}{extension}", part + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_files_are_numbered() {
        let path = Path::new("a/requests.jsonl");
        assert_eq!(part_path(path, 0), path);
        assert_eq!(part_path(path, 1), Path::new("a/requests.2.jsonl"));
    }
}
