//! Checks `mine` on a small data set with a stand-in for the bi-encoder.

mod late_interaction;
mod run_file;

use super::*;
use crate::config::{SameDocument, Sampling, Source, SplitConfig};
use crate::fixture::{Fixture, HIDDEN, PASSAGES_PER_DOCUMENT, embed};
use std::collections::{BTreeMap, BTreeSet};
use whetstone_model::DeviceName;
use whetstone_records::{Hit, Place, Run, Silent, read_jsonl};

const SPLIT: SplitConfig = SplitConfig { dev_fraction: 0.2, test_fraction: 0.2 };

fn config(mine: MineConfig, seed: u64) -> SynthConfig {
    SynthConfig { seed, split: SPLIT, mine, ..SynthConfig::default() }
}

/// BM25 and the bi-encoder with these shares.
fn shares(bm25: f64, dense: f64) -> Vec<Source> {
    let mut from = MineConfig::default().from;
    (from[0].fraction, from[1].fraction) = (bm25, dense);
    from
}

/// Mines a fixture with the stand-in encoder into a folder.
fn mine_fixture(collection: &Collection, out: &Path, mine: &MineConfig, seed: u64) -> Counts {
    let config = config(mine.clone(), seed);
    mine_with_embeddings(collection, out, &config, (HIDDEN, &embed)).unwrap().counts
}

fn negatives(out: &Path) -> BTreeMap<String, Vec<Negative>> {
    let mut of_query: BTreeMap<String, Vec<Negative>> = BTreeMap::new();
    for negative in read_jsonl::<Negative>(&out.join("negatives.jsonl")).unwrap() {
        of_query.entry(negative.query_id.to_string()).or_default().push(negative);
    }
    of_query
}

/// The document and the place in it, from `d03-2`.
fn place(passage: &str) -> (usize, usize) {
    let (document, part) = passage[1..].split_once('-').unwrap();
    (document.parse().unwrap(), part.parse().unwrap())
}

#[test]
fn every_guard_holds_for_every_negative() {
    let collection = Fixture::new(20).collection(&SPLIT, 1).unwrap();
    for same_document in [SameDocument::AllowFar, SameDocument::Exclude] {
        for sampling in [Sampling::Top, Sampling::Random] {
            let folder = tempfile::tempdir().unwrap();
            let config =
                MineConfig { same_document, sampling, rank_max: 60, ..MineConfig::default() };
            mine_fixture(&collection, folder.path(), &config, 1);
            let runs = ["bm25", "dense"].map(|name| {
                (name, Run::read(&folder.path().join(format!("mined/{name}.run"))).unwrap())
            });
            let negatives = negatives(folder.path());
            assert_eq!(negatives.len(), collection.queries_of(Split::Train).len());
            let mut far = 0;
            for (query, negatives) in negatives {
                assert_eq!(negatives.len(), config.negatives, "{query}");
                let different: BTreeSet<&str> =
                    negatives.iter().map(|negative| negative.passage_id.as_str()).collect();
                assert_eq!(different.len(), negatives.len(), "{query}");
                let (document, part) = place(&query[1..]);
                for negative in &negatives {
                    let (other, other_part) = place(negative.passage_id.as_str());
                    let passage = collection.passage(&negative.passage_id).unwrap();
                    assert_eq!(collection.passage_split(passage), Split::Train);
                    if other == document {
                        assert_eq!(same_document, SameDocument::AllowFar);
                        // 1 apart: they overlap. 2 apart: nothing begins between them.
                        assert!(part.abs_diff(other_part) >= 3, "{query} {other_part}");
                        far += 1;
                    }
                    let Some((_, run)) =
                        runs.iter().find(|(name, _)| negative.provenance.miner == *name)
                    else {
                        assert_eq!(negative.provenance.miner, "random");
                        continue;
                    };
                    let ranking = run.get(&query).unwrap();
                    let score = |id: &str| {
                        ranking.iter().find(|hit| hit.passage.as_str() == id).map(|hit| hit.score)
                    };
                    assert_eq!(negative.provenance.score, score(negative.passage_id.as_str()));
                    if let Some(positive) = score(&query[1..]) {
                        assert!(negative.provenance.score.unwrap() <= positive * 0.95);
                    }
                }
            }
            assert_eq!(far > 0, same_document == SameDocument::AllowFar);
        }
    }
}

