//! The input of a network.

/// A batch of sequences without padding, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// Token ids, `[tokens]`.
    pub ids: Vec<u32>,
    /// 0 for the query, 1 for the passage, `[tokens]`.
    pub types: Vec<u32>,
    /// First token of each sequence, then the total number of tokens.
    pub starts: Vec<usize>,
    /// How many tokens of each sequence, from its first on, attention sees; None: all of them. The
    /// others see those, and nobody sees them.
    pub seen: Option<Vec<usize>>,
    /// What a late interaction compares; None where each sequence is a pair.
    pub compared: Option<Compared>,
}

/// The pairs of a batch whose sequences are texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// The sequences of each pair: its query's and its passage's.
    pub pairs: Vec<[usize; 2]>,
    /// Whether a token of a passage matches nothing, `[tokens]`.
    pub skipped: Vec<bool>,
}

impl Default for Packed {
    fn default() -> Self {
        Self { ids: Vec::new(), types: Vec::new(), starts: vec![0], seen: None, compared: None }
    }
}

impl Packed {
    pub(crate) fn push(&mut self, ids: &[u32], token_type: u32) {
        self.ids.extend(ids);
        self.types.resize(self.ids.len(), token_type);
    }

    /// Puts a token of the first type into the last sequence.
    pub(crate) fn insert(&mut self, place: usize, id: u32) {
        self.ids.insert(place, id);
        self.types.insert(place, 0);
        self.end_last_sequence();
    }

    /// Adds tokens of the first type to the last sequence.
    pub(crate) fn lengthen(&mut self, ids: &[u32]) {
        self.push(ids, 0);
        self.end_last_sequence();
    }

    fn end_last_sequence(&mut self) {
        *self.starts.last_mut().expect("it starts with 0") = self.ids.len();
    }

    pub(crate) fn end_sequence(&mut self) {
        self.starts.push(self.ids.len());
    }

    /// How many sequences there are.
    pub fn sequences(&self) -> usize {
        self.starts.len() - 1
    }

    /// How many tokens there are.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The length of the longest sequence.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}
