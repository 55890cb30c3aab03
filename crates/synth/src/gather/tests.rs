//! Gathers small collections, then mines and pairs them.

use super::*;
use crate::collection::Collection;
use crate::config::{GatherConfig, SplitConfig};
use crate::fixture::{Fixture, HIDDEN, embed};
use crate::mine::mine_with_embeddings;
use crate::pair::{PairJob, pair};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use whetstone_model::Placement;
use whetstone_records::{Hint, Negative, Pair, Run, Silent, read_jsonl};

/// A collection as other programs write it: no metadata, and judgements of some queries by split.
/// `thing` tells its texts from those of other collections.
fn beir(
    root: &Path,
    name: &str,
    thing: &str,
    splits: &[(&str, std::ops::Range<usize>)],
) -> PathBuf {
    let folder = root.join(name);
    let mut fixture = Fixture::new(10);
    for passage in &mut fixture.passages {
        passage.metadata = Default::default();
        passage.text = passage.text.replace("pump", thing);
    }
    fixture.queries.iter_mut().for_each(|query| query.metadata = Default::default());
    write_jsonl(&folder.join("corpus.jsonl"), &fixture.passages).unwrap();
    write_jsonl(&folder.join("queries.jsonl"), &fixture.queries).unwrap();
    for (split, queries) in splits {
        let mut qrels = Qrels::default();
        for query in &fixture.queries[queries.clone()] {
            qrels.insert(query.id.clone(), query.id.as_str()[1..].into(), 1);
        }
        qrels.write_beir(&folder.join(format!("qrels/{split}.tsv"))).unwrap();
    }
    folder
}

const NO_SPLIT: SplitConfig = SplitConfig { dev_fraction: 0.0, test_fraction: 0.0 };

fn config(folders: Vec<PathBuf>) -> SynthConfig {
    let gather = GatherConfig { folders, ..GatherConfig::default() };
    SynthConfig { gather, split: NO_SPLIT, ..SynthConfig::default() }
}

fn run(out: &Path, config: &SynthConfig) -> Result<Manifest> {
    gather(out, config, &Silent)
}

fn mine_into(out: &Path, config: &SynthConfig) -> Collection {
    let collection = Collection::read(out, &config.split, config.seed).unwrap();
    mine_with_embeddings(&collection, out, config, (HIDDEN, &embed)).unwrap();
    collection
}

fn pair_into(out: &Path, config: &SynthConfig) -> Manifest {
    let placement = Placement::default();
    pair(&PairJob { out, config, teacher: None, placement }, &Silent).unwrap()
}

/// The collection in front of an id.
fn name(id: &str) -> &str {
    id.split_once('/').unwrap().0
}

#[test]
fn a_query_meets_only_passages_of_its_own_collection() {
    let root = tempfile::tempdir().unwrap();
    let folders = ["b", "a"]
        .map(|name| beir(root.path(), name, &format!("machine {name}"), &[("train", 0..60)]));
    let (config, out) = (config(folders.to_vec()), root.path().join("out"));
    let manifest = run(&out, &config).unwrap();
    assert_eq!([manifest.counts["passages"], manifest.counts["queries-to-train-on"]], [120, 120]);
    assert_eq!(DataSet::new(&out).max_seq_tokens().unwrap(), None);
    assert_eq!(mine_into(&out, &config).parts.len(), 2);
    pair_into(&out, &config);

    let negatives: Vec<Negative> = read_jsonl(&out.join("negatives.jsonl")).unwrap();
    let miners: BTreeSet<&str> =
        negatives.iter().map(|negative| negative.provenance.miner.as_str()).collect();
    assert_eq!(miners, BTreeSet::from(["bm25", "dense", "random"]));
    for negative in &negatives {
        assert_eq!(name(negative.query_id.as_str()), name(negative.passage_id.as_str()));
    }
    let train: Vec<Pair> = read_jsonl(&out.join("train.jsonl")).unwrap();
    for collection in ["a", "b"] {
        let own = train.iter().filter(|pair| name(pair.query_id.as_str()) == collection);
        let own: Vec<&Pair> = own.collect();
        assert!(own.len() > 300, "{}", own.len());
        assert!(own.iter().all(|pair| pair.passage.contains(&format!("machine {collection}"))));
    }
    // What a retriever says does not depend on the other collections.
    let alone = root.path().join("alone");
    fs::create_dir(&alone).unwrap();
    let config = SynthConfig {
        gather: GatherConfig { folders: vec![folders[1].clone()], ..config.gather.clone() },
        ..config
    };
    run(&alone, &config).unwrap();
    mine_into(&alone, &config);
    for file in ["mined/bm25.run", "mined/dense.run", "mined/pairs/bm25.run"] {
        let [alone, both] = [&alone, &out].map(|folder| Run::read(&folder.join(file)).unwrap());
        assert_eq!((alone.len(), both.len()), (60, 120));
        assert!(alone.iter().all(|(query, hits)| both.get(query.as_str()) == Some(hits)), "{file}");
    }
}

