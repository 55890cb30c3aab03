//! Parses the lines of run and qrels files.

use crate::error::{Error, Result};
use crate::lines::{LineReader, TREC_LINE};
use std::path::{Path, PathBuf};

/// The columns of a run; the name may be missing.
const RUN: &str = "`query Q0 passage rank score name`";
const QRELS: &str = "three (BEIR) or four (TREC) columns";
/// More columns than either format has, enough to notice a line with too many.
const MOST: usize = 7;

/// One line of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunLine<'a> {
    /// From 1.
    pub number: usize,
    pub query: &'a str,
    pub passage: &'a str,
    pub score: f32,
    /// The system that ranked; empty if the file has no such column.
    pub name: &'a str,
}

/// One line of qrels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QrelsLine<'a> {
    pub query: &'a str,
    pub passage: &'a str,
    pub grade: i32,
}

/// Parses the lines of a run, in order: `query Q0 passage rank score name`.
///
/// A line with tabs is split at tabs, any other at white space. The first line sets the number of
/// columns. So white space in an id is refused and never shifts the columns.
///
/// ```
/// # use whetstone_records::RunParser;
/// let mut parser = RunParser::new("bm25.run");
/// let line = parser.parse(1, "q1 Q0 p7 1 12.5 bm25")?.expect("the line is not blank");
/// assert_eq!((line.query, line.passage, line.score), ("q1", "p7", 12.5));
/// let error = parser.parse(2, "q1\tQ0\tBasel III\t2\t11.0\tbm25").unwrap_err();
/// assert!(error.to_string().contains("line 2: expected an id without white space"));
/// # Ok::<(), whetstone_records::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunParser(Table);

/// Parses the lines of qrels, in order: BEIR's `query-id corpus-id score` or TREC's `query 0
/// passage grade`.
///
/// White space and the number of columns are as for [`RunParser`]. A grade is a whole number, which
/// may be written `1.0`.
#[derive(Clone, Debug)]
pub struct QrelsParser(Table);

impl RunParser {
    /// Starts before the file's first line. The path is only for messages.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Table::new(path))
    }

    /// Parses a line; None if it is blank. `number` counts from 1.
    pub fn parse<'a>(&mut self, number: usize, line: &'a str) -> Result<Option<RunLine<'a>>> {
        let Some(row) = self.0.row(number, line, RUN, 5..=6)? else { return Ok(None) };
        let [query, _, passage, rank, score, name, _] = row.fields;
        // trec_eval ignores the rank. One that is not a number means that an id contains a space,
        // which shifts the columns after it.
        if rank.parse::<f64>().is_err() {
            return Err(row.bad("a number as rank"));
        }
        let parsed: f32 = score.parse().map_err(|_| row.bad("a number as score"))?;
        if !parsed.is_finite() {
            return Err(row.bad("a finite number as score"));
        }
        row.check_ids([query, passage])?;
        Ok(Some(RunLine { number, query, passage, score: parsed, name }))
    }
}

impl RunLine<'_> {
    /// Calls `visit` with every line of a run file that is not blank. Stops at the first error and
    /// keeps only one line in memory.
    pub fn each<E: From<Error>>(
        path: &Path,
        mut visit: impl FnMut(RunLine<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut lines = LineReader::open(path, TREC_LINE)?;
        let mut parser = RunParser::new(path);
        while lines.advance()? {
            if let Some(line) = parser.parse(lines.number(), lines.text()?)? {
                visit(line)?;
            }
        }
        Ok(())
    }
}

