//! Finds what the titles of a corpus share, such as a site's name, which separates no documents.

use std::collections::{HashMap, HashSet};

/// Separators between the name of a page and that of its site.
const SEPARATORS: &[&str] = &[
    " | ", " - ", " – ", " — ", " · ", " • ", " :: ", " » ", " « ", " › ", " ~ ", " / ", "—", ": ",
];
/// Fewest titles that must share something before it is more than chance; with two, both.
const MIN_TITLES: usize = 3;
/// How many separators of a title to look at, from each end.
const MAX_SEPARATORS: usize = 4;

/// The ends and beginnings that most titles share, with their separators.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct SharedTitles {
    ends: HashSet<String>,
    beginnings: HashSet<String>,
    /// The shared text, and titles that most documents have.
    names: HashSet<String>,
}

impl SharedTitles {
    /// Compares the titles of different documents.
    pub fn of<'t>(titles: impl IntoIterator<Item = &'t str>) -> Self {
        let titles: Vec<&str> = titles.into_iter().map(str::trim).collect();
        let [mut ends, mut beginnings, mut whole] = [const { Vec::new() }; 3];
        for title in &titles {
            for (at, separator) in separators(title) {
                ends.push(&title[at..]);
                beginnings.push(&title[..at + separator.len()]);
            }
            whole.push(*title);
        }
        let whole = counts(whole);
        // The front page is named like the site.
        let named = |name: &str| whole.get(name).copied().unwrap_or(0);
        let most = |parts: Vec<&str>, name: fn(&str) -> &str| -> HashSet<String> {
            let parts = counts(parts).into_iter();
            let shared =
                parts.filter(|(part, count)| is_most(count + named(name(part)), titles.len()));
            shared.map(|(part, _)| part.to_owned()).collect()
        };
        let ends = most(ends, name_at_end);
        let beginnings = most(beginnings, name_at_beginning);
        // Two documents with the same name are not a site.
        let several = whole.iter().filter(|_| titles.len() >= MIN_TITLES);
        let several = several.filter(|(_, count)| is_most(**count, titles.len()));
        let names = several.map(|(title, _)| *title);
        let names = names.chain(ends.iter().map(|end| name_at_end(end)));
        let names = names.chain(beginnings.iter().map(|begin| name_at_beginning(begin)));
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self { ends, beginnings, names }
    }

    /// Whether a title is only what most titles share.
    pub fn is_shared(&self, title: &str) -> bool {
        self.names.contains(title.trim())
    }

    /// The title without its shared part; empty if nothing else is left.
    pub fn cut<'t>(&self, title: &'t str) -> &'t str {
        let mut title = title.trim();
        loop {
            let places = separators(title);
            let end =
                places.iter().map(|(at, _)| *at).filter(|at| self.ends.contains(&title[*at..]));
            let kept = &title[..end.min().unwrap_or(title.len())];
            let begins = separators(kept).into_iter().map(|(at, separator)| at + separator.len());
            let begin = begins.filter(|at| self.beginnings.contains(&kept[..*at])).max();
            let kept = kept[begin.unwrap_or(0)..].trim();
            if self.names.contains(kept) {
                return "";
            }
            if kept.len() == title.len() {
                return kept;
            }
            title = kept;
        }
    }
}

fn name_at_end(end: &str) -> &str {
    end.trim_start_matches(is_separator)
}

fn name_at_beginning(beginning: &str) -> &str {
    beginning.trim_end_matches(is_separator)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || SEPARATORS.iter().any(|separator| separator.trim().contains(c))
}

/// The separators nearest to the ends of a title, by their places.
fn separators(title: &str) -> Vec<(usize, &'static str)> {
    let mut places: Vec<(usize, &str)> = SEPARATORS
        .iter()
        .flat_map(|separator| title.match_indices(separator).map(|(at, _)| (at, *separator)))
        .filter(|(at, separator)| *at > 0 && at + separator.len() < title.len())
        .collect();
    places.sort_unstable();
    if places.len() > 2 * MAX_SEPARATORS {
        places.drain(MAX_SEPARATORS..places.len() - MAX_SEPARATORS);
    }
    places
}

fn counts(parts: Vec<&str>) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for part in parts {
        *counts.entry(part).or_default() += 1;
    }
    counts
}

fn is_most(count: usize, titles: usize) -> bool {
    match titles {
        2 => count == 2,
        _ => count >= MIN_TITLES && count * 2 > titles,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(titles: &[&str]) -> Vec<String> {
        let shared = SharedTitles::of(titles.iter().copied());
        titles.iter().map(|title| shared.cut(title).to_owned()).collect()
    }

    #[test]
    fn the_name_of_the_site_is_cut_from_every_title() {
        let titles = ["Pumps - The Plant Book", "Valves - Old - The Plant Book", "The Plant Book"];
        assert_eq!(
            cut(&[&titles[..], &["Noise"]].concat()),
            ["Pumps", "Valves - Old", "", "Noise"]
        );
        assert_eq!(
            cut(&["Plant: Pumps", "Plant: Valves", "Plant: Noise"]),
            ["Pumps", "Valves", "Noise"]
        );
        assert_eq!(
            cut(&["A | Guide | Docs", "B | Guide | Docs", "C | Guide | Docs", "D | Docs"]),
            ["A", "B", "C", "D"]
        );
        assert_eq!(cut(&["Pump — plant 1.0", "Valve — plant 1.0"]), ["Pump", "Valve"]);
        assert_eq!(cut(&["Plant", "Plant", "Plant", "Pump"]), ["", "", "", "Pump"]);
    }

    #[test]
    fn what_only_some_titles_share_stays() {
        let titles = ["Service terms: Plus", "Service terms: Base", "Pumps", "Valves"];
        assert_eq!(cut(&titles), titles);
        assert_eq!(cut(&["Pump - Plant"]), ["Pump - Plant"]);
        assert_eq!(cut(&["Pump - Plant", "Valve - Plants"]), ["Pump - Plant", "Valve - Plants"]);
        assert!(cut(&[]).is_empty());
    }
}
