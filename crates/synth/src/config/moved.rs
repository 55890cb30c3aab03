//! Keys that earlier versions spelled differently.

use crate::error::{Error, Result};
use std::path::Path;

/// Old section and key, new section and key.
const MOVED: &[[&str; 4]] = &[
    ["filter", "judge-llm", "judge", "llm"],
    ["filter", "judge-prompt", "judge", "prompt"],
    ["filter", "min-grade", "judge", "min-grade"],
];

/// Refuses a config with an old key, and shows the new one. Text that is not TOML passes: its own
/// error says more.
pub fn check(text: &str, path: &Path) -> Result<()> {
    let table: toml::Table = text.parse().unwrap_or_default();
    for [section, key, new_section, new_key] in MOVED {
        let Some(value) = table.get(*section).and_then(|section| section.get(*key)) else {
            continue;
        };
        let holds = |line: &str| !line.trim_start().starts_with('#') && line.contains(*key);
        return Err(Error::MovedKey {
            path: path.into(),
            line: text.lines().position(holds).map_or(1, |line| line + 1),
            old: format!("{section}.{key}"),
            section: new_section,
            new: format!("{new_key} = {value}"),
        });
    }
    Ok(())
}