#[test]
fn queries_stay_in_the_split_of_their_file_unless_the_config_trains_on_it() {
    let root = tempfile::tempdir().unwrap();
    let splits = [("train", 0..30), ("dev", 30..40), ("test", 35..60)];
    let folders = vec![
        beir(root.path(), "a", "pump", &splits),
        beir(root.path(), "only-test", "motor", &[("test", 0..20)]),
    ];
    let (mut config, out) = (config(folders), root.path().join("out"));
    let splits_of = |config: &SynthConfig| {
        let manifest = run(&out, config).unwrap();
        mine_into(&out, config);
        pair_into(&out, config);
        let queries = |split: &str| -> Vec<String> {
            let qrels = fs::read_to_string(out.join(format!("qrels/{split}.tsv"))).unwrap();
            let id = |line: &str| line.split('\t').next().unwrap().to_owned();
            qrels.lines().skip(1).map(id).collect()
        };
        (["train", "dev", "test"].map(queries), manifest.notes)
    };
    let ([train, dev, test], notes) = splits_of(&config);
    // Those that stand in dev and test are the test's.
    assert_eq!([train.len(), dev.len(), test.len()], [30, 5, 45]);
    assert!(train.iter().chain(&dev).all(|id| id.starts_with("a/q")));
    assert!(dev.contains(&"a/qd05-0".to_owned()) && test.contains(&"a/qd05-5".to_owned()));
    assert!(notes.len() == 1 && notes[0].starts_with("`only-test` has no queries to train on"));

    config.gather.train_on = vec![GivenSplit::Train, GivenSplit::Test];
    let ([train, dev, test], notes) = splits_of(&config);
    assert_eq!([train.len(), dev.len(), test.len(), notes.len()], [75, 5, 0, 0]);

    config.gather.max_queries = 12;
    let ([fewer, dev, _], _) = splits_of(&config);
    assert_eq!([fewer.len(), dev.len()], [24, 5]);
    assert!(fewer.iter().all(|id| train.contains(id)));
    assert_ne!(fewer[..], train[..24], "a seeded sample, not the first ones");
}

#[test]
fn equal_texts_of_two_collections_share_no_judgement_and_never_cross_the_splits() {
    let root = tempfile::tempdir().unwrap();
    let folders = vec![
        beir(root.path(), "a", "pump", &[("train", 0..60)]),
        beir(root.path(), "b", "pump", &[("test", 0..6)]),
    ];
    let (config, out) = (config(folders), root.path().join("out"));
    run(&out, &config).unwrap();
    let collection = mine_into(&out, &config);
    for (query, positives) in collection.queries.iter().zip(&collection.positives) {
        assert!(positives.len() <= 1, "{}", query.id);
    }
    pair_into(&out, &config);
    let train: Vec<Pair> = read_jsonl(&out.join("train.jsonl")).unwrap();
    // The first document's six texts answer questions of the test in `b`.
    assert!(train.len() > 200 && train.iter().all(|pair| !pair.passage.contains("type0 ")));
}

