use super::miner::Miner;
use super::top::{Scored, Top};
use bm25::{DefaultTokenizer, Language, Tokenizer};
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;

/// Passages whose tokens are held as strings at one time.
const TOKENIZE_BLOCK: usize = 4096;

/// Robertson and Zaragoza's BM25 (The Probabilistic Relevance Framework, 2009) with Lucene's idf,
/// which is never negative: the sum over query terms of `ln(1 + (N − n + 0.5) / (n + 0.5)) · tf ·
/// (k1 + 1) / (tf + k1 · (1 − b + b · length / mean length))`.
///
/// Tokens come from the `bm25` crate. Its own scorer looks through every token of every matching
/// passage and orders ties by chance, hence the posting lists here.
pub struct Bm25 {
    /// Postings of term t: `passages[starts[t]..starts[t + 1]]`, in order of passages, and their
    /// weights beside them.
    starts: Vec<usize>,
    passages: Vec<u32>,
    /// Complete share of the term in the passage's score.
    weights: Vec<f32>,
    passage_count: usize,
    /// Terms of every query; those that no passage has are left out, repeated ones stay.
    queries: Vec<Vec<u32>>,
}

/// The two parameters of BM25.
#[derive(Clone, Copy, Debug)]
pub struct Bm25Parameters {
    /// Where the weight of a repeated term saturates.
    pub k1: f32,
    /// How much long passages are held back, in 0..=1.
    pub b: f32,
}

impl Bm25 {
    /// Indexes the passages and the queries, cut into words, without stop words, stemmed.
    pub fn build(passages: &[&str], queries: &[&str], parameters: Bm25Parameters) -> Self {
        let tokenizer = DefaultTokenizer::new(Language::English);
        Self::from_tokens(passages, queries, parameters, |text| {
            tokenizer.tokenize(&part_identifiers(text))
        })
    }

    fn from_tokens(
        passages: &[&str],
        queries: &[&str],
        parameters: Bm25Parameters,
        tokenize: impl Fn(&str) -> Vec<String> + Sync,
    ) -> Self {
        let mut terms: HashMap<String, u32> = HashMap::new();
        let mut counts: Vec<Vec<(u32, u32)>> = Vec::with_capacity(passages.len());
        let mut lengths: Vec<u32> = Vec::with_capacity(passages.len());
        for block in passages.chunks(TOKENIZE_BLOCK) {
            let tokens: Vec<Vec<String>> = block.par_iter().map(|text| tokenize(text)).collect();
            for tokens in tokens {
                lengths.push(tokens.len() as u32);
                counts.push(count_terms(tokens, &mut terms));
            }
        }
        let queries = queries
            .par_iter()
            .map(|text| {
                tokenize(text).iter().filter_map(|token| terms.get(token).copied()).collect()
            })
            .collect();
        let (starts, passages, frequencies) = invert(&counts, terms.len());
        let mut index =
            Self { starts, passages, weights: frequencies, passage_count: counts.len(), queries };
        index.weigh(&lengths, parameters);
        index
    }

    /// Turns term frequencies into shares of the score.
    fn weigh(&mut self, lengths: &[u32], Bm25Parameters { k1, b }: Bm25Parameters) {
        let total: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        let mean_length = (total as f64 / lengths.len().max(1) as f64).max(1e-9);
        let (k1, b, passage_count) = (f64::from(k1), f64::from(b), self.passage_count as f64);
        for term in 0..self.starts.len() - 1 {
            let postings = self.starts[term]..self.starts[term + 1];
            let matching = postings.len() as f64;
            let idf = (1.0 + (passage_count - matching + 0.5) / (matching + 0.5)).ln();
            for posting in postings {
                let frequency = f64::from(self.weights[posting]);
                let length = f64::from(lengths[self.passages[posting] as usize]);
                let saturation = frequency + k1 * (1.0 - b + b * length / mean_length);
                self.weights[posting] = (idf * frequency * (k1 + 1.0) / saturation) as f32;
            }
        }
    }

    fn postings(&self, term: u32) -> Range<usize> {
        self.starts[term as usize]..self.starts[term as usize + 1]
    }

    /// `scores` is all zero, one a passage, and is so again at the end.
    fn search_one(
        &self,
        query: usize,
        limit: usize,
        scores: &mut [f32],
        touched: &mut Vec<u32>,
    ) -> Vec<Scored> {
        for term in &self.queries[query] {
            for posting in self.postings(*term) {
                let passage = self.passages[posting];
                let score = &mut scores[passage as usize];
                if *score == 0.0 {
                    touched.push(passage);
                }
                *score += self.weights[posting];
            }
        }
        let mut top = Top::new(limit);
        for passage in touched.drain(..) {
            let score = std::mem::take(&mut scores[passage as usize]);
            if score >= top.threshold() {
                top.push(Scored { passage, score });
            }
        }
        top.into_ranking()
    }
}

impl Miner for Bm25 {
    fn name(&self) -> &'static str {
        "bm25"
    }

    fn search(&self, queries: Range<usize>, limit: usize) -> Vec<Vec<Scored>> {
        queries
            .into_par_iter()
            .map_init(
                || (vec![0.0; self.passage_count], Vec::new()),
                |(scores, touched), query| self.search_one(query, limit, scores, touched),
            )
            .collect()
    }

    fn score(&self, query: usize, passage: u32) -> f32 {
        // Added up in the order of `search_one`, for the same last bit.
        self.queries[query].iter().fold(0.0, |score, term| {
            let postings = self.postings(*term);
            match self.passages[postings.clone()].binary_search(&passage) {
                Ok(place) => score + self.weights[postings.start + place],
                Err(_) => score,
            }
        })
    }
}

