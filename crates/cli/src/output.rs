//! stdout is data, stderr is talk.

use crate::failure::{Failure, Result, during};
use std::io::{IsTerminal, Write};

/// Writes `text` to stdout.
pub fn data(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::StdoutClosed),
        written => Ok(written.map_err(during("cannot write to standard output"))?),
    }
}

/// Writes a value to stdout as JSON, with a line break at its end.
pub fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .expect("results are plain data, which always serialises");
    data(&(text + "\n"))
}

/// Writes a line to stderr. `eprintln!` would panic where stderr is closed.
pub fn talk(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub fn error(text: &str) {
    talk(&format!("{} {text}", paint("error:", "1;31")));
}

pub fn hint(text: &str) {
    talk(&format!("{} {text}", paint("hint:", "1;36")));
}

pub fn warning(text: &str) {
    talk(&format!("{} {text}", paint("warning:", "1;33")));
}

/// Colours a word where stderr is a terminal and `NO_COLOR` is unset (no-color.org: any text but
/// the empty one counts).
fn paint(word: &str, colour: &str) -> String {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && std::io::stderr().is_terminal() {
        format!("\x1b[{colour}m{word}\x1b[0m")
    } else {
        word.into()
    }
}