#[test]
fn what_a_folder_lacks_is_left_out_and_counted() {
    let root = tempfile::tempdir().unwrap();
    let folder = beir(root.path(), "a", "pump", &[("train", 0..10)]);
    let corpus = fs::read_to_string(folder.join("corpus.jsonl")).unwrap();
    let without = corpus.lines().next().unwrap();
    let passage: Passage = serde_json::from_str(without).unwrap();
    let empty = Passage { title: String::new(), text: " ".into(), ..passage };
    let rest: Vec<&str> = corpus.lines().skip(1).collect();
    let empty = serde_json::to_string(&empty).unwrap();
    fs::write(folder.join("corpus.jsonl"), format!("{empty}\n{}\n", rest.join("\n"))).unwrap();
    let path = folder.join("qrels/train.tsv");
    let qrels = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{qrels}qd00-1\tnowhere\t1\nnobody\td00-1\t1\n")).unwrap();
    let (config, out) = (config(vec![folder]), root.path().join("out"));
    let counts = run(&out, &config).unwrap().counts;
    assert_eq!(counts["passages-without-text"], 1);
    assert_eq!(counts["queries-without-answer"], 1);
    assert_eq!(counts["judgements-of-unknown-ids"], 3);
    assert_eq!([counts["passages"], counts["queries"]], [59, 9]);
    mine_into(&out, &config);
    assert_eq!(pair_into(&out, &config).counts["train-queries-used"], 9);
}

#[test]
fn a_folder_that_changed_is_gathered_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = beir(root.path(), "a", "pump", &[("train", 0..10)]);
    let (config, out) = (config(vec![folder.clone()]), root.path().join("out"));
    assert!(!run(&out, &config).unwrap().up_to_date);
    assert!(run(&out, &config).unwrap().up_to_date);
    let manifest = run(&out, &config).unwrap();
    let roles: Vec<&String> = manifest.inputs.keys().collect();
    assert_eq!(roles, ["a/corpus.jsonl", "a/qrels/train.tsv", "a/queries.jsonl"]);
    let mut text = fs::read(folder.join("queries.jsonl")).unwrap();
    text.push(b'\n');
    fs::write(folder.join("queries.jsonl"), text).unwrap();
    assert!(!run(&out, &config).unwrap().up_to_date);
}

#[test]
fn folders_that_cannot_be_gathered_are_named_with_the_way_out() {
    let root = tempfile::tempdir().unwrap();
    let train = [("train", 0..10)];
    let a = beir(root.path(), "a", "pump", &train);
    let other = beir(root.path(), "other/a", "pump", &train);
    let spaced = beir(root.path(), "my set", "pump", &train);
    let unjudged = beir(root.path(), "unjudged", "pump", &[]);
    let out = root.path().join("out");
    for (folders, out, expected) in [
        (vec![], &out, "`folders` in [gather] is empty"),
        (vec![a.clone(), other], &out, "are both called `a`"),
        (vec![spaced], &out, "cannot go before ids"),
        (vec![unjudged], &out, "has no judgements"),
        (vec![a.clone()], &a, "is the folder that is gathered into"),
    ] {
        let error = run(out, &config(folders)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
    assert!(!out.exists());
}

#[test]
fn a_gathered_data_set_that_was_changed_by_hand_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folders = ["a", "b"].map(|name| beir(root.path(), name, name, &[("train", 0..10)]));
    let (config, out) = (config(folders.to_vec()), root.path().join("out"));
    run(&out, &config).unwrap();
    let read = || Collection::read(&out, &config.split, config.seed).err().unwrap();
    let path = out.join("qrels/all.tsv");
    let qrels = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{qrels}a/qd00-1\tb/d00-1\t1\n")).unwrap();
    assert!(matches!(read(), Error::OtherCollection { .. }));
    fs::write(&path, qrels).unwrap();
    let path = out.join("corpus.jsonl");
    let corpus = fs::read_to_string(&path).unwrap();
    fs::write(&path, corpus.replacen("\"_id\":\"a/d05-0\"", "\"_id\":\"c/d05-0\"", 1)).unwrap();
    assert!(matches!(read(), Error::ScatteredCollection { .. }));
}

#[test]
fn a_limit_that_the_config_states_is_kept_for_training() {
    let root = tempfile::tempdir().unwrap();
    let folder = beir(root.path(), "a", "machine", &[("train", 0..10)]);
    let mut config = config(vec![folder]);
    config.chunk.max_seq_tokens = 2048;
    let out = root.path().join("out");
    run(&out, &config).unwrap();
    assert_eq!(DataSet::new(&out).max_seq_tokens().unwrap(), Some(2048));
}
