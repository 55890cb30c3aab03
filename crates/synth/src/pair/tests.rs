//! Checks `pair` on a small data set that was mined with a stand-in for the bi-encoder.

mod places;
mod teacher;

use super::*;
use crate::config::{PairConfig, Source, SplitConfig, Teacher};
use crate::fixture::{Fixture, HIDDEN, PASSAGES_PER_DOCUMENT, Rewriting, embed};
use crate::mine::mine_with_embeddings;
use std::collections::HashMap;
use std::fs;
use tempfile::TempDir;
use whetstone_records::{Hint, Pair, Passage, PassageId, Place, Run, Silent};
use whetstone_retrieve::{RetrieverConfig, RunSettings};

const SPLIT: SplitConfig = SplitConfig { dev_fraction: 0.2, test_fraction: 0.2 };

fn config_of(split: &SplitConfig, seed: u64) -> SynthConfig {
    SynthConfig { seed, split: split.clone(), ..SynthConfig::default() }
}

/// A folder in which everything before `pair` is done.
fn mined(fixture: &Fixture, split: &SplitConfig, seed: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    mine_into(&folder, fixture, &config_of(split, seed));
    folder
}

fn mine_into(folder: &TempDir, fixture: &Fixture, config: &SynthConfig) {
    fixture.write(folder.path());
    let collection = fixture.collection(&config.split, config.seed).unwrap();
    mine_with_embeddings(&collection, folder.path(), config, (HIDDEN, &embed)).unwrap();
}

/// Pairs without a model.
fn pair(out: &Path, config: &SynthConfig, progress: &dyn Progress) -> Result<Manifest> {
    let placement = Placement::default();
    super::pair(&PairJob { out, config, teacher: None, placement }, progress)
}

fn run_pair(
    folder: &TempDir,
    config: &PairConfig,
    split: &SplitConfig,
    seed: u64,
) -> Result<Manifest> {
    let config = SynthConfig { pair: config.clone(), ..config_of(split, seed) };
    pair(folder.path(), &config, &Silent)
}

fn pairs(folder: &TempDir, name: &str) -> Vec<Pair> {
    read_jsonl(&folder.path().join(name)).unwrap()
}

/// The documents of the relevant passages in a qrels file.
fn judged_documents(
    folder: &TempDir,
    split: &str,
    document: &HashMap<String, String>,
) -> BTreeSet<String> {
    let qrels = Qrels::read(&folder.path().join(format!("qrels/{split}.tsv"))).unwrap();
    let passages = qrels.iter().flat_map(|(_, grades)| grades).filter(|(_, grade)| **grade > 0);
    passages.map(|(passage, _)| document[passage.as_str()].clone()).collect()
}

#[test]
fn split_never_shares_a_document() {
    let fixtures = [
        Fixture::new(20),
        Fixture::new(20).with_human_question("h1", &[3, 4]).with_human_question("h2", &[5]),
    ];
    for (fixture, seed) in
        fixtures.iter().flat_map(|fixture| (0..8).map(move |seed| (fixture, seed)))
    {
        let folder = mined(fixture, &SPLIT, seed);
        run_pair(&folder, &PairConfig::default(), &SPLIT, seed).unwrap();
        let of = |passage: &Passage| (passage.id.to_string(), passage.document().to_string());
        let document: HashMap<String, String> = fixture.passages.iter().map(of).collect();
        let train: BTreeSet<String> = pairs(&folder, "train.jsonl")
            .iter()
            .map(|pair| document[pair.passage_id.as_str()].clone())
            .collect();
        let [dev, test] = ["dev", "test"].map(|split| judged_documents(&folder, split, &document));
        assert!(!train.is_empty() && !dev.is_empty() && !test.is_empty());
        assert!(train.is_disjoint(&dev) && train.is_disjoint(&test) && dev.is_disjoint(&test));
    }
}

#[test]
fn a_passage_of_a_test_document_among_the_negatives_is_refused() {
    let fixture = Fixture::new(20);
    let folder = mined(&fixture, &SPLIT, 1);
    let collection = fixture.collection(&SPLIT, 1).unwrap();
    let path = folder.path().join("negatives.jsonl");
    let mut negatives: Vec<Negative> = read_jsonl(&path).unwrap();
    let test_query = collection.queries_of(Split::Test)[0];
    let passage = collection.positives[test_query][0].0;
    negatives[0].passage_id = collection.passages[passage as usize].id.clone();
    write_jsonl(&path, &negatives).unwrap();
    let error = run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap_err();
    assert!(matches!(&error, Error::SharedDocument { one: "train", other: "test", .. }), "{error}");
    assert!(error.hint().is_some());
    assert!(!folder.path().join("train.jsonl").exists());
}

