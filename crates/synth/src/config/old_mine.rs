//! The keys of `[mine]` from before it listed its retrievers, and their new spelling.

use crate::error::{Error, Result};
use std::path::Path;
use toml::{Table, Value};

/// Each old key, with its retriever and its name there.
const KEYS: [(&str, &str, &str); 6] = [
    ("bm25-fraction", "bm25", "fraction"),
    ("dense-fraction", "dense", "fraction"),
    ("bm25-k1", "bm25", "k1"),
    ("bm25-b", "bm25", "b"),
    ("min-dense-score", "dense", "min-score"),
    ("max-dense-score", "dense", "max-score"),
];

/// Refuses a config that uses one of the old keys. The error says what to write, with the config's
/// own values.
pub fn refuse(path: &Path, text: &str) -> Result<()> {
    // A file that is not TOML has an error of its own.
    let Ok(config) = text.parse::<Table>() else { return Ok(()) };
    let Some(mine) = config.get("mine").and_then(Value::as_table) else { return Ok(()) };
    let used = KEYS.iter().filter(|(old, ..)| mine.contains_key(*old));
    let keys: Vec<&str> = used.map(|(old, ..)| *old).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let spelling = ["bm25", "dense"].map(|kind| spell(kind, mine)).join(", ");
    let keys = keys.join("`, `");
    Err(Error::OldMineKeys { path: path.into(), keys, spelling: format!("from = [{spelling}]") })
}

/// Returns the entry of a retriever that does the same as the old keys.
fn spell(kind: &str, mine: &Table) -> String {
    let mut entry = format!("{{ kind = \"{kind}\"");
    for (old, _, new) in KEYS.iter().filter(|(_, of, _)| *of == kind) {
        match (mine.get(*old), *new) {
            (Some(value), _) => entry.push_str(&format!(", {new} = {value}")),
            (None, "fraction") => entry.push_str(", fraction = 0.4"),
            (None, _) => {}
        }
    }
    entry + " }"
}
