//! Checks that the program accepts every command that the pages and help texts show.

#[path = "../tests/shown/mod.rs"]
mod shown;

use crate::cli::Cli;
use clap::{CommandFactory, Parser};
use shown::{Shown, commands, on_pages};
use std::path::Path;

fn refused<'a>(shown: impl IntoIterator<Item = &'a Shown>) -> Vec<String> {
    let refusal = |shown: &Shown| {
        let error = Cli::try_parse_from(&shown.words).err()?;
        // Help and version are not errors, but clap returns them as such.
        let is_error = error.use_stderr();
        is_error.then(|| format!("{}: {}\n{error}", shown.place, shown.words.join(" ")))
    };
    shown.into_iter().filter_map(refusal).collect()
}

#[test]
fn every_command_on_a_page_is_one_that_the_program_takes() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shown = on_pages(&repository);
    for page in ["README", "docs"] {
        let found = shown.iter().any(|shown| shown.place.starts_with(page));
        assert!(found, "{page} shows no command, or this test does not find it");
    }
    let refused = refused(&shown);
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_example_in_a_help_text_is_one_that_the_program_takes() {
    let program = Cli::command();
    let mut examples = Vec::new();
    for command in [&program].into_iter().chain(program.get_subcommands()) {
        let help = command.get_after_help().map(|help| help.to_string()).unwrap_or_default();
        // An example is indented, and a gap separates it from its purpose.
        let lines = help.replace("\\\n    ", "");
        let lines = lines.lines().filter_map(|line| line.strip_prefix("  "));
        let found = lines.flat_map(|line| commands(without_remark(line)));
        let place = format!("help of {}", command.get_name());
        examples.extend(found.map(|words| Shown { place: place.clone(), words }));
    }
    assert!(examples.len() >= program.get_subcommands().count(), "every command has an example");
    let refused = refused(&examples);
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

fn without_remark(line: &str) -> &str {
    match line.trim_start().find("   ") {
        Some(gap) if line.contains("whetstone") && !line[..gap].ends_with(' ') => &line[..gap],
        _ => line,
    }
}

#[test]
fn commands_are_found_in_pipes_over_broken_lines_and_without_comments() {
    let text = "# whetstone is no command here\n\
        grep -rh x docs | whetstone rerank --query \"a b\" \\\n  --json > out.json # whetstone\n\
        HF_TOKEN='x y' whetstone pull a/b; cargo run --release -- quickstart && cargo build\n";
    let found = commands(text);
    let expected: [&[&str]; 3] = [
        &["whetstone", "rerank", "--query", "a b", "--json"],
        &["whetstone", "pull", "a/b"],
        &["whetstone", "quickstart"],
    ];
    assert_eq!(found, expected);
    assert_eq!(
        refused([&Shown { place: "here".into(), words: vec!["whetstone".into(), "fly".into()] }])
            .len(),
        1
    );
}