impl QrelsParser {
    /// Starts before the file's first line. The path is only for messages.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Table::new(path))
    }

    /// Parses a line; None if it is blank or BEIR's header. `number` counts from 1.
    pub fn parse<'a>(&mut self, number: usize, line: &'a str) -> Result<Option<QrelsLine<'a>>> {
        let is_first = self.0.columns.is_none();
        let Some(row) = self.0.row(number, line, QRELS, 3..=4)? else { return Ok(None) };
        let [query, passage, grade] = match row.fields {
            [query, passage, grade, "", ..] => [query, passage, grade],
            [query, _, passage, grade, ..] => [query, passage, grade],
        };
        let grade = whole(grade);
        // A query may be called like the column; its grade is a number all the same.
        let is_named = matches!(query, "query-id" | "query_id" | "qid");
        if is_first && is_named && grade.is_none() {
            return Ok(None);
        }
        let grade = grade.ok_or_else(|| row.bad("a whole number as grade"))?;
        row.check_ids([query, passage])?;
        Ok(Some(QrelsLine { query, passage, grade }))
    }

    /// Returns whether the file has BEIR's three columns; None before its first line.
    pub fn is_beir(&self) -> Option<bool> {
        self.0.columns.map(|columns| columns == 3)
    }
}

/// Parses a grade, which exporters also write as `1.0`.
fn whole(grade: &str) -> Option<i32> {
    grade.parse().ok().or_else(|| {
        let value: f64 = grade.parse().ok()?;
        let is_whole = value.fract() == 0.0 && value.abs() <= f64::from(i32::MAX);
        is_whole.then_some(value as i32)
    })
}

/// The columns of a file, as its first line sets them.
#[derive(Clone, Debug)]
struct Table {
    path: PathBuf,
    columns: Option<usize>,
}

/// A line, split into fields.
struct Row<'p, 'a> {
    path: &'p Path,
    number: usize,
    line: &'a str,
    /// Fields that the line lacks are empty.
    fields: [&'a str; MOST],
}

impl Table {
    fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), columns: None }
    }

    fn row<'p, 'a>(
        &'p mut self,
        number: usize,
        line: &'a str,
        expected: &'static str,
        columns: std::ops::RangeInclusive<usize>,
    ) -> Result<Option<Row<'p, 'a>>> {
        let line = line.strip_prefix('\u{feff}').unwrap_or(line).trim_ascii_end();
        if line.is_empty() {
            return Ok(None);
        }
        let mut fields = [""; MOST];
        let count = match line.contains('\t') {
            true => fill(&mut fields, line.split('\t').map(str::trim_ascii)),
            false => fill(&mut fields, line.split_ascii_whitespace()),
        };
        let row = Row { path: &self.path, number, line, fields };
        if !columns.contains(&count) {
            return Err(row.bad(expected));
        }
        if *self.columns.get_or_insert(count) != count {
            return Err(row.bad("as many columns as the lines above have"));
        }
        Ok(Some(row))
    }
}

/// Fills in the fields of a line. Returns how many there are, at most [`MOST`].
fn fill<'a>(fields: &mut [&'a str; MOST], parts: impl Iterator<Item = &'a str>) -> usize {
    let mut count = 0;
    for (field, part) in fields.iter_mut().zip(parts) {
        *field = part;
        count += 1;
    }
    count
}

impl Row<'_, '_> {
    fn check_ids(&self, ids: [&str; 2]) -> Result<()> {
        for id in ids {
            check_id(id).map_err(|expected| self.bad(expected))?;
        }
        Ok(())
    }

    fn bad(&self, expected: &'static str) -> Error {
        let (path, line, value) = (self.path.into(), self.number, shown(self.line));
        Error::Line { path, line, expected, value }
    }
}

/// Refuses an id that a run or qrels file cannot hold. The error says what was expected.
pub(crate) fn check_id(id: &str) -> Result<(), &'static str> {
    match id {
        "" => Err("an id that is not empty"),
        // At the start of a file a byte order mark is no part of the id, so it is none anywhere.
        _ if id.contains(|c: char| c.is_whitespace() || c == '\u{feff}') => {
            Err("an id without white space")
        }
        _ => Ok(()),
    }
}

