use super::bm25::{Bm25, Bm25Parameters};
use super::miner::Miner;
use crate::config::MineConfig;
use whetstone_records::{Hit, Passage, Query, Run};

/// Returns the best `depth` passages of every query by BM25 with the default parameters of
/// `[mine]`; fewer where fewer share a word with it. Any collection will do; its passages come in
/// any order.
pub fn bm25_run(passages: &[Passage], queries: &[Query], depth: usize) -> Run {
    // The miner breaks ties by place, which must stand for the id.
    let mut order: Vec<&Passage> = passages.iter().collect();
    order.sort_by(|a, b| a.id.cmp(&b.id));
    let texts: Vec<String> = order.iter().map(|passage| passage.full_text()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let questions: Vec<&str> = queries.iter().map(|query| query.text.as_str()).collect();
    let defaults = MineConfig::default();
    let index = Bm25::build(
        &texts,
        &questions,
        Bm25Parameters { k1: defaults.bm25_k1, b: defaults.bm25_b },
    );
    let mut run = Run::default();
    for (query, ranking) in queries.iter().zip(index.search(0..queries.len(), depth)) {
        let hit = |scored: &super::top::Scored| Hit {
            passage: order[scored.passage as usize].id.clone(),
            score: scored.score,
        };
        run.insert(query.id.clone(), ranking.iter().map(hit).collect());
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_in_any_order_are_found_by_their_words() {
        let passage = |id: &str, text: &str| Passage {
            id: id.into(),
            title: String::new(),
            text: text.into(),
            metadata: Default::default(),
        };
        let query = |id: &str, text: &str| Query {
            id: id.into(),
            text: text.into(),
            metadata: Default::default(),
        };
        let mut passages = vec![
            passage("p2", "Oil the chain."),
            passage("p1", "The red valve."),
            passage("p3", "A red valve and a chain."),
        ];
        let queries = [query("q", "chains"), query("r", "valve"), query("s", "unheard of")];
        let run = bm25_run(&passages, &queries, 10);
        let found = |query: &str| {
            run.get(query).unwrap().iter().map(|hit| hit.passage.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(
            (found("q"), found("r"), found("s")),
            (vec!["p2", "p3"], vec!["p1", "p3"], vec![])
        );
        passages.reverse();
        assert_eq!(bm25_run(&passages, &queries, 10), run);
        assert_eq!(bm25_run(&passages, &queries, 1).get("q").unwrap().len(), 1);
    }
}