#[test]
fn negatives_of_another_split_or_that_are_relevant_are_refused() {
    let fixture = Fixture::new(20);
    let folder = mined(&fixture, &SPLIT, 1);
    let error = run_pair(&folder, &PairConfig::default(), &SPLIT, 2).unwrap_err();
    assert!(matches!(error, Error::StaleNegative { .. } | Error::SharedDocument { .. }), "{error}");

    let path = folder.path().join("negatives.jsonl");
    let mut negatives: Vec<Negative> = read_jsonl(&path).unwrap();
    negatives[0].passage_id = negatives[0].query_id.as_str()[1..].into();
    write_jsonl(&path, &negatives).unwrap();
    let error = run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap_err();
    assert!(matches!(error, Error::StaleNegative { .. }), "{error}");
}

#[test]
fn a_group_is_one_querys_positive_and_then_its_negatives() {
    let fixture = Fixture::new(20);
    let folder = mined(&fixture, &SPLIT, 1);
    let manifest = run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap();
    let train = pairs(&folder, "train.jsonl");
    let groups: Vec<&[Pair]> = train.chunk_by(|a, b| a.query_id == b.query_id).collect();
    let queries: BTreeSet<&QueryId> = groups.iter().map(|group| &group[0].query_id).collect();
    assert_eq!(groups.len(), queries.len());
    assert_eq!(manifest.counts["train-queries-used"], groups.len() as u64);
    for group in groups {
        let labels: Vec<f32> = group.iter().map(|pair| pair.label).collect();
        assert_eq!(labels, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(group[0].passage_id.as_str(), &group[0].query_id.as_str()[1..]);
        assert!(group[0].passage.starts_with("Pumps The pump"));
        let query = fixture.queries.iter().find(|query| query.id == group[0].query_id).unwrap();
        assert!(group.iter().all(|pair| pair.query_metadata.as_ref() == Some(&query.metadata)));
    }
}

#[test]
fn candidates_are_what_both_retrievers_found_and_the_baselines_score_the_same_list() {
    let fixture = Fixture::new(20).with_human_question("h1", &[3, 4]);
    let folder = mined(&fixture, &SPLIT, 1);
    let config = PairConfig { depth: 12, ..PairConfig::default() };
    let manifest = run_pair(&folder, &config, &SPLIT, 1).unwrap();
    let [candidates, bm25, dense, mined] =
        ["candidates.run", "runs/bm25.run", "runs/dense.run", "mined/bm25.run"]
            .map(|run| Run::read(&folder.path().join(run)).unwrap());
    let passages = |run: &Run| {
        let passages: BTreeSet<_> =
            run.get("h1").unwrap().iter().map(|hit| hit.passage.clone()).collect();
        assert_eq!(passages.len(), 12);
        passages
    };
    assert!(passages(&candidates) == passages(&bm25) && passages(&candidates) == passages(&dense));
    assert!(bm25.get("h1").unwrap().iter().all(|hit| mined.get("h1").unwrap().contains(hit)));

    // Grades 2 and 1 of the one human question; its documents' generated queries are gone.
    assert_eq!((candidates.len(), manifest.counts["generated-test-queries-dropped"]), (1, 12));
    let test = pairs(&folder, "test.jsonl");
    let order: Vec<_> =
        candidates.get("h1").unwrap().iter().map(|hit| hit.passage.clone()).collect();
    assert_eq!(test.iter().map(|pair| pair.passage_id.clone()).collect::<Vec<_>>(), order);
    for pair in test {
        let label = match pair.passage_id.as_str() {
            "d03-0" => 1.0,
            "d04-0" => 0.5,
            _ => 0.0,
        };
        assert_eq!(pair.label, label);
    }
    // A generated query's only grade is 1, whatever the humans' highest is.
    assert!(
        pairs(&folder, "train.jsonl").iter().all(|pair| pair.label == 0.0 || pair.label == 1.0)
    );
    assert_eq!(manifest.counts["test-positives"], 2);
}

#[test]
fn limits_keep_whole_queries() {
    let fixture = Fixture::new(20);
    let folder = mined(&fixture, &SPLIT, 1);
    let config = PairConfig {
        max_pairs: 60,
        max_dev_queries: 5,
        max_test_queries: 7,
        ..PairConfig::default()
    };
    let manifest = run_pair(&folder, &config, &SPLIT, 1).unwrap();
    let used = |name: &str| manifest.counts[name];
    assert_eq!(used("train-pairs"), 60);
    assert_eq!(
        [used("train-queries-used"), used("dev-queries-used"), used("test-queries-used")],
        [10, 5, 7]
    );
    assert_eq!(Qrels::read(&folder.path().join("qrels/dev.tsv")).unwrap().len(), 5);
}

#[test]
fn a_collection_whose_passages_name_no_document_works_without_a_test() {
    let mut fixture = Fixture::new(20);
    fixture.passages.iter_mut().for_each(|passage| passage.metadata = Default::default());
    let split = SplitConfig { dev_fraction: 0.05, test_fraction: 0.0 };
    let folder = mined(&fixture, &split, 1);
    let manifest = run_pair(&folder, &PairConfig::default(), &split, 1).unwrap();
    assert_eq!(manifest.counts["dev-documents"], 6);
    assert_eq!(manifest.counts["train-queries-used"], 114);
    assert_eq!(pairs(&folder, "test.jsonl"), []);
    assert!(manifest.notes[0].starts_with("no test queries"));
}

#[test]
fn the_same_input_gives_the_same_bytes_and_is_then_up_to_date() {
    let fixture = Fixture::new(20);
    let bytes = || {
        let folder = mined(&fixture, &SPLIT, 1);
        assert!(!run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap().up_to_date);
        assert!(run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap().up_to_date);
        let runs = ["runs/bm25.run", "runs/dense.run"];
        let outputs = OUTPUTS.into_iter().chain(runs);
        outputs.map(|output| fs::read(folder.path().join(output)).unwrap()).collect::<Vec<_>>()
    };
    assert!(bytes() == bytes());
}

#[test]
fn nothing_to_train_on_is_an_error() {
    // Every document answers the human question.
    let fixture = Fixture::new(3).with_human_question("h1", &[0, 1, 2]);
    let folder = mined(&fixture, &SPLIT, 1);
    let error = run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap_err();
    assert!(matches!(error, Error::NothingToTrain { queries: 0, documents: 0 }), "{error}");
}

#[test]
fn questions_of_people_alone_make_a_data_set_that_only_measures() {
    let mut fixture = Fixture::new(20).with_human_question("h1", &[3, 4]);
    fixture.queries.retain(|query| query.metadata.generator.is_none());
    let folder = mined(&fixture, &SPLIT, 1);
    let manifest = run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap();
    assert!(manifest.notes[0].contains("only measures"), "{:?}", manifest.notes);
    assert!(pairs(&folder, "train.jsonl").is_empty() && !pairs(&folder, "test.jsonl").is_empty());
    assert!(Run::read(&folder.path().join("candidates.run")).unwrap().get("h1").is_some());
}

#[test]
fn a_run_of_another_search_takes_part_in_the_candidates_and_is_measured_on_them() {
    let fixture = Fixture::new(20).with_human_question("h1", &[3, 4]);
    let folder = tempfile::tempdir().unwrap();
    // Two passages that no word and no vector of the question leads to, and a query of its own.
    let path = folder.path().join("own.run");
    fs::write(&path, "h1 Q0 d17-5 1 2.5 own\nh1 Q0 d18-5 2 1.5 own\n").unwrap();
    let mut config = config_of(&SPLIT, 1);
    config.pair.depth = 12;
    let settings = RunSettings { name: "own".into(), path };
    config.mine.from.push(Source::new(RetrieverConfig::Run(settings), 0.2));
    mine_into(&folder, &fixture, &config);
    let manifest = pair(folder.path(), &config, &Silent).unwrap();
    let [candidates, own] =
        ["candidates.run", "runs/own.run"].map(|run| Run::read(&folder.path().join(run)).unwrap());
    let of_h1 = |run: &Run| -> Vec<PassageId> {
        run.get("h1").unwrap().iter().map(|hit| hit.passage.clone()).collect()
    };
    let (candidates, own) = (of_h1(&candidates), of_h1(&own));
    assert!(own.iter().take(2).map(|id| id.as_str()).eq(["d17-5", "d18-5"]), "{own:?}");
    assert_eq!(
        candidates.iter().collect::<BTreeSet<_>>(),
        own.iter().collect::<BTreeSet<_>>(),
        "all runs rank the same passages"
    );
    assert_eq!(manifest.counts["test-candidates-not-ranked-by-own"], 10);
    assert!(manifest.notes[0].starts_with("`own` does not rank 10 of 12 test candidates"));

    // Without it, nothing of it stays behind.
    config.mine.from.pop();
    mine_into(&folder, &fixture, &config);
    pair(folder.path(), &config, &Silent).unwrap();
    assert!(!folder.path().join("runs/own.run").exists());
}

#[test]
fn a_retriever_that_finds_nothing_for_a_query_leaves_it_without_candidates() {
    let fixture = Fixture::new(20);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.run");
    let mut config = config_of(&SPLIT, 1);
    let collection = fixture.collection(&SPLIT, 1).unwrap();
    let test = collection.queries_of(Split::Test);
    let known = &collection.queries[test[0]].id;
    fs::write(&path, format!("{known} Q0 d17-5 1 2.5 own\n")).unwrap();
    let settings = RunSettings { name: "own".into(), path };
    config.mine.from = vec![Source::new(RetrieverConfig::Run(settings), 0.2)];
    mine_into(&folder, &fixture, &config);
    let manifest = pair(folder.path(), &config, &Silent).unwrap();
    assert_eq!(manifest.counts["test-pairs"], 1);
    assert_eq!(manifest.counts["test-queries-used"], test.len() as u64);

    // Findings that hold none of the queries were made for others.
    fs::write(folder.path().join("mined/own.run"), "other Q0 d17-5 1 2.5 own\n").unwrap();
    let error = pair(folder.path(), &config, &Silent).unwrap_err();
    assert!(matches!(error, Error::FindingsMissing { .. }), "{error}");
}
