//! Numbers for items, so that each is worked on once.

use std::collections::HashMap;
use std::hash::Hash;

/// Numbers equal items alike, in the order of first occurrence.
pub(crate) struct Numbering<T> {
    numbers: HashMap<T, usize>,
    pub items: Vec<T>,
}

impl<T> Default for Numbering<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), items: Vec::new() }
    }
}

impl<T: Copy + Eq + Hash> Numbering<T> {
    pub fn of(&mut self, item: T) -> usize {
        *self.numbers.entry(item).or_insert_with(|| {
            self.items.push(item);
            self.items.len() - 1
        })
    }
}
