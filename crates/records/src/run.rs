use crate::error::{Error, Result};
use crate::ids::{PassageId, QueryId};
use crate::io::{AtomicFile, read_text};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;

/// A passage with its score in a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub passage: PassageId,
    pub score: f32,
}

/// Rankings of passages for queries, as in a TREC run file. Every ranking is kept in trec_eval's
/// order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    rankings: BTreeMap<QueryId, Vec<Hit>>,
}

/// trec_eval's order: score descending, then passage id descending.
fn trec_order((a, a_score): (&str, f32), (b, b_score): (&str, f32)) -> Ordering {
    // Adding zero turns -0 into 0: the two are a tie, and `total_cmp` alone would order them.
    (b_score + 0.0).total_cmp(&(a_score + 0.0)).then_with(|| b.cmp(a))
}

/// A line of a TREC run file: `query Q0 passage rank score name`. The rank is ignored, as trec_eval
/// does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunLine<'a> {
    /// From 1.
    pub number: usize,
    pub query: &'a str,
    pub passage: &'a str,
    pub score: f32,
    /// Who ranked the passage; empty where the line ends before.
    pub name: &'a str,
}

impl<'a> RunLine<'a> {
    /// Returns the line, or None where it is blank.
    fn parse(path: &Path, number: usize, line: &'a str) -> Result<Option<Self>> {
        let bad = |expected| Error::Line {
            path: path.into(),
            line: number,
            expected,
            value: line.into(),
        };
        let mut fields = line.split_ascii_whitespace();
        let Some(query) = fields.next() else { return Ok(None) };
        let (Some(passage), Some(score)) = (fields.nth(1), fields.nth(1)) else {
            return Err(bad("`query Q0 passage rank score name`"));
        };
        let score: f32 = score.parse().map_err(|_| bad("a number as score"))?;
        if score.is_nan() {
            return Err(bad("a score that is not NaN"));
        }
        Ok(Some(Self { number, query, passage, score, name: fields.next().unwrap_or_default() }))
    }
}

impl RunLine<'_> {
    /// Calls `visit` with every line of a run that is not blank, in memory for one line alone, until
    /// it fails.
    pub fn each<E: From<Error>>(
        path: &Path,
        mut visit: impl FnMut(RunLine<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = String::new();
        for number in 1.. {
            line.clear();
            match reader.read_line(&mut line) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    return Err(Error::NotUtf8 { path: path.into() }.into());
                }
                Err(error) => return Err(Error::io("read", path)(error).into()),
            }
            let content = line.trim_end_matches(['\r', '\n']);
            if let Some(line) = RunLine::parse(path, number, content)? {
                visit(line)?;
            }
        }
        Ok(())
    }
}

/// Returns the error for a passage that a query ranks twice, with the line of the second time.
fn duplicate(path: &Path, text: &str, query: &str, passage: &str) -> Error {
    let is_same = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        fields.next() == Some(query) && fields.nth(1) == Some(passage)
    };
    let line = text
        .lines()
        .enumerate()
        .filter(|(_, line)| is_same(line))
        .nth(1)
        .map_or(0, |(index, _)| index + 1);
    Error::DuplicateId { path: path.into(), line, id: format!("{query} {passage}") }
}

impl FromIterator<(QueryId, Hit)> for Run {
    fn from_iter<I: IntoIterator<Item = (QueryId, Hit)>>(hits: I) -> Self {
        let mut rankings: BTreeMap<QueryId, Vec<Hit>> = BTreeMap::new();
        for (query, hit) in hits {
            rankings.entry(query).or_default().push(hit);
        }
        let mut run = Self::default();
        rankings.into_iter().for_each(|(query, hits)| run.insert(query, hits));
        run
    }
}

