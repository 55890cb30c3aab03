//! A run of another search among the retrievers, and a list without the bi-encoder.

use super::*;
use whetstone_model::DeviceName;
use whetstone_records::Hint;
use whetstone_retrieve::{RetrieverConfig, RunSettings};

/// A run that ranks, for every query of the fixture but those of document 0, its own passage first
/// and then the same part of the next documents.
fn own_search(fixture: &Fixture) -> String {
    let mut lines = String::new();
    for query in fixture.queries.iter().filter(|query| !query.id.as_str().starts_with("qd00")) {
        let (document, part) = place(&query.id.as_str()[1..]);
        for further in 0..8 {
            let passage = format!("d{:02}-{part}", (document + further) % 20);
            lines += &format!("{} Q0 {passage} {further} {} own\n", query.id, 100 - 10 * further);
        }
    }
    lines
}

/// `kind = "run"` over a file in `folder`.
fn own_source(folder: &Path, fraction: f64) -> Source {
    let settings = RunSettings { name: "own".into(), path: folder.join("own.run") };
    Source::new(RetrieverConfig::Run(settings), fraction)
}

#[test]
fn a_run_of_another_search_brings_its_share_and_what_it_misses_is_told() {
    let fixture = Fixture::new(20);
    let collection = fixture.collection(&SPLIT, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.run"), own_search(&fixture)).unwrap();
    let mut from = shares(0.4, 0.0);
    from.push(own_source(folder.path(), 0.4));
    let config = config(MineConfig { from, ..MineConfig::default() }, 1);
    let outcome =
        mine_with_embeddings(&collection, folder.path(), &config, (HIDDEN, &embed)).unwrap();
    assert_eq!(outcome.counts["own-queries-without-passages"], PASSAGES_PER_DOCUMENT as u64);
    assert_eq!(outcome.notes, ["`own` found nothing for 6 of 120 queries"]);
    let mut brought = 0;
    for (query, negatives) in negatives(folder.path()) {
        assert_eq!(negatives.len(), 5, "{query}");
        let own = negatives.iter().filter(|negative| negative.provenance.miner == "own");
        for negative in own {
            let distance = negative.provenance.rank.unwrap() - 1;
            assert_eq!(negative.provenance.score, Some(100.0 - 10.0 * distance as f32));
            brought += 1;
        }
    }
    assert_eq!(brought, outcome.counts["negatives-own"]);
    assert!(brought > 100, "{brought}");
    // It cannot score what only the others found, so that its run holds its own passages alone.
    let mined = std::fs::read_to_string(folder.path().join("mined/own.run")).unwrap();
    assert!(mined.lines().all(|line| line.ends_with(" own")));
    assert_eq!(mined.lines().count(), 8 * (120 - PASSAGES_PER_DOCUMENT));
}

#[test]
fn a_positive_that_a_run_does_not_rank_stands_below_all_that_it_ranks() {
    let fixture = Fixture::new(20);
    let collection = fixture.collection(&SPLIT, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let is_other = |line: &&str| {
        let (query, passage) = line.split_once(" Q0 ").unwrap();
        !passage.starts_with(&query[1..])
    };
    let run = own_search(&fixture);
    let others: Vec<&str> = run.lines().filter(is_other).collect();
    std::fs::write(folder.path().join("own.run"), others.join("\n")).unwrap();
    let mine = |relative_margin| {
        let from = vec![own_source(folder.path(), 1.0)];
        let config = MineConfig { from, relative_margin, ..MineConfig::default() };
        mine_fixture(&collection, folder.path(), &config, 1)
    };
    assert!(!mine(0.05).contains_key("negatives-own"));
    assert!(mine(-10.0)["negatives-own"] > 0);
}

#[test]
fn limits_of_a_retrievers_score_hold_whoever_found_the_passage() {
    let fixture = Fixture::new(20);
    let collection = fixture.collection(&SPLIT, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.run"), own_search(&fixture)).unwrap();
    let mut from = shares(0.8, 0.0);
    from.push(Source { max_score: Some(55.0), ..own_source(folder.path(), 0.0) });
    let config = MineConfig { from, ..MineConfig::default() };
    let counts = mine_fixture(&collection, folder.path(), &config, 1);
    assert!(counts["bm25-dropped-max-score"] > 0 && counts["own-dropped-max-score"] > 0);
    let own = Run::read(&folder.path().join("mined/own.run")).unwrap();
    let mut scored = 0;
    for negative in negatives(folder.path()).values().flatten() {
        let ranking = own.get(negative.query_id.as_str()).unwrap_or_default();
        let hit = ranking.iter().find(|hit| hit.passage == negative.passage_id);
        if let Some(hit) = hit.filter(|_| negative.provenance.miner != "random") {
            assert!(hit.score <= 55.0, "{negative:?}");
            scored += 1;
        }
    }
    assert!(scored > 0);
}

#[test]
fn without_the_bi_encoder_no_model_is_needed_and_its_files_are_gone() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-encoder");
    let folder = tempfile::tempdir().unwrap();
    let (out, fixture) = (folder.path(), Fixture::new(10));
    fixture.write(out);
    let run = |mine: MineConfig, model: &Path| {
        let config = config(mine, 1);
        super::super::mine(
            &MineJob { out, config: &config, model, placement: DeviceName::Cpu.into() },
            &Silent,
        )
    };
    run(MineConfig::default(), &model).unwrap();
    assert!(out.join("mined/dense.run").exists() && out.join("mined/pairs/dense.run").exists());
    let from = vec![shares(0.8, 0.0).remove(0), own_source(out, 0.2)];
    let mine = MineConfig { from, ..MineConfig::default() };

    let error = run(mine.clone(), Path::new("/nowhere")).unwrap_err();
    assert!(error.to_string().contains("own.run` of the retriever `own` is not there"), "{error}");
    assert!(error.hint().unwrap().contains("after `whetstone ask`"), "{error}");

    std::fs::write(out.join("own.run"), "qd03-1 Q0 d04-1 1 2 own\n").unwrap();
    let manifest = run(mine.clone(), Path::new("/nowhere")).unwrap();
    assert!(manifest.inputs.contains_key("run/own"));
    assert!(!out.join("mined/dense.run").exists() && !out.join("mined/pairs/dense.run").exists());
    assert!(run(mine.clone(), Path::new("/nowhere")).unwrap().up_to_date);
    std::fs::write(out.join("own.run"), "qd03-1 Q0 d04-2 1 2 own\n").unwrap();
    assert!(!run(mine, Path::new("/nowhere")).unwrap().up_to_date, "another run is mined again");
}
