//! BM25 over records, as a run.

use crate::bm25::{Bm25, Bm25Parameters};
use crate::retriever::Retriever;
use crate::top::Scored;
use whetstone_records::{Hit, Language, Passage, Query, Run};

/// Returns the best `depth` passages of every query by BM25 with the default parameters. There are
/// fewer where fewer share a word with it. The passages may come in any order.
///
/// ```
/// use whetstone_records::{Language, Passage, Query};
///
/// let json = r#"{"_id": "p1", "title": "Valves", "text": "A red valve stops the water."}"#;
/// let passages: Vec<Passage> = vec![serde_json::from_str(json)?];
/// let queries: Vec<Query> = vec![serde_json::from_str(r#"{"_id": "q1", "text": "red valves"}"#)?];
/// let run = whetstone_retrieve::bm25_run(&passages, &queries, 100, Language::English);
/// assert_eq!(run.get("q1").unwrap()[0].passage.as_str(), "p1");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn bm25_run(passages: &[Passage], queries: &[Query], depth: usize, language: Language) -> Run {
    // Ties break by place, so the places must follow the ids.
    let mut order: Vec<&Passage> = passages.iter().collect();
    order.sort_by(|a, b| a.id.cmp(&b.id));
    let texts: Vec<String> = order.iter().map(|passage| passage.full_text()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let questions: Vec<&str> = queries.iter().map(|query| query.text.as_str()).collect();
    let index = Bm25::build(&texts, &questions, Bm25Parameters::default(), language);
    let hit = |scored: &Scored| Hit {
        passage: order[scored.passage as usize].id.clone(),
        score: scored.score,
    };
    let rankings = queries.iter().zip(index.search(0..queries.len(), depth));
    let mut run = Run::default();
    for (query, ranking) in rankings {
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
        let run = bm25_run(&passages, &queries, 10, Language::English);
        let found = |query: &str| {
            run.get(query).unwrap().iter().map(|hit| hit.passage.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(
            (found("q"), found("r"), found("s")),
            (vec!["p2", "p3"], vec!["p1", "p3"], vec![])
        );
        passages.reverse();
        assert_eq!(bm25_run(&passages, &queries, 10, Language::English), run);
        assert_eq!(bm25_run(&passages, &queries, 1, Language::English).get("q").unwrap().len(), 1);
    }
}
