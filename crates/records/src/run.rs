use crate::error::{Error, Result};
use crate::ids::{PassageId, QueryId};
use crate::io::AtomicFile;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// A passage with its score in a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub passage: PassageId,
    pub score: f32,
}

/// Rankings of passages for queries, as in a TREC run file. Every ranking is kept in trec_eval's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    rankings: BTreeMap<QueryId, Vec<Hit>>,
}

/// trec_eval's order: score descending, then passage id descending.
fn trec_order(a: &Hit, b: &Hit) -> Ordering {
    b.score.total_cmp(&a.score).then_with(|| b.passage.cmp(&a.passage))
}

impl Run {
    /// Puts the ranking of a query, sorted into trec_eval's order.
    pub fn insert(&mut self, query: QueryId, mut hits: Vec<Hit>) {
        hits.sort_by(trec_order);
        self.rankings.insert(query, hits);
    }

    pub fn get(&self, query: &str) -> Option<&[Hit]> {
        self.rankings.get(query).map(Vec::as_slice)
    }

    /// Queries in order of their ids, each with its ranking.
    pub fn iter(&self) -> impl Iterator<Item = (&QueryId, &[Hit])> {
        self.rankings.iter().map(|(query, hits)| (query, hits.as_slice()))
    }

    /// How many queries have a ranking.
    pub fn len(&self) -> usize {
        self.rankings.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rankings.is_empty()
    }

    /// Reads `query Q0 passage rank score name`; the rank is ignored, as trec_eval does.
    pub fn read(path: &Path) -> Result<Self> {
        let reader = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
        let mut rankings: BTreeMap<QueryId, Vec<Hit>> = BTreeMap::new();
        let mut seen = std::collections::HashSet::new();
        for (index, line) in reader.lines().enumerate() {
            let line = line.map_err(Error::io("read", path))?;
            let mut fields = line.split_ascii_whitespace();
            let Some(query) = fields.next() else { continue };
            let bad = |expected| Error::Line { path: path.into(), line: index + 1, expected, value: line.clone() };
            let shape = "`query Q0 passage rank score name`";
            let passage = fields.nth(1).ok_or_else(|| bad(shape))?;
            let score = fields.nth(1).ok_or_else(|| bad(shape))?;
            let score: f32 = score.parse().map_err(|_| bad("a number as score"))?;
            if score.is_nan() {
                return Err(bad("a score that is not NaN"));
            }
            if !seen.insert((query.to_owned(), passage.to_owned())) {
                return Err(Error::DuplicateId {
                    path: path.into(),
                    line: index + 1,
                    id: format!("{query} {passage}"),
                });
            }
            let hit = Hit { passage: passage.into(), score };
            rankings.entry(query.into()).or_default().push(hit);
        }
        for hits in rankings.values_mut() {
            hits.sort_by(trec_order);
        }
        if rankings.is_empty() {
            return Err(Error::Empty { path: path.into() });
        }
        Ok(Self { rankings })
    }

    /// Writes the run as TREC does, with `name` in the last column.
    pub fn write(&self, path: &Path, name: &str) -> Result<()> {
        let mut file = AtomicFile::create(path)?;
        for (query, hits) in &self.rankings {
            for (index, hit) in hits.iter().enumerate() {
                // {} prints the shortest text that reads back as the same f32, so ties and order survive the file.
                writeln!(file, "{query} Q0 {} {} {} {name}", hit.passage, index + 1, hit.score)
                    .map_err(Error::io("write", path))?;
            }
        }
        file.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_ordered_by_passage_id_descending_and_survive_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        let mut run = Run::default();
        let hits = [("p1", 0.1), ("p10", 0.3), ("p2", 0.3), ("p3", 7.0)];
        run.insert("q".into(), hits.map(|(id, score)| Hit { passage: id.into(), score }).to_vec());
        let order: Vec<_> = run.get("q").unwrap().iter().map(|hit| hit.passage.as_str()).collect();
        assert_eq!(order, ["p3", "p2", "p10", "p1"]);
        run.write(&path, "test").unwrap();
        assert_eq!(Run::read(&path).unwrap(), run);
    }

    #[test]
    fn a_bad_score_is_reported_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        std::fs::write(&path, "q Q0 p 1 0.5 x\nq Q0 p2 2 high x\n").unwrap();
        let message = Run::read(&path).unwrap_err().to_string();
        assert!(message.contains("line 2: expected a number as score"), "{message}");
    }
}