/// Returns the beginning of a line that may be very long.
fn shown(line: &str) -> String {
    const MOST: usize = 200;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lines: &[&str]) -> Result<Vec<(String, String, f32)>> {
        let mut parser = RunParser::new("a.run");
        let mut found = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let line = parser.parse(index + 1, line)?;
            found.extend(line.map(|line| (line.query.into(), line.passage.into(), line.score)));
        }
        Ok(found)
    }

    fn qrels(lines: &[&str]) -> Result<Vec<(String, String, i32)>> {
        let mut parser = QrelsParser::new("a.tsv");
        let mut found = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let line = parser.parse(index + 1, line)?;
            found.extend(line.map(|line| (line.query.into(), line.passage.into(), line.grade)));
        }
        Ok(found)
    }

    #[track_caller]
    fn refused<T: std::fmt::Debug>(found: Result<T>, expected: &str) {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn an_id_with_white_space_is_refused_and_never_becomes_another_id() {
        let ids = "line 2: expected an id without white space, got `q\tBasel III\t1`";
        refused(qrels(&["query-id\tcorpus-id\tscore", "q\tBasel III\t1"]), ids);
        refused(qrels(&["q\t0\tBasel III\t1"]), "expected an id without white space");
        refused(qrels(&["q 1\tp\t1"]), "expected an id without white space");
        refused(qrels(&["q\tp\u{a0}1\t1"]), "expected an id without white space");
        refused(qrels(&[" \u{feff}q\tp\t1"]), "expected an id without white space");
        refused(run(&[" \u{feff}q Q0 p 1 0.5"]), "expected an id without white space");
        // Without tabs nothing tells the ids apart, but the number of columns differs.
        refused(qrels(&["q p 1", "q Basel III 1"]), "line 2: expected as many columns");
        refused(qrels(&["q 0 p 1", "q\tBasel III\t1"]), "line 2: expected as many columns");
        refused(qrels(&["q\t\t1"]), "expected an id that is not empty");
        refused(run(&["q Q0 Basel III 1 0.5 bm25"]), RUN);
        refused(run(&["q Q0 Basel III 1 0.5"]), "expected a number as rank");
        refused(run(&["q\tQ0\tBasel III\t1\t0.5\tbm25"]), "expected an id without white space");
    }

    #[test]
    fn tabs_spaces_and_ends_of_lines_are_no_part_of_an_id() {
        let expected = [("q".to_owned(), "p".to_owned(), 1.0)];
        for line in [
            "q Q0 p 1 1 x",
            "  q  Q0 p 1 1.0 x\r",
            "q\tQ0\tp \t1\t1e0\tx\t",
            "\u{feff}q Q0 p 1 1 x",
        ] {
            assert_eq!(run(&[line, "", " \t"]).unwrap(), expected, "{line:?}");
        }
        assert_eq!(run(&["q Q0 p 1 1", "q Q0 p2 2 0"]).unwrap().len(), 2);
    }

    #[test]
    fn a_whole_grade_may_have_a_point_and_no_other_may() {
        let grade = |text: &str| qrels(&[&format!("q\tp\t{text}")]).map(|found| found[0].2);
        for (text, expected) in [("1", 1), ("1.0", 1), ("-1", -1), ("+2", 2), ("3.", 3), ("0.0", 0)]
        {
            assert_eq!(grade(text).unwrap(), expected, "{text}");
        }
        for text in ["1.5", "high", "nan", "inf", "1e99", "99999999999", "1,0"] {
            refused(grade(text), "expected a whole number as grade");
        }
    }

    #[test]
    fn a_score_is_a_finite_number() {
        for text in ["nan", "NaN", "inf", "-Infinity", "1e39"] {
            refused(run(&[&format!("q Q0 p 1 {text} x")]), "expected a finite number as score");
        }
        refused(run(&["q Q0 p 1 high x"]), "expected a number as score");
    }

    #[test]
    fn a_header_counts_in_the_first_line_alone() {
        for header in ["query-id corpus-id score", "query_id\tcorpus_id\tlabel", "qid\tpid\tgrade"]
        {
            assert_eq!(qrels(&["", header, "q p 1"]).unwrap().len(), 1, "{header}");
        }
        refused(qrels(&["q p 1", "query-id corpus-id score"]), "line 2: expected a whole number");
        assert_eq!(qrels(&["query-id p 1", "q p 1"]).unwrap().len(), 2);
    }

    #[test]
    fn a_message_shows_the_beginning_of_a_long_line() {
        let error = run(&["ä".repeat(10_000).as_str()]).unwrap_err().to_string();
        assert!(error.len() < 600, "{} bytes", error.len());
    }
}
