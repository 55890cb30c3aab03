//! The ranking of any other search, as a TREC run file.

use crate::error::{Error, Result};
use crate::registry::{Material, Settings, check_name};
use crate::retriever::Retriever;
use crate::top::{Scored, ranking_order};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use whetstone_records::{Input, RunLine};

/// `kind = "run"`: the results of the user's own search for the queries of the data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunSettings {
    /// The search's name in runs, counts and provenance.
    pub name: String,
    /// Its TREC run, relative to the config.
    pub path: PathBuf,
}

impl Settings for RunSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        check_name(&self.name)
    }

    fn anchor(&mut self, folder: &Path) {
        self.path = folder.join(&self.path);
    }

    fn reads_run(&self) -> bool {
        true
    }

    fn inputs(&self) -> Result<Vec<Input>> {
        if !self.path.exists() {
            let (retriever, path) = (self.name.clone(), self.path.clone());
            return Err(Error::RunMissing { retriever, path });
        }
        Ok(vec![Input::of_file(format!("run/{}", self.name), &self.path)?])
    }

    fn build(&self, material: &Material) -> Result<Box<dyn Retriever>> {
        Ok(Box::new(RunFile::read(self, material)?))
    }
}

/// A run file. It knows only the scores of the passages that it ranks.
pub struct RunFile {
    name: String,
    /// The ranking of every query, best first.
    rankings: Vec<Vec<Scored>>,
}

impl RunFile {
    /// Reads the run. It skips queries that the data set lacks, as long as it has one of them. All
    /// passages must be in the corpus.
    pub fn read(settings: &RunSettings, material: &Material) -> Result<Self> {
        let path = &settings.path;
        let passages: HashMap<&str, u32> =
            material.passages.iter().map(|passage| passage.id.as_str()).zip(0..).collect();
        let queries: HashMap<&str, usize> =
            material.queries.iter().map(|query| query.id.as_str()).zip(0..).collect();
        let mut rankings = vec![Vec::new(); material.queries.len()];
        let mut first = None;
        RunLine::each(path, |line| {
            first.get_or_insert_with(|| line.query.to_owned());
            let passage = passages.get(line.passage).ok_or_else(|| Error::UnknownPassage {
                path: path.clone(),
                line: line.number,
                passage: line.passage.into(),
            })?;
            if let Some(query) = queries.get(line.query) {
                rankings[*query]
                    .push((Scored { passage: *passage, score: line.score }, line.number));
            }
            Ok::<(), Error>(())
        })?;
        let first = first.ok_or_else(|| whetstone_records::Error::Empty { path: path.clone() })?;
        if rankings.iter().all(Vec::is_empty) {
            let queries = material.queries.len();
            return Err(Error::NoKnownQuery { path: path.clone(), queries, first });
        }
        let in_order = |(place, lines): (usize, Vec<(Scored, usize)>)| {
            in_order(lines).map_err(|(passage, line)| {
                let passage = &material.passages[passage as usize].id;
                let id = format!("{} {passage}", material.queries[place].id);
                whetstone_records::Error::DuplicateId { path: path.clone(), line, id }.into()
            })
        };
        let rankings = rankings.into_iter().enumerate().map(in_order).collect::<Result<_>>()?;
        Ok(Self { name: settings.name.clone(), rankings })
    }
}

/// Returns the ranking of lines, or a repeated passage with the line where it repeats.
fn in_order(mut lines: Vec<(Scored, usize)>) -> Result<Vec<Scored>, (u32, usize)> {
    lines.sort_unstable_by_key(|(scored, line)| (scored.passage, *line));
    let twice = lines.windows(2).find(|pair| pair[0].0.passage == pair[1].0.passage);
    if let Some([_, (scored, line)]) = twice {
        return Err((scored.passage, *line));
    }
    let mut ranking: Vec<Scored> = lines.into_iter().map(|(scored, _)| scored).collect();
    ranking.sort_unstable_by(ranking_order);
    Ok(ranking)
}

impl Retriever for RunFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn search(&self, queries: Range<usize>, limit: usize) -> Vec<Vec<Scored>> {
        self.rankings[queries]
            .iter()
            .map(|ranking| ranking[..limit.min(ranking.len())].to_vec())
            .collect()
    }

    fn score(&self, query: usize, passage: u32) -> Option<f32> {
        self.rankings[query].iter().find(|hit| hit.passage == passage).map(|hit| hit.score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::{Hint, Passage, Query};

    /// Reads a run over the passages `a`, `b` and `c` and the queries `q` and `r`.
    fn read(run: &str) -> Result<RunFile> {
        let passage = |id: &str| Passage {
            id: id.into(),
            title: String::new(),
            text: String::new(),
            metadata: Default::default(),
        };
        let query =
            |id: &str| Query { id: id.into(), text: String::new(), metadata: Default::default() };
        let (passages, queries) = (["a", "b", "c"].map(passage), ["q", "r"].map(query));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.run");
        std::fs::write(&path, run).unwrap();
        let settings = RunSettings { name: "own".into(), path };
        RunFile::read(&settings, &Material::new(&passages, &queries, None))
    }

    fn refused(run: &str) -> (String, String) {
        let error = read(run).err().unwrap();
        (error.to_string(), error.hint().unwrap())
    }

    #[test]
    fn a_run_is_searched_in_its_order_and_knows_the_scores_of_what_it_ranks() {
        let run = read("q Q0 a 9 1.5 x\nelse Q0 a 1 1 x\nq Q0 c 1 1.5 x\nq Q0 b 2 -2 x\n").unwrap();
        let hit = |passage, score| Scored { passage, score };
        assert_eq!(
            run.search(0..2, 2),
            [vec![hit(2, 1.5), hit(0, 1.5)], vec![]],
            "scores count, not ranks, and the later id wins a tie"
        );
        assert_eq!((run.score(0, 1), run.score(1, 1)), (Some(-2.0), None));
    }

    #[test]
    fn a_passage_that_the_corpus_lacks_is_named_with_its_line() {
        let (message, hint) = refused("q Q0 a 1 2 x\nq Q0 z 2 1 x\n");
        assert!(
            message.ends_with("own.run` line 2: passage `z` is not in the corpus"),
            "{message}"
        );
        assert!(hint.contains("corpus.jsonl"), "{hint}");
    }

    #[test]
    fn a_run_over_other_queries_is_refused_with_the_way_to_the_right_ones() {
        let (message, hint) = refused("q1 Q0 a 1 2 x\n");
        assert!(message.contains("none of the 2 queries"), "{message}");
        assert!(message.contains("its first is `q1`"), "{message}");
        assert!(hint.contains("queries.jsonl"), "{hint}");
    }

    #[test]
    fn a_passage_ranked_twice_is_named_with_its_second_line() {
        let (message, _) = refused("q Q0 a 1 1 x\nr Q0 a 1 1 x\nq Q0 a 2 3 x\n");
        assert!(message.ends_with("line 3: id `q a` occurs twice"), "{message}");
    }

    #[test]
    fn a_name_is_fit_for_a_file() {
        let check =
            |name: &str| RunSettings { name: name.into(), path: PathBuf::new() }.check().is_ok();
        assert!(check("my-search_2.0"));
        assert!(!["", "a b", "../a", ".a", "a/b"].into_iter().any(check));
    }
}
