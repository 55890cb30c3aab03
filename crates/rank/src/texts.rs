//! The texts of the queries and passages in runs and judgements.

use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::path::Path;
use whetstone_records::{
    Error as RecordsError, JsonlReader, Passage, PassageId, Query, QueryId, Run,
};

/// The files of the texts: BEIR's corpus.jsonl and queries.jsonl.
#[derive(Clone, Copy, Debug)]
pub struct TextFiles<'a> {
    pub corpus: &'a Path,
    pub queries: &'a Path,
}

/// The wanted texts.
#[derive(Default)]
pub struct Wanted<'a> {
    pub queries: HashSet<&'a QueryId>,
    pub passages: HashSet<&'a PassageId>,
}

impl<'a> Wanted<'a> {
    /// All queries of some runs, and all passages that they rank.
    pub fn of_runs(runs: impl IntoIterator<Item = &'a Run>) -> Self {
        let mut wanted = Self::default();
        for (query, hits) in runs.into_iter().flat_map(Run::iter) {
            wanted.queries.insert(query);
            wanted.passages.extend(hits.iter().map(|hit| &hit.passage));
        }
        wanted
    }
}

/// Queries and passages by their ids.
#[derive(Debug, Default)]
pub struct Texts {
    pub queries: HashMap<QueryId, Query>,
    pub passages: HashMap<PassageId, Passage>,
}

impl Texts {
    /// Reads the texts of candidates, all of them.
    pub fn of_candidates<'a>(
        files: TextFiles,
        runs: impl IntoIterator<Item = &'a Run>,
    ) -> Result<Self> {
        let foreign = |what| {
            move |error| match error {
                missing @ Error::Missing { .. } => {
                    Error::Foreign { what, source: Box::new(missing) }
                }
                other => other,
            }
        };
        let wanted = Wanted::of_runs(runs);
        Ok(Self {
            queries: queries(files, &wanted).map_err(foreign("these queries"))?,
            passages: passages(files, &wanted).map_err(foreign("this corpus"))?,
        })
    }

    /// Reads every wanted text.
    ///
    /// # Errors
    /// [`Error::Missing`] where a file lacks one; an id that occurs twice.
    pub fn read(files: TextFiles, wanted: &Wanted) -> Result<Self> {
        Ok(Self { queries: queries(files, wanted)?, passages: passages(files, wanted)? })
    }

    /// Reads those of the wanted texts that exist.
    pub fn find(files: TextFiles, wanted: &Wanted) -> Result<Self> {
        Ok(Self {
            queries: select(files.queries, &wanted.queries, |query: &Query| &query.id)?,
            passages: select(files.corpus, &wanted.passages, |passage: &Passage| &passage.id)?,
        })
    }
}

fn queries(files: TextFiles, wanted: &Wanted) -> Result<HashMap<QueryId, Query>> {
    let found = select(files.queries, &wanted.queries, |query: &Query| &query.id)?;
    refuse_missing("queries", files.queries, &wanted.queries, &found)?;
    Ok(found)
}

fn passages(files: TextFiles, wanted: &Wanted) -> Result<HashMap<PassageId, Passage>> {
    let found = select(files.corpus, &wanted.passages, |passage: &Passage| &passage.id)?;
    refuse_missing("passages", files.corpus, &wanted.passages, &found)?;
    Ok(found)
}

/// The records of a file whose ids are wanted.
fn select<T: DeserializeOwned, I: Clone + Display + Eq + Hash>(
    path: &Path,
    wanted: &HashSet<&I>,
    id: impl Fn(&T) -> &I,
) -> Result<HashMap<I, T>> {
    let mut reader = JsonlReader::<T>::open(path)?;
    let mut found = HashMap::new();
    while let Some(record) = reader.next() {
        let record = record?;
        let id = id(&record).clone();
        if !wanted.contains(&id) {
            continue;
        }
        if found.contains_key(&id) {
            let (path, line, id) = (path.into(), reader.line(), id.to_string());
            return Err(RecordsError::DuplicateId { path, line, id }.into());
        }
        found.insert(id, record);
    }
    Ok(found)
}

fn refuse_missing<T, I: Display + Eq + Hash + Ord>(
    what: &'static str,
    path: &Path,
    wanted: &HashSet<&I>,
    found: &HashMap<I, T>,
) -> Result<()> {
    let missing = || wanted.iter().filter(|id| !found.contains_key(**id));
    match missing().min() {
        Some(first) => Err(Error::Missing {
            what,
            path: path.into(),
            count: missing().count(),
            first: first.to_string(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use whetstone_records::Hit;

    fn files(folder: &Path, corpus: &str) -> [PathBuf; 2] {
        let [corpus_path, queries] =
            ["corpus.jsonl", "queries.jsonl"].map(|name| folder.join(name));
        std::fs::write(&corpus_path, corpus).unwrap();
        std::fs::write(&queries, "{\"_id\":\"q\",\"text\":\"how\"}\n").unwrap();
        [corpus_path, queries]
    }

    fn run(passages: &[&str]) -> Run {
        let hit = |passage: &&str| ("q".into(), Hit { passage: (*passage).into(), score: 1.0 });
        passages.iter().map(hit).collect()
    }

    fn read(corpus: &str, run: &Run) -> Result<Texts> {
        let folder = tempfile::tempdir().unwrap();
        let [corpus, queries] = files(folder.path(), corpus);
        Texts::of_candidates(TextFiles { corpus: &corpus, queries: &queries }, [run])
    }

    #[test]
    fn only_what_a_run_names_is_kept() {
        let corpus = "{\"_id\":\"a\",\"text\":\"one\"}\n{\"_id\":\"b\",\"text\":\"two\"}\n";
        let texts = read(corpus, &run(&["b"])).unwrap();
        assert_eq!(texts.queries[&QueryId::from("q")].text, "how");
        assert_eq!(texts.passages.keys().collect::<Vec<_>>(), [&PassageId::from("b")]);
    }

    #[test]
    fn an_id_that_occurs_twice_is_refused_with_file_and_line() {
        let corpus = "{\"_id\":\"a\",\"text\":\"one\"}\n\n{\"_id\":\"a\",\"text\":\"two\"}\n";
        let error = read(corpus, &run(&["a"])).unwrap_err();
        let text = whetstone_records::one_line(&error);
        assert!(text.contains("corpus.jsonl` line 3: id `a` occurs twice"), "{text}");
    }

    #[test]
    fn what_the_files_lack_is_counted_and_the_first_of_it_named() {
        let error = read("{\"_id\":\"a\",\"text\":\"one\"}\n", &run(&["z", "a", "y"])).unwrap_err();
        let text = whetstone_records::one_line(&error);
        assert!(
            text.starts_with("the candidates do not belong to this corpus: 2 passages"),
            "{text}"
        );
        assert!(text.ends_with("the first is `y`"), "{text}");
    }
}