/// Parts `snake_case` and `dotted.names`, which Unicode's word borders keep whole, so that a
/// question in plain words finds them; numbers such as `2.4.1` stay whole. nDCG@10 on CosQA
/// (questions about code): 0.360 instead of 0.318.
fn part_identifiers(text: &str) -> String {
    let mut parted = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut after_letter = false;
    while let Some(character) = characters.next() {
        let is_dot_in_name = character == '.'
            && after_letter
            && characters.peek().is_some_and(|next| next.is_alphabetic());
        parted.push(if character == '_' || is_dot_in_name { ' ' } else { character });
        after_letter = character.is_alphabetic();
    }
    parted
}

/// Returns each different term of a passage with how often it occurs; new terms get the next
/// number.
fn count_terms(tokens: Vec<String>, terms: &mut HashMap<String, u32>) -> Vec<(u32, u32)> {
    let mut numbers: Vec<u32> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let next = terms.len() as u32;
        numbers.push(*terms.entry(token).or_insert(next));
    }
    numbers.sort_unstable();
    numbers.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect()
}

/// Returns starts, passages and term frequencies of the posting lists.
fn invert(counts: &[Vec<(u32, u32)>], terms: usize) -> (Vec<usize>, Vec<u32>, Vec<f32>) {
    let mut starts = vec![0usize; terms + 1];
    for (term, _) in counts.iter().flatten() {
        starts[*term as usize + 1] += 1;
    }
    for term in 0..terms {
        starts[term + 1] += starts[term];
    }
    let mut next = starts.clone();
    let (mut passages, mut frequencies) = (vec![0u32; starts[terms]], vec![0f32; starts[terms]]);
    for (passage, counts) in counts.iter().enumerate() {
        for (term, count) in counts {
            let posting = &mut next[*term as usize];
            passages[*posting] = passage as u32;
            frequencies[*posting] = *count as f32;
            *posting += 1;
        }
    }
    (starts, passages, frequencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: Bm25Parameters = Bm25Parameters { k1: 0.9, b: 0.4 };
    const PASSAGES: [&str; 5] = [
        "The pump is primed before the first start of the day.",
        "Prime the pump. Pumps that are not primed run dry, and dry pumps fail.",
        "A valve closes when the pressure falls.",
        "The pressure of the pump is read at the valve.",
        "",
    ];

    #[test]
    fn a_passage_has_the_same_score_found_or_asked_for() {
        let queries =
            ["when is the pump primed", "valve pressure valve", "the of is", "unknown words"];
        let index = Bm25::build(&PASSAGES, &queries, PARAMETERS);
        for query in 0..queries.len() {
            let ranking = index.search(query..query + 1, 10).remove(0);
            for passage in 0..PASSAGES.len() as u32 {
                let found =
                    ranking.iter().find(|hit| hit.passage == passage).map_or(0.0, |hit| hit.score);
                assert_eq!(index.score(query, passage), found);
            }
        }
        assert_eq!(index.search(2..4, 10), vec![vec![], vec![]]);
    }

    #[test]
    fn scores_are_those_of_a_second_implementation() {
        #[derive(serde::Deserialize)]
        struct Oracle {
            about: About,
            passages: Vec<Vec<String>>,
            queries: Vec<OracleQuery>,
        }
        #[derive(serde::Deserialize)]
        struct About {
            k1: f32,
            b: f32,
            factor_to_classical: f32,
        }
        #[derive(serde::Deserialize)]
        struct OracleQuery {
            query: Vec<String>,
            scores: Vec<f32>,
        }
        // Scores are sums of a few f32.
        const TOLERANCE: f32 = 1e-5;

        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/bm25.json");
        let oracle: Oracle = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let passages: Vec<String> = oracle.passages.iter().map(|tokens| tokens.join(" ")).collect();
        let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
        let queries: Vec<String> =
            oracle.queries.iter().map(|query| query.query.join(" ")).collect();
        let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
        let parameters = Bm25Parameters { k1: oracle.about.k1, b: oracle.about.b };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let index = Bm25::from_tokens(&passages, &queries, parameters, words);
        for (query, expected) in oracle.queries.iter().enumerate() {
            for (passage, expected) in expected.scores.iter().enumerate() {
                let (score, expected) = (
                    index.score(query, passage as u32),
                    expected * oracle.about.factor_to_classical,
                );
                assert!(
                    (score - expected).abs() < TOLERANCE,
                    "query {query} passage {passage}: {score} {expected}"
                );
            }
        }
    }

    #[test]
    fn names_are_parted_and_numbers_are_not() {
        assert_eq!(
            part_identifiers("set self.max_size to 2.4.1. Then v2.x"),
            "set self max size to 2.4.1. Then v2.x"
        );
    }

    #[test]
    fn stems_match_and_a_block_of_queries_is_the_same_as_one_by_one() {
        let queries = ["priming pumps", "closing valves", "failing", "pressures"];
        let index = Bm25::build(&PASSAGES, &queries, PARAMETERS);
        let block = index.search(0..4, 3);
        assert_eq!(block[0][0].passage, 1);
        for (query, ranking) in block.iter().enumerate() {
            assert!(!ranking.is_empty());
            assert_eq!(*ranking, index.search(query..query + 1, 3)[0]);
        }
    }

    #[test]
    fn equal_passages_tie_and_the_later_id_comes_first() {
        let index = Bm25::build(&["red valve", "blue valve", "red valve"], &["red"], PARAMETERS);
        let ranking = index.search(0..1, 10).remove(0);
        assert_eq!(ranking.iter().map(|hit| hit.passage).collect::<Vec<_>>(), [2, 0]);
        assert_eq!(ranking[0].score, ranking[1].score);
    }
}
