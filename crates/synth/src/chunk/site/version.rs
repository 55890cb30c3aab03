//! Versions of a site in its paths: `docs/1.0/pump.html`, `docs/next/pump.html`.

use std::cmp::{Ordering, Reverse};

/// Names of a version that is published, and of one that is not.
const PUBLISHED: &[&str] = &["latest", "stable", "current", "release"];
const UNPUBLISHED: &[&str] =
    &["next", "main", "master", "dev", "devel", "develop", "nightly", "head", "edge", "unstable"];

/// A path and what it says of its version.
pub(super) struct Versioned<'n> {
    name: &'n str,
    /// The path without its versions.
    pub page: Vec<&'n str>,
    rank: Rank,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    None,
    Published,
    /// The highest first.
    Number(Reverse<Vec<u64>>),
    Unpublished,
}

impl<'n> Versioned<'n> {
    pub fn of(name: &'n str) -> Self {
        let mut rank = Rank::None;
        let mut page = Vec::new();
        let (folder, _) = name.rsplit_once('/').unwrap_or_default();
        for part in folder.split('/') {
            match rank_of(part) {
                Rank::None if part == "versioned_docs" => page.push("docs"),
                Rank::None => page.push(part),
                other => rank = other,
            }
        }
        page.push(name.rsplit('/').next().unwrap_or_default());
        Self { name, page, rank }
    }

    /// Puts the page first that is taken of several versions.
    pub fn order(&self, other: &Self) -> Ordering {
        let print = |name: &str| name.contains("print");
        print(self.name)
            .cmp(&print(other.name))
            .then_with(|| self.rank.cmp(&other.rank))
            .then_with(|| self.page.len().cmp(&other.page.len()))
            .then_with(|| self.name.len().cmp(&other.name.len()))
            .then_with(|| self.name.cmp(other.name))
    }
}

/// What one part of a path says. A year is no version: last year's report is another report.
fn rank_of(part: &str) -> Rank {
    let lower = part.to_lowercase();
    if PUBLISHED.contains(&lower.as_str()) {
        return Rank::Published;
    }
    if UNPUBLISHED.contains(&lower.as_str()) {
        return Rank::Unpublished;
    }
    let number = lower.strip_prefix("version-").unwrap_or(&lower);
    let number = number.strip_prefix('v').unwrap_or(number);
    let number = number.strip_suffix(".x").unwrap_or(number);
    let is_year = number.len() == 4 && (number.starts_with("19") || number.starts_with("20"));
    let numbers: Option<Vec<u64>> = number.split('.').map(|part| part.parse().ok()).collect();
    match numbers.filter(|_| !is_year) {
        Some(numbers) => Rank::Number(Reverse(numbers)),
        None => Rank::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_version_comes_first_and_years_are_none() {
        let mut names = ["docs/next/a.md", "docs/1.9/a.md", "docs/a.md", "docs/v1.10.x/a.md"];
        names.sort_by(|a, b| Versioned::of(a).order(&Versioned::of(b)));
        assert_eq!(names, ["docs/a.md", "docs/v1.10.x/a.md", "docs/1.9/a.md", "docs/next/a.md"]);
        let pages = names.map(|name| Versioned::of(name).page);
        assert!(pages.iter().all(|page| page[..] == ["docs", "a.md"]));
        assert_eq!(Versioned::of("versioned_docs/version-2.0/a.md").page, ["docs", "a.md"]);
        assert_eq!(Versioned::of("2024/a.md").page, ["2024", "a.md"]);
    }
}