#[test]
fn shares_are_kept_and_what_a_retriever_lacks_the_others_bring() {
    let collection = Fixture::new(20).collection(&SPLIT, 1).unwrap();
    let queries = collection.queries_of(Split::Train).len() as u64;
    let folder = tempfile::tempdir().unwrap();
    let counts = mine_fixture(&collection, folder.path(), &MineConfig::default(), 1);
    assert_eq!(counts["negatives-bm25"], 2 * queries);
    assert_eq!(counts["negatives-random"], queries);
    assert!(!counts.contains_key("negatives-missing"));

    // The one passage that a retriever may bring is most often the positive.
    let config = MineConfig { rank_max: 1, from: shares(0.6, 0.4), ..MineConfig::default() };
    let counts = mine_fixture(&collection, folder.path(), &config, 1);
    assert!(counts["bm25-dropped-positive"] > queries / 2);
    assert!(counts["negatives-filled-from-random"] > 3 * queries);
    let total: u64 = ["bm25", "dense", "random"]
        .iter()
        .filter_map(|miner| counts.get(&format!("negatives-{miner}")))
        .sum();
    assert_eq!(total, 5 * queries);
}

#[test]
fn top_sampling_takes_the_best_ranked_after_rank_min() {
    let collection = Fixture::new(20).collection(&SPLIT, 1).unwrap();
    let config =
        MineConfig { sampling: Sampling::Top, from: shares(1.0, 0.0), ..MineConfig::default() };
    let ranks = |rank_min: usize| {
        let folder = tempfile::tempdir().unwrap();
        mine_fixture(&collection, folder.path(), &MineConfig { rank_min, ..config.clone() }, 1);
        let ranks = |negatives: &Vec<Negative>| {
            negatives.iter().filter_map(|negative| negative.provenance.rank).collect()
        };
        negatives(folder.path()).values().map(ranks).collect::<Vec<Vec<u32>>>()
    };
    for (all, skipped) in ranks(0).into_iter().zip(ranks(2)) {
        assert!(all.is_sorted());
        assert_eq!(all[2..], skipped[..3]);
    }
}

#[test]
fn a_copy_of_the_positive_or_of_a_held_out_passage_is_no_negative() {
    let mut fixture = Fixture::new(20);
    let split = fixture.collection(&SPLIT, 1).unwrap();
    let of_split = |wanted: Split| {
        let mut passages = 0..split.passages.len() as u32;
        passages.find(|passage| split.passage_split(*passage) == wanted).unwrap() as usize
    };
    // The last document in training gets copies of a training passage and of a test passage.
    let copies = (0..split.passages.len())
        .rev()
        .filter(|at| split.passage_split(*at as u32) == Split::Train);
    let copies: Vec<usize> = copies.take(2).collect();
    fixture.passages[copies[0]].text =
        split.passages[of_split(Split::Train)].text.to_uppercase().replace(' ', "\n ");
    fixture.passages[copies[1]].text = split.passages[of_split(Split::Test)].text.clone();
    let collection = fixture.collection(&SPLIT, 1).unwrap();
    let guard = Guard::new(&collection, SameDocument::AllowFar);
    let positive = of_split(Split::Train) as u32;
    assert_eq!(guard.refuse(&[positive], copies[0] as u32), Some(guard::Refusal::Duplicate));
    assert_eq!(guard.refuse(&[positive], copies[1] as u32), Some(guard::Refusal::HeldOut));
    assert_eq!(guard.refuse(&[positive], copies[0] as u32 - PASSAGES_PER_DOCUMENT as u32), None);
}

