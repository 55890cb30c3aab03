//! A late interaction among the retrievers, over what BM25 finds and over all passages.

use super::*;
use whetstone_retrieve::{LateInteractionSettings, RetrieverConfig};

fn source(keys: &str) -> Source {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/tiny-colbert");
    let settings: LateInteractionSettings =
        toml::from_str(&format!("model = '{model}'\n{keys}")).unwrap();
    Source::new(RetrieverConfig::LateInteraction(settings), 0.2)
}

#[test]
fn a_late_interaction_mines_all_passages_or_what_another_retriever_found() {
    let collection = Fixture::new(20).collection(&SPLIT, 1).unwrap();
    let mut from = shares(0.2, 0.0);
    from.truncate(1);
    from.push(source(""));
    from.push(source("name = 'late-bm25'\ncandidates = { kind = 'bm25' }"));
    // Scores of a random model lie close together, nearer than the margin of a real one.
    let config = MineConfig { from, rank_max: 20, relative_margin: -10.0, ..MineConfig::default() };
    config.check().unwrap();
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<MineConfig>(&written).unwrap(), config);
    let folder = tempfile::tempdir().unwrap();
    let counts = mine_fixture(&collection, folder.path(), &config, 1);
    assert!(counts["negatives-late-interaction"] > 0 && counts["negatives-late-bm25"] > 0);
    let run = |name: &str| Run::read(&folder.path().join(format!("mined/{name}.run"))).unwrap();
    let (all, reordered, bm25) = (run("late-interaction"), run("late-bm25"), run("bm25"));
    let mut as_bm25 = 0;
    for (query, hits) in bm25.iter() {
        let score = |run: &Run, passage: &str| {
            let hit = run.get(query.as_str()).unwrap().iter();
            hit.clone().find(|hit| hit.passage.as_str() == passage).map(|hit| hit.score)
        };
        // Both know the score of what BM25 found, and give the same.
        for hit in hits.iter().take(5) {
            let passage = hit.passage.as_str();
            assert_eq!(score(&all, passage), score(&reordered, passage));
        }
        let first = |run: &Run| run.get(query.as_str()).unwrap()[0].passage.clone();
        as_bm25 += usize::from(first(&reordered) == first(&bm25));
    }
    assert!(as_bm25 < bm25.len(), "it never changed BM25's first");
    for name in ["late-interaction", "late-bm25"] {
        assert!(folder.path().join("mined/embeddings").join(name).is_dir());
    }
}
