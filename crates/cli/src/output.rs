//! stdout is data, stderr is talk.

use std::io::{IsTerminal, Write};

/// The reader of stdout went away, as `head` does; the program ends with 0 then.
#[derive(Debug, thiserror::Error)]
#[error("the reader of standard output is gone")]
pub struct StdoutClosed;

/// Writes `text` to stdout.
pub fn data(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        Err(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
        Ok(()) => Ok(()),
    }
}

/// Writes a value to stdout as JSON, with a line break at its end.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    data(&(serde_json::to_string_pretty(value)? + "\n"))
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
