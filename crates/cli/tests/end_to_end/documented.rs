//! Commands on pages that need nothing but the repository do what they say.

#[path = "../shown/mod.rs"]
mod shown;

use crate::whetstone::{repository, run};
use shown::{Shown, on_pages};

/// Whether a command reads only files of the repository and writes none.
fn needs_only_the_repository(shown: &Shown) -> bool {
    let words: Vec<&str> = shown.words.iter().map(String::as_str).collect();
    let is_file = |word: &&str| word.contains(['/', '.']) && !word.starts_with('-');
    let is_there = |word: &str| repository().join(word.rsplit('=').next().unwrap_or(word)).exists();
    match words[..] {
        [_, .., "--help" | "--version"] | [_, "completions", _] | [_, "devices"] => true,
        [_, "eval", ref rest @ ..] => {
            !rest.contains(&"--out") && rest.iter().copied().filter(is_file).all(is_there)
        }
        _ => false,
    }
}

#[test]
fn what_needs_only_the_repository_runs() {
    let shown = on_pages(&repository());
    let mut ran = 0;
    for shown in shown.iter().filter(|shown| needs_only_the_repository(shown)) {
        let args: Vec<&str> = shown.words[1..].iter().map(String::as_str).collect();
        let outcome = run(&args);
        assert_eq!(outcome.code, Some(0), "{}: {args:?}\n{}", shown.place, outcome.stderr);
        assert!(!outcome.stdout.is_empty(), "{}: {args:?}", shown.place);
        ran += 1;
    }
    assert!(ran > 0, "no page shows a command that needs only the repository");
}