impl Run {
    /// Puts the ranking of a query, sorted into trec_eval's order.
    pub fn insert(&mut self, query: QueryId, mut hits: Vec<Hit>) {
        hits.sort_by(|a, b| {
            trec_order((a.passage.as_str(), a.score), (b.passage.as_str(), b.score))
        });
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
        let text = read_text(path)?;
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut rankings: Vec<(&str, Vec<(&str, f32)>)> = Vec::new();
        let mut place = 0;
        for (line, number) in text.lines().zip(1..) {
            let Some(line) = RunLine::parse(path, number, line)? else { continue };
            let RunLine { query, passage, score, .. } = line;
            // The rows of a query mostly stand together, so the map is seldom asked.
            if rankings.get(place).is_none_or(|(current, _)| *current != query) {
                place = *places.entry(query).or_insert(rankings.len());
                if place == rankings.len() {
                    rankings.push((query, Vec::new()));
                }
            }
            rankings[place].1.push((passage, score));
        }
        if rankings.is_empty() {
            return Err(Error::Empty { path: path.into() });
        }
        let mut seen = HashSet::new();
        let mut run = Self::default();
        for (query, hits) in &mut rankings {
            seen.clear();
            if let Some((passage, _)) = hits.iter().find(|(passage, _)| !seen.insert(*passage)) {
                return Err(duplicate(path, &text, query, passage));
            }
            hits.sort_by(|a, b| trec_order(*a, *b));
            let hits = hits
                .iter()
                .map(|&(passage, score)| Hit { passage: passage.into(), score })
                .collect();
            run.rankings.insert((*query).into(), hits);
        }
        Ok(run)
    }

    /// Writes the run as TREC does, with `name` in the last column.
    pub fn write(&self, path: &Path, name: &str) -> Result<()> {
        let mut file = AtomicFile::create(path)?;
        for (query, hits) in &self.rankings {
            for (index, hit) in hits.iter().enumerate() {
                // {} prints the shortest text that reads back as the same f32, so ties and order
                // survive the file.
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

    #[test]
    fn lines_are_visited_one_by_one_with_their_numbers_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        std::fs::write(&path, "q Q0 p 1 0.5 x\r\n\nr Q0 p2 1 7\n").unwrap();
        let mut seen = Vec::new();
        let visit = |RunLine { number, query, passage, score, name }: RunLine<'_>| {
            seen.push((number, query.to_owned(), passage.to_owned(), score, name.to_owned()));
            Ok::<(), Error>(())
        };
        RunLine::each(&path, visit).unwrap();
        let line = |number, query: &str, passage: &str, score, name: &str| {
            (number, query.to_owned(), passage.to_owned(), score, name.to_owned())
        };
        assert_eq!(seen, [line(1, "q", "p", 0.5, "x"), line(3, "r", "p2", 7.0, "")]);

        std::fs::write(&path, b"q Q0 p\xff 1 0.5 x\n").unwrap();
        let error = RunLine::each(&path, |_| Ok::<(), Error>(())).unwrap_err();
        assert!(matches!(error, Error::NotUtf8 { .. }), "{error}");
    }

    #[test]
    fn a_passage_ranked_twice_is_reported_with_its_second_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        std::fs::write(&path, "q Q0 p 1 0.5 x\nr Q0 p 1 0.5 x\nq Q0 p 2 0.4 x\n").unwrap();
        let message = Run::read(&path).unwrap_err().to_string();
        assert!(message.contains("line 3: id `q p` occurs twice"), "{message}");
    }

    #[test]
    fn rows_of_a_query_may_stand_apart_and_zeros_of_either_sign_tie() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        std::fs::write(&path, "q Q0 b 1 0 x\r\nr Q0 p 1 1e3 x\n\nq Q0 c 2 -0.0 x\nq\tQ0 a 3 2 x")
            .unwrap();
        let run = Run::read(&path).unwrap();
        let order = |query| {
            run.get(query).unwrap().iter().map(|hit| hit.passage.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(order("q"), ["a", "c", "b"]);
        assert_eq!(order("r"), ["p"]);
    }
}
