//! The file of judgements that a labeller writes.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use whetstone_records::{AtomicFile, Error as RecordsError, PassageId, QueryId, read_text};

/// Graded judgements in a qrels file, in the order of grading. Each is on the disk before the call
/// returns, so a killed process loses nothing.
///
/// A file named `.tsv` has BEIR's three columns and its header, any other TREC's four. An existing
/// file keeps its columns.
pub struct Judgements {
    path: PathBuf,
    file: File,
    is_beir: bool,
    given: Vec<(QueryId, PassageId, i32)>,
    grades: HashMap<(QueryId, PassageId), i32>,
}

const HEADER: &str = "query-id\tcorpus-id\tscore\n";

impl Judgements {
    /// Opens or creates the file. Cuts off an unfinished last line of a killed process.
    ///
    /// # Errors
    /// A line that is not a judgement; a file that another labeller has open.
    pub fn open(path: &Path) -> Result<Self> {
        let file = lock(path)?;
        let whole = whole_lines(&file, path)?;
        let is_empty = whole.trim().is_empty();
        let is_beir = match is_empty {
            true => path.extension().is_some_and(|extension| extension == "tsv"),
            false => {
                whole.lines().next().is_some_and(|line| line.split_ascii_whitespace().count() == 3)
            }
        };
        let mut judgements =
            Self { path: path.into(), file, is_beir, given: Vec::new(), grades: HashMap::new() };
        if is_empty && is_beir {
            judgements.append(HEADER)?;
        }
        for (index, line) in whole.lines().enumerate() {
            judgements.take(index, line)?;
        }
        Ok(judgements)
    }

    fn take(&mut self, index: usize, line: &str) -> Result<()> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let parsed = match fields[..] {
            [] => return Ok(()),
            ["query-id", ..] if index == 0 => return Ok(()),
            [query, passage, grade] | [query, _, passage, grade] => grade
                .parse()
                .ok()
                .map(|grade| (QueryId::from(query), PassageId::from(passage), grade)),
            _ => None,
        };
        let path = || self.path.clone();
        let Some((query, passage, grade)) = parsed else {
            return Err(Error::BadJudgement {
                path: path(),
                line: index + 1,
                value: line.to_owned(),
            });
        };
        if self.grades.insert((query.clone(), passage.clone()), grade).is_some() {
            return Err(Error::JudgedTwice { path: path(), line: index + 1, query, passage });
        }
        self.given.push((query, passage, grade));
        Ok(())
    }

    /// Returns the grade of a passage, if it has one.
    pub fn grade(&self, query: &QueryId, passage: &PassageId) -> Option<i32> {
        // A tuple of owned ids is the key; cloning two short strings is cheap beside a key press.
        self.grades.get(&(query.clone(), passage.clone())).copied()
    }

    /// All judgements, oldest first.
    pub fn given(&self) -> &[(QueryId, PassageId, i32)] {
        &self.given
    }

    /// Keeps a grade, in place of an earlier one of the same passage.
    pub fn give(&mut self, query: &QueryId, passage: &PassageId, grade: i32) -> Result<()> {
        let again = self.grades.insert((query.clone(), passage.clone()), grade).is_some();
        if again {
            self.given.retain(|(q, p, _)| (q, p) != (query, passage));
        }
        self.given.push((query.clone(), passage.clone(), grade));
        if again { self.rewrite() } else { self.append(&self.line(query, passage, grade)) }
    }

    /// Takes a grade back.
    pub fn remove(&mut self, query: &QueryId, passage: &PassageId) -> Result<()> {
        self.grades.remove(&(query.clone(), passage.clone()));
        self.given.retain(|(q, p, _)| (q, p) != (query, passage));
        self.rewrite()
    }

    fn line(&self, query: &QueryId, passage: &PassageId, grade: i32) -> String {
        if self.is_beir {
            format!("{query}\t{passage}\t{grade}\n")
        } else {
            format!("{query} 0 {passage} {grade}\n")
        }
    }

    fn append(&mut self, text: &str) -> Result<()> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        Ok(written.map_err(RecordsError::io("write", &self.path))?)
    }

    fn rewrite(&mut self) -> Result<()> {
        let mut text = if self.is_beir { HEADER.to_owned() } else { String::new() };
        self.given
            .iter()
            .for_each(|(query, passage, grade)| text += &self.line(query, passage, *grade));
        AtomicFile::write_all_to(&self.path, text.as_bytes())?;
        self.file = lock(&self.path)?;
        Ok(())
    }
}

fn lock(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(RecordsError::io("create folder", parent))?;
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(path);
    let file = file.map_err(RecordsError::io("open", path))?;
    if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
        return Err(Error::JudgementsInUse { path: path.into() });
    }
    Ok(file)
}

/// Returns the text up to the last line break, and cuts the file there.
fn whole_lines(file: &File, path: &Path) -> Result<String> {
    let mut text = read_text(path)?;
    let end = text.rfind('\n').map_or(0, |at| at + 1);
    if end < text.len() {
        text.truncate(end);
        file.set_len(end as u64).map_err(RecordsError::io("write", path))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::Qrels;

    #[test]
    fn grades_are_on_the_disk_at_once_and_read_back_as_qrels() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["new/a.tsv", "a.qrels"] {
            let path = folder.path().join(name);
            let mut judgements = Judgements::open(&path).unwrap();
            judgements.give(&"q".into(), &"a".into(), 2).unwrap();
            judgements.give(&"q".into(), &"b".into(), 0).unwrap();
            // The labeller still has the file open here.
            let qrels = Qrels::read(&path).unwrap();
            assert_eq!(qrels.get("q").unwrap()["a"], 2);
            judgements.give(&"q".into(), &"a".into(), 3).unwrap();
            judgements.remove(&"q".into(), &"b".into()).unwrap();
            judgements.give(&"r".into(), &"b".into(), 1).unwrap();
            drop(judgements);
            let again = Judgements::open(&path).unwrap();
            assert_eq!(again.given(), [("q".into(), "a".into(), 3), ("r".into(), "b".into(), 1)]);
            assert_eq!(Qrels::read(&path).unwrap().len(), 2);
        }
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(text("new/a.tsv"), "query-id\tcorpus-id\tscore\nq\ta\t3\nr\tb\t1\n");
        assert_eq!(text("a.qrels"), "q 0 a 3\nr 0 b 1\n");
    }

    #[test]
    fn an_unfinished_last_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        std::fs::write(&path, format!("{HEADER}q\ta\t2\nq\tb")).unwrap();
        let mut judgements = Judgements::open(&path).unwrap();
        assert_eq!(judgements.given().len(), 1);
        judgements.give(&"q".into(), &"c".into(), 1).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{HEADER}q\ta\t2\nq\tc\t1\n"));
    }

    #[test]
    fn bad_lines_and_a_second_labeller_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        let refusal = || Judgements::open(&path).err().unwrap().to_string();
        std::fs::write(&path, "q\ta\t2\nq\tb\thigh\n").unwrap();
        assert!(
            refusal().contains("line 2: expected a judgement, got `q\tb\thigh`"),
            "{}",
            refusal()
        );
        std::fs::write(&path, "q\ta\t2\nq\ta\t2\n").unwrap();
        assert!(refusal().contains("line 2: `q` with `a` is judged twice"), "{}", refusal());
        std::fs::write(&path, "q\ta\t2\n").unwrap();
        let _open = Judgements::open(&path).unwrap();
        assert!(refusal().contains("open in another labeller"), "{}", refusal());
    }
}
