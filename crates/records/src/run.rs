//! Rankings of passages for queries, and their TREC file.

use crate::atomic::AtomicFile;
use crate::error::{Error, Result};
use crate::ids::{PassageId, QueryId};
use crate::lines::{LineReader, TREC_LINE};
use crate::trec::{RunParser, check_id};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::path::Path;

/// A passage with its score in a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    pub passage: PassageId,
    pub score: f32,
}

/// Rankings of passages for queries, as in a TREC run file. Each ranking is in trec_eval's order.
///
/// ```
/// # use whetstone_records::{Hit, Run};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("mine.run");
/// let mut run = Run::default();
/// let hits = [("p1", 0.1), ("p2", 0.7)];
/// run.insert("q1".into(), hits.map(|(id, score)| Hit { passage: id.into(), score }).into());
/// run.write(&path, "mine")?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "q1 Q0 p2 1 0.7 mine\nq1 Q0 p1 2 0.1 mine\n");
/// assert_eq!(Run::read(&path)?, run);
/// # Ok::<(), whetstone_records::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    rankings: BTreeMap<QueryId, Vec<Hit>>,
}

/// trec_eval's order: score descending, then passage id descending.
fn trec_order((a, a_score): (&str, f32), (b, b_score): (&str, f32)) -> Ordering {
    // `total_cmp` puts -0 before 0, though they tie. Adding 0 turns -0 into 0.
    (b_score + 0.0).total_cmp(&(a_score + 0.0)).then_with(|| b.cmp(a))
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
    /// Inserts the ranking of a query and sorts it into trec_eval's order.
    pub fn insert(&mut self, query: QueryId, mut hits: Vec<Hit>) {
        hits.sort_by(|a, b| {
            trec_order((a.passage.as_str(), a.score), (b.passage.as_str(), b.score))
        });
        self.rankings.insert(query, hits);
    }

    /// Returns the ranking of a query, best first.
    pub fn get(&self, query: &str) -> Option<&[Hit]> {
        self.rankings.get(query).map(Vec::as_slice)
    }

    /// Iterates over the queries in id order, each with its ranking.
    pub fn iter(&self) -> impl Iterator<Item = (&QueryId, &[Hit])> {
        self.rankings.iter().map(|(query, hits)| (query, hits.as_slice()))
    }

    /// Returns the number of queries with a ranking.
    pub fn len(&self) -> usize {
        self.rankings.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rankings.is_empty()
    }

    /// Reads `query Q0 passage rank score name`. Like trec_eval, it ignores the rank. [`RunParser`]
    /// says what is refused.
    pub fn read(path: &Path) -> Result<Self> {
        let mut lines = LineReader::open(path, TREC_LINE)?;
        let mut parser = RunParser::new(path);
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut rankings: Vec<(QueryId, Vec<Row>)> = Vec::new();
        let mut place = 0;
        while lines.advance()? {
            let Some(line) = parser.parse(lines.number(), lines.text()?)? else { continue };
            // A query's rows mostly stand together, so the map is seldom needed.
            if rankings.get(place).is_none_or(|(current, _)| current.as_str() != line.query) {
                place = *places.entry(line.query.to_owned()).or_insert(rankings.len());
                if place == rankings.len() {
                    rankings.push((line.query.into(), Vec::new()));
                }
            }
            let hit = Hit { passage: line.passage.into(), score: line.score };
            rankings[place].1.push((hit, lines.number()));
        }
        if rankings.is_empty() {
            return Err(Error::Empty { path: path.into() });
        }
        let mut run = Self::default();
        for (query, rows) in rankings {
            if let Some((hit, line)) = repeated(&rows) {
                let id = format!("{query} {}", hit.passage);
                return Err(Error::DuplicateId { path: path.into(), line: *line, id });
            }
            run.insert(query, rows.into_iter().map(|(hit, _)| hit).collect());
        }
        Ok(run)
    }

    /// Returns the system's name from the first line of a run; empty if that has none.
    pub fn read_name(path: &Path) -> Result<String> {
        let mut lines = LineReader::open(path, TREC_LINE)?;
        let mut parser = RunParser::new(path);
        while lines.advance()? {
            if let Some(line) = parser.parse(lines.number(), lines.text()?)? {
                return Ok(line.name.to_owned());
            }
        }
        Err(Error::Empty { path: path.into() })
    }

    /// Writes the run in TREC's format, with `name` in the last column.
    ///
    /// # Errors
    /// A score that is not finite, or an id with white space: neither could be read back.
    pub fn write(&self, path: &Path, name: &str) -> Result<()> {
        let mut file = AtomicFile::create(path)?;
        for (query, hits) in &self.rankings {
            for (index, hit) in hits.iter().enumerate() {
                if let Err(expected) = check(query, hit) {
                    let what = format!("{} for query `{query}` with {}", hit.passage, hit.score);
                    return Err(Error::Unwritable { path: path.into(), what, expected });
                }
                // {} prints the shortest text that reads back as the same f32, so ties and order
                // survive.
                writeln!(file, "{query} Q0 {} {} {} {name}", hit.passage, index + 1, hit.score)
                    .map_err(Error::io("write", path))?;
            }
        }
        file.commit()
    }
}

