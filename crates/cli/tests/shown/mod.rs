//! The commands that pages show: what stands in their blocks of shell.

use std::path::{Path, PathBuf};

/// A command of `whetstone`, and where it is shown.
#[derive(Debug, PartialEq)]
pub struct Shown {
    pub place: String,
    /// The program's name first.
    pub words: Vec<String>,
}

/// The commands of `whetstone` on README.md and all pages below docs.
pub fn on_pages(repository: &Path) -> Vec<Shown> {
    let mut pages = vec![repository.join("README.md")];
    find_pages(&repository.join("docs"), &mut pages);
    pages.sort();
    pages.iter().flat_map(|page| on_page(page, repository)).collect()
}

fn find_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find_pages(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

fn on_page(page: &Path, repository: &Path) -> Vec<Shown> {
    let text = std::fs::read_to_string(page).unwrap();
    let name = page.strip_prefix(repository).unwrap().display().to_string();
    let commands = blocks(&text).into_iter().flat_map(|(line, block)| {
        let place = format!("{name} line {line}");
        commands(&block).into_iter().map(move |words| Shown { place: place.clone(), words })
    });
    commands.collect()
}

/// The blocks that are marked as `sh`, each with the line that it begins at.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let (mut blocks, mut is_shell, mut is_open) = (Vec::<(usize, String)>::new(), false, false);
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            is_open = !is_open;
            is_shell = is_open && language.trim() == "sh";
            if is_shell {
                blocks.push((number + 1, String::new()));
            }
        } else if is_shell && let Some((_, block)) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

/// The commands of `whetstone` in a text of shell: alone, in a pipe, or run by cargo.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    split(&text).into_iter().filter_map(of_whetstone).collect()
}

fn of_whetstone(words: Vec<String>) -> Option<Vec<String>> {
    let own = |rest: &[String]| {
        Some(["whetstone".to_owned()].into_iter().chain(rest.iter().cloned()).collect())
    };
    let is_variable = |word: &&String| word.contains('=');
    let variables = words.iter().take_while(is_variable).count();
    match &words[variables..] {
        [program, rest @ ..] if program.rsplit('/').next() == Some("whetstone") => own(rest),
        [cargo, run, rest @ ..] if cargo == "cargo" && run == "run" => {
            own(&rest[rest.iter().position(|word| word == "--")? + 1..])
        }
        _ => None,
    }
}

/// Words by command. What a command is redirected to is no word of it.
fn split(text: &str) -> Vec<Vec<String>> {
    let mut commands = vec![vec![]];
    let mut letters = text.chars().peekable();
    let mut is_target = false;
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => {}
            '\n' | '|' | ';' | '&' => commands.push(vec![]),
            '<' | '>' => is_target = true,
            '#' => while letters.next_if(|letter| *letter != '\n').is_some() {},
            first => {
                let word = word(first, &mut letters);
                if !std::mem::take(&mut is_target) {
                    commands.last_mut().unwrap().push(word);
                }
            }
        }
    }
    commands
}

/// A word that begins with `first`, without its quotes.
fn word(first: char, letters: &mut std::iter::Peekable<std::str::Chars>) -> String {
    let (mut word, mut quote, mut next) = (String::new(), None, Some(first));
    while let Some(letter) = next {
        match (letter, quote) {
            ('"' | '\'', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            (letter, _) => word.push(letter),
        }
        next = letters.next_if(|letter| quote.is_some() || !" \t\n|;&<>".contains(*letter));
    }
    word
}
