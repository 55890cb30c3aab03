//! Relevance judgements, and their files in BEIR's and TREC's formats.

use crate::atomic::AtomicFile;
use crate::error::{Error, Result};
use crate::ids::{PassageId, QueryId};
use crate::lines::{LineReader, TREC_LINE};
use crate::records::Pair;
use crate::trec::{QrelsParser, check_id};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Relevance judgements: a grade for each judged (query, passage). Positive grades are relevant.
///
/// ```
/// # use whetstone_records::Qrels;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("test.tsv");
/// std::fs::write(&path, "query-id\tcorpus-id\tscore\nq1\tp7\t1\n").unwrap();
/// let mut qrels = Qrels::read(&path)?;
/// qrels.insert("q1".into(), "p9".into(), 0);
/// qrels.write_trec(&path)?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "q1 0 p7 1\nq1 0 p9 0\n");
/// # Ok::<(), whetstone_records::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qrels {
    grades: BTreeMap<QueryId, BTreeMap<PassageId, i32>>,
}

impl Qrels {
    /// Sets a grade, replacing an earlier one.
    pub fn insert(&mut self, query: QueryId, passage: PassageId, grade: i32) {
        self.grades.entry(query).or_default().insert(passage, grade);
    }

    /// Returns the grades of a query's judged passages.
    pub fn get(&self, query: &str) -> Option<&BTreeMap<PassageId, i32>> {
        self.grades.get(query)
    }

    /// Iterates over the queries in id order, each with its grades.
    pub fn iter(&self) -> impl Iterator<Item = (&QueryId, &BTreeMap<PassageId, i32>)> {
        self.grades.iter()
    }

    /// Returns the number of judged queries.
    pub fn len(&self) -> usize {
        self.grades.len()
    }

    pub fn is_empty(&self) -> bool {
        self.grades.is_empty()
    }

    /// Turns the labels of pairs into judgements, for a data set without qrels.
    ///
    /// A pair is relevant if its label is at least 0.5, where a model trained on it learns to score
    /// above 0. Its grade is then round(4 · label), 2 to 4, so soft labels keep their order. All
    /// other pairs get grade 0.
    ///
    /// ```
    /// # use whetstone_records::Qrels;
    /// assert_eq!([0.0, 0.1, 0.49, 0.5, 0.7, 1.0].map(Qrels::grade_of), [0, 0, 0, 2, 3, 4]);
    /// ```
    pub fn of_labels(pairs: &[Pair]) -> Self {
        let mut qrels = Self::default();
        for pair in pairs {
            let grade = Self::grade_of(pair.label);
            qrels.insert(pair.query_id.clone(), pair.passage_id.clone(), grade);
        }
        qrels
    }

    /// Returns the grade of a label in 0..=1; see [`Qrels::of_labels`].
    pub fn grade_of(label: f32) -> i32 {
        if label < 0.5 { 0 } else { (4.0 * label).round() as i32 }
    }

    /// Reads BEIR's `query-id corpus-id score` (with its header line) or TREC's `query 0 passage
    /// grade`. [`QrelsParser`] says what is refused.
    pub fn read(path: &Path) -> Result<Self> {
        let mut lines = LineReader::open(path, TREC_LINE)?;
        let mut parser = QrelsParser::new(path);
        let mut qrels = Self::default();
        while lines.advance()? {
            let Some(line) = parser.parse(lines.number(), lines.text()?)? else { continue };
            let earlier = qrels
                .grades
                .entry(line.query.into())
                .or_default()
                .insert(line.passage.into(), line.grade);
            if earlier.is_some_and(|earlier| earlier != line.grade) {
                let id = format!("{} {}", line.query, line.passage);
                return Err(Error::DuplicateId { path: path.into(), line: lines.number(), id });
            }
        }
        if qrels.is_empty() {
            return Err(Error::Empty { path: path.into() });
        }
        Ok(qrels)
    }

    /// Writes BEIR's tab-separated file with its header.
    pub fn write_beir(&self, path: &Path) -> Result<()> {
        self.write_lines(path, "query-id\tcorpus-id\tscore\n", |query, passage, grade| {
            format!("{query}\t{passage}\t{grade}\n")
        })
    }

    /// Writes TREC's `query 0 passage grade`.
    pub fn write_trec(&self, path: &Path) -> Result<()> {
        self.write_lines(path, "", |query, passage, grade| format!("{query} 0 {passage} {grade}\n"))
    }

    fn write_lines(
        &self,
        path: &Path,
        header: &str,
        line: impl Fn(&QueryId, &PassageId, i32) -> String,
    ) -> Result<()> {
        let mut file = AtomicFile::create(path)?;
        file.write_all(header.as_bytes()).map_err(Error::io("write", path))?;
        for (query, grades) in &self.grades {
            for (passage, grade) in grades {
                for id in [query.as_str(), passage.as_str()] {
                    if let Err(expected) = check_id(id) {
                        let what = format!("`{id}`");
                        return Err(Error::Unwritable { path: path.into(), what, expected });
                    }
                }
                file.write_all(line(query, passage, *grade).as_bytes())
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
    fn beir_and_trec_files_read_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut qrels = Qrels::default();
        qrels.insert("q1".into(), "p1".into(), 2);
        qrels.insert("q1".into(), "p2".into(), 0);
        qrels.insert("q2".into(), "p1".into(), -1);
        for name in ["test.tsv", "test.qrels"] {
            let path = folder.path().join(name);
            if name.ends_with("tsv") { qrels.write_beir(&path) } else { qrels.write_trec(&path) }
                .unwrap();
            assert_eq!(Qrels::read(&path).unwrap(), qrels);
        }
    }
    #[test]
    fn one_passage_with_two_grades_is_reported_with_its_second_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        std::fs::write(&path, "q\tp\t1\nq\tp\t1.0\nq\tp\t2\n").unwrap();
        let message = Qrels::read(&path).unwrap_err().to_string();
        assert!(message.contains("line 3: id `q p` occurs twice"), "{message}");
    }

    #[test]
    fn an_id_that_would_break_the_file_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut qrels = Qrels::default();
        qrels.insert("q".into(), "Basel III".into(), 1);
        let path = folder.path().join("a.tsv");
        let message = qrels.write_beir(&path).unwrap_err().to_string();
        assert!(message.ends_with("`Basel III`: expected an id without white space"), "{message}");
        assert!(!path.exists());
    }
}