/// A hit and its line in the file.
type Row = (Hit, usize);

/// Returns the first row whose passage appeared before.
fn repeated(rows: &[Row]) -> Option<&Row> {
    let mut seen = HashSet::with_capacity(rows.len());
    rows.iter().find(|(hit, _)| !seen.insert(hit.passage.as_str()))
}

fn check(query: &QueryId, hit: &Hit) -> Result<(), &'static str> {
    check_id(query.as_str())?;
    check_id(hit.passage.as_str())?;
    if hit.score.is_finite() { Ok(()) } else { Err("a finite number as score") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trec::RunLine;

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
        assert_eq!(Run::read_name(&path).unwrap(), "test");
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
        std::fs::write(&path, "q Q0 p 1 0.5 x\r\n\nr Q0 p2 1 7 y\n").unwrap();
        let mut seen = Vec::new();
        let visit = |RunLine { number, query, passage, score, name }: RunLine<'_>| {
            seen.push((number, query.to_owned(), passage.to_owned(), score, name.to_owned()));
            Ok::<(), Error>(())
        };
        RunLine::each(&path, visit).unwrap();
        let line = |number, query: &str, passage: &str, score, name: &str| {
            (number, query.to_owned(), passage.to_owned(), score, name.to_owned())
        };
        assert_eq!(seen, [line(1, "q", "p", 0.5, "x"), line(3, "r", "p2", 7.0, "y")]);

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
        std::fs::write(
            &path,
            "q Q0 b 1 0 x\r\nr Q0 p 1 1e3 x\n\nq Q0 c 2 -0.0 x\nq\tQ0\ta\t3\t2\tx",
        )
        .unwrap();
        let run = Run::read(&path).unwrap();
        let order = |query| {
            run.get(query).unwrap().iter().map(|hit| hit.passage.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(order("q"), ["a", "c", "b"]);
        assert_eq!(order("r"), ["p"]);
    }
    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_query() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        std::fs::write(&path, "\u{feff}q Q0 a 1 3 x\nq Q0 b 2 2 x\n").unwrap();
        let run = Run::read(&path).unwrap();
        assert_eq!((run.len(), run.get("q").unwrap().len()), (1, 2));
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.run");
        for (query, passage, score) in
            [("q", "p", f32::NAN), ("q", "p", f32::INFINITY), ("q", "p 1", 1.0), ("", "p", 1.0)]
        {
            let run: Run =
                [(query.into(), Hit { passage: passage.into(), score })].into_iter().collect();
            assert!(matches!(run.write(&path, "x"), Err(Error::Unwritable { .. })));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