#[test]
fn what_stands_beside_a_positive_in_any_of_its_places_is_no_negative() {
    let mut fixture = Fixture::new(6);
    let at = |document: &str, start: usize| Place {
        document: document.into(),
        title: String::new(),
        span: (start, start + 110),
    };
    let passage = fixture.passages.iter_mut().find(|one| one.id.as_str() == "d01-0").unwrap();
    passage.metadata.places = vec![at("d01.md", 0), at("d04.md", 1000)];
    let split = SplitConfig { dev_fraction: 0.0, test_fraction: 0.0 };
    let collection = fixture.collection(&split, 1).unwrap();
    let place = |id: &str| collection.passage(&id.into()).unwrap();
    let guard = Guard::new(&collection, SameDocument::AllowFar);
    let refuse = |passage: &str| guard.refuse(&[place("d01-0")], place(passage));
    assert_eq!(refuse("d01-1"), Some(guard::Refusal::Overlap));
    assert_eq!(refuse("d04-5"), Some(guard::Refusal::SameDocument));
    assert_eq!((refuse("d04-1"), refuse("d02-0")), (None, None));
    let guard = Guard::new(&collection, SameDocument::Exclude);
    assert_eq!(guard.refuse(&[place("d01-0")], place("d04-1")), Some(guard::Refusal::SameDocument));
}

#[test]
fn both_runs_score_the_same_passages_for_every_query() {
    let collection = Fixture::new(20).collection(&SPLIT, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    mine_fixture(
        &collection,
        folder.path(),
        &MineConfig { rank_max: 7, ..MineConfig::default() },
        1,
    );
    let wanted: BTreeSet<&str> = collection.queries.iter().map(|query| query.id.as_str()).collect();
    let [bm25, dense] = ["bm25", "dense"].map(|name| {
        Found::read(&folder.path().join(format!("mined/{name}.run")), &wanted).unwrap()
    });
    assert_eq!(bm25.scored.len(), collection.queries.len());
    let passages =
        |hits: &[Hit]| hits.iter().map(|hit| hit.passage.clone()).collect::<BTreeSet<_>>();
    for (query, hits) in bm25.scored.iter() {
        assert_eq!(passages(hits), passages(dense.scored.get(query.as_str()).unwrap()));
        for found in [&bm25, &dense] {
            let own = found.own.get(query.as_str()).unwrap();
            assert_eq!(own, &found.scored.get(query.as_str()).unwrap()[..7]);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_does_not() {
    let collection = Fixture::new(20).collection(&SPLIT, 1).unwrap();
    let bytes = |seed: u64| {
        let folder = tempfile::tempdir().unwrap();
        mine_fixture(&collection, folder.path(), &MineConfig::default(), seed);
        files::outputs(&MineConfig::default())
            .iter()
            .map(|output| std::fs::read(folder.path().join(output)).unwrap())
            .collect::<Vec<_>>()
    };
    let first = bytes(1);
    assert!(first == bytes(1));
    assert!(first[2] != bytes(2)[2]);
}

#[test]
fn the_stage_resumes_from_embedding_shards_and_is_then_up_to_date() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-encoder");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    Fixture::new(10).write(out);
    let config = config(MineConfig::default(), 1);
    let job = MineJob { out, config: &config, model: &model, placement: DeviceName::Cpu.into() };
    let run = || mine(&job, &Silent).unwrap();
    let names = files::outputs(&config.mine);
    let outputs = || -> Vec<Vec<u8>> {
        names.iter().map(|output| std::fs::read(out.join(output)).unwrap()).collect()
    };
    assert!(!run().up_to_date);
    let first = outputs();
    assert!(run().up_to_date);

    // As a killed run leaves it: shards, but no output and no manifest.
    names.iter().for_each(|output| std::fs::remove_file(out.join(output)).unwrap());
    std::fs::remove_file(out.join("manifests/mine.json")).unwrap();
    let shard = out.join("mined/embeddings/passages-00000.safetensors");
    let written = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let before = written(&shard);
    assert!(!run().up_to_date);
    assert_eq!(written(&shard), before);
    assert!(outputs() == first);

    if Precision::Bf16.is_supported() {
        let placement = Placement { precision: Precision::Bf16, ..job.placement };
        let rounded = mine(&MineJob { placement, ..job }, &Silent).unwrap();
        assert!(!rounded.up_to_date, "it would keep vectors of another precision");
        assert_eq!(rounded.notes.last().unwrap(), "embedded on device cpu in bf16");
        assert_ne!(written(&shard), before);
    }
}
