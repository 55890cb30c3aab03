use crate::error::{Error, Result};
use crate::ids::{PassageId, QueryId};
use crate::io::AtomicFile;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

/// Relevance judgements: the grade of a passage for a query, relevant where it is positive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qrels {
    grades: BTreeMap<QueryId, BTreeMap<PassageId, i32>>,
}

impl Qrels {
    pub fn insert(&mut self, query: QueryId, passage: PassageId, grade: i32) {
        self.grades.entry(query).or_default().insert(passage, grade);
    }

    pub fn get(&self, query: &str) -> Option<&BTreeMap<PassageId, i32>> {
        self.grades.get(query)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&QueryId, &BTreeMap<PassageId, i32>)> {
        self.grades.iter()
    }

    pub fn len(&self) -> usize {
        self.grades.len()
    }

    pub fn is_empty(&self) -> bool {
        self.grades.is_empty()
    }

    /// Reads BEIR's `query-id corpus-id score` (with its header line) or TREC's `query 0 passage
    /// grade`.
    pub fn read(path: &Path) -> Result<Self> {
        let reader = BufReader::new(File::open(path).map_err(Error::io("read", path))?);
        let mut qrels = Self::default();
        for (index, line) in reader.lines().enumerate() {
            let line = line.map_err(Error::io("read", path))?;
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (query, passage, grade) = match fields[..] {
                [] => continue,
                ["query-id", ..] if index == 0 => continue,
                [query, passage, grade] | [query, _, passage, grade] => (query, passage, grade),
                _ => {
                    return Err(bad_line(
                        path,
                        index,
                        "three (BEIR) or four (TREC) columns",
                        &line,
                    ));
                }
            };
            let grade = grade
                .parse()
                .map_err(|_| bad_line(path, index, "a whole number as grade", &line))?;
            let earlier =
                qrels.grades.entry(query.into()).or_default().insert(passage.into(), grade);
            if earlier.is_some_and(|earlier| earlier != grade) {
                let id = format!("{query} {passage}");
                return Err(Error::DuplicateId { path: path.into(), line: index + 1, id });
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
                file.write_all(line(query, passage, *grade).as_bytes())
                    .map_err(Error::io("write", path))?;
            }
        }
        file.commit()
    }
}

fn bad_line(path: &Path, index: usize, expected: &'static str, value: &str) -> Error {
    Error::Line { path: path.into(), line: index + 1, expected, value: value.into() }
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
}
