//! Vectors of the tokens of texts, and how they are compared.

/// A vector of length 1 for each token of some texts.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenVectors {
    /// The length of a vector.
    pub width: usize,
    /// Those of the first text, then those of the next, row-major `[tokens, width]`.
    pub values: Vec<f32>,
    /// The first token of each text, then the number of tokens.
    pub starts: Vec<usize>,
}

impl TokenVectors {
    /// Joins the vectors of each text.
    pub(super) fn of(width: usize, texts: &[Vec<f32>]) -> Self {
        let mut starts = vec![0];
        let mut tokens = 0;
        for text in texts {
            tokens += text.len() / width;
            starts.push(tokens);
        }
        Self { width, values: texts.concat(), starts }
    }

    /// How many texts there are.
    pub fn texts(&self) -> usize {
        self.starts.len() - 1
    }

    /// The vectors of a text, row-major `[tokens, width]`.
    pub fn of_text(&self, text: usize) -> &[f32] {
        &self.values[self.starts[text] * self.width..self.starts[text + 1] * self.width]
    }
}

/// Returns the sum, over the tokens of a query, of the greatest dot product with a token of the
/// passage (Khattab and Zaharia 2020).
///
/// # Shapes
/// - query: `[query tokens, width]`
/// - passage: `[passage tokens, width]`
pub fn max_similarity(query: &[f32], passage: &[f32], width: usize) -> f32 {
    let best = |token: &[f32]| {
        let products = passage.chunks_exact(width).map(|other| dot(token, other));
        products.fold(f32::NEG_INFINITY, f32::max)
    };
    query.chunks_exact(width).map(best).sum()
}

/// Sums in eight lanes, which the compiler turns into vector instructions.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = std::iter::zip(a.remainder(), b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}
