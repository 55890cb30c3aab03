//! Pages that other pages hold all of.

use super::version::Versioned;
use super::{Kind, LeftOut, PageBlock, Pages};
use std::collections::{HashMap, HashSet};

/// Share of a page's words that other pages hold, where it is a copy of them.
const COPIED_FRACTION: f64 = 0.95;
/// The same for two versions of a page, by their paths.
const VERSION_FRACTION: f64 = 0.8;
/// Fewest pages that a page is put together from.
const MIN_PARTS: usize = 3;
/// A block that more pages have than this tells nothing about two of them.
const MAX_HOLDERS: usize = 64;

/// Marks pages that repeat others, as long as the others stay.
pub(super) fn find(pages: &Pages, left_out: &mut [Option<LeftOut>]) {
    let mut copies = Copies::of(pages, left_out);
    // The largest first: of a book and its chapters, the book goes.
    let mut order: Vec<usize> =
        (0..left_out.len()).filter(|page| left_out[*page].is_none()).collect();
    order.sort_by(|a, b| {
        copies.weights[*b]
            .cmp(&copies.weights[*a])
            .then_with(|| copies.versions[*b].order(&copies.versions[*a]))
    });
    for page in order {
        if let Some(reason) = copies.verdict(page) {
            left_out[page] = Some(reason);
            copies.remove(page);
        }
    }
}

struct Copies<'p, 'd> {
    pages: &'p Pages<'d>,
    versions: Vec<Versioned<'p>>,
    /// The pages that hold each block, without those that are left out.
    holders: HashMap<u32, HashSet<usize>>,
    /// Bytes of the words of each page.
    weights: Vec<u64>,
    taken: usize,
}

impl<'p, 'd> Copies<'p, 'd> {
    fn of(pages: &'p Pages<'d>, left_out: &[Option<LeftOut>]) -> Self {
        let mut holders: HashMap<u32, HashSet<usize>> = HashMap::new();
        let weight =
            |blocks: &Vec<PageBlock>| blocks.iter().map(|block| u64::from(block.weight)).sum();
        let weights = pages.blocks.iter().map(weight).collect();
        for (page, blocks) in
            pages.blocks.iter().enumerate().filter(|(page, _)| left_out[*page].is_none())
        {
            for block in blocks {
                holders.entry(block.words).or_default().insert(page);
            }
        }
        let versions =
            (0..pages.blocks.len()).map(|page| Versioned::of(pages.name(page))).collect();
        let taken = left_out.iter().filter(|reason| reason.is_none()).count();
        Self { pages, versions, holders, weights, taken }
    }

    fn remove(&mut self, page: usize) {
        for block in &self.pages.blocks[page] {
            if let Some(holders) = self.holders.get_mut(&block.words) {
                holders.remove(&page);
            }
        }
        self.taken -= 1;
    }

    fn verdict(&self, page: usize) -> Option<LeftOut> {
        let weight = self.weights[page] as f64;
        let (covered, shared) = self.shared(page);
        if weight == 0.0 || covered as f64 / weight < VERSION_FRACTION {
            return None;
        }
        let twins = shared
            .iter()
            .filter(|(other, shared)| self.is_twin(page, **other, **shared as f64))
            .map(|(other, _)| *other);
        if let Some(best) = twins.min_by(|a, b| self.versions[*a].order(&self.versions[*b])) {
            let is_better = self.versions[best].order(&self.versions[page]).is_lt();
            let is_version = self.versions[best].page == self.versions[page].page;
            return is_better.then_some(match is_version {
                true => LeftOut::Version,
                false => LeftOut::Copy,
            });
        }
        let largest = shared.values().max().copied().unwrap_or(0) as f64;
        let least = match self.has_own_title(page) {
            false => MIN_PARTS,
            // A page that is made of parts, under a title of its own.
            true => MIN_PARTS.max(self.taken / 4),
        };
        let is_collection = covered as f64 / weight >= COPIED_FRACTION
            && largest / weight < VERSION_FRACTION
            && shared.len() >= least;
        is_collection.then_some(LeftOut::Copy)
    }

    /// Returns how much of a page other pages hold, and how much each of them.
    fn shared(&self, page: usize) -> (u64, HashMap<usize, u64>) {
        let mut covered = 0;
        let mut shared: HashMap<usize, u64> = HashMap::new();
        for block in &self.pages.blocks[page] {
            let holders = &self.holders[&block.words];
            if holders.len() < 2 {
                continue;
            }
            covered += u64::from(block.weight);
            if holders.len() <= MAX_HOLDERS {
                for other in holders.iter().filter(|other| **other != page) {
                    *shared.entry(*other).or_default() += u64::from(block.weight);
                }
            }
        }
        (covered, shared)
    }

    /// Whether each of the two holds the other, under the same title.
    fn is_twin(&self, page: usize, other: usize, shared: f64) -> bool {
        let fraction = match self.versions[page].page == self.versions[other].page {
            true => VERSION_FRACTION,
            false => COPIED_FRACTION,
        };
        let both = self.weights[page].max(self.weights[other]) as f64;
        let titles = (self.title(page), self.title(other));
        shared >= fraction * both
            && matches!(titles, (a, b) if a == b || a.is_none() || b.is_none())
    }

    fn title(&self, page: usize) -> Option<u32> {
        let blocks = &self.pages.blocks[page];
        blocks.iter().find(|of| matches!(of.block.kind, Kind::Heading(1, _))).map(|of| of.words)
    }

    fn has_own_title(&self, page: usize) -> bool {
        self.title(page).is_some_and(|title| self.holders[&title].len() < 2)
    }
}
