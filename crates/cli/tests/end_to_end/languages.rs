//! The whole job in other languages than English, with a multilingual tokenizer.

use crate::whetstone::{Outcome, repository, run, text};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A sample corpus, and what was made of it.
struct Sample {
    language: &'static str,
    folder: tempfile::TempDir,
}

impl Sample {
    /// `passage_tokens` makes about as many passages in each language: most of Chinese is unknown
    /// to the tiny tokenizer, and counts by its length.
    fn new(language: &'static str, passage_tokens: usize) -> Self {
        let sample = Self { language, folder: tempfile::tempdir().unwrap() };
        let corpus = repository().join("tests/e2e/languages").join(language);
        let data = format!(
            "model = {:?}\ncorpus = {:?}\n[chunk]\npassage-tokens = {passage_tokens}\n\
             overlap-tokens = 0\nmin-tokens = 6\nmax-seq-tokens = 128\n[ask]\njudgements = {:?}\n[split]\ndev-fraction = 0.4\n\
             [mine]\nrank-max = 20\nrelative-margin = -0.9\n[pair]\ndepth = 10\n",
            model(),
            corpus.join("documents"),
            corpus.join("judgements.jsonl")
        );
        fs::write(sample.path("synth.toml"), data).unwrap();
        let training = format!(
            "model = {:?}\nepochs = 1\nbatch-pairs = 8\nlearning-rate = 1e-3\n\
             eval-every-steps = 10\n",
            model()
        );
        fs::write(sample.path("train.toml"), training).unwrap();
        sample
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        text(&self.path(name))
    }

    fn run(&self, args: &[&str]) -> Outcome {
        let outcome = run(args);
        assert_eq!(outcome.code, Some(0), "{} {args:?}: {}", self.language, outcome.stderr);
        outcome
    }

    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.path(name)).unwrap().lines().map(str::to_owned).collect()
    }

    /// Makes the data set. Returns the manifests of its stages.
    fn synth(&self) -> Value {
        let (config, data) = (self.at("synth.toml"), self.at("data"));
        self.run(&["synth", "--config", &config, "--out", &data, "--json"]).json()
    }

    /// The rank of each query's first relevant passage by BM25.
    fn bm25_ranks(&self) -> HashMap<String, Option<usize>> {
        let relevant: HashSet<(String, String)> = self
            .lines("data/qrels/all.tsv")
            .iter()
            .skip(1)
            .map(|line| {
                let columns: Vec<&str> = line.split('\t').collect();
                (columns[0].to_owned(), columns[1].to_owned())
            })
            .collect();
        let mut ranks: HashMap<String, Option<usize>> =
            relevant.iter().map(|(query, _)| (query.clone(), None)).collect();
        let mut places: HashMap<String, usize> = HashMap::new();
        for line in self.lines("data/mined/bm25.run") {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let place = places.entry(columns[0].to_owned()).or_default();
            *place += 1;
            if relevant.contains(&(columns[0].to_owned(), columns[2].to_owned())) {
                ranks.get_mut(columns[0]).unwrap().get_or_insert(*place);
            }
        }
        ranks
    }

    fn train_and_evaluate(&self) {
        let [data, checkpoint, tuned] = ["data", "run", "model"].map(|name| self.at(name));
        let training = self.at("train.toml");
        self.run(&["train", "--config", &training, "--data", &data, "--out", &checkpoint]);
        self.run(&["export", "--checkpoint", &checkpoint, "--out", &tuned]);
        let [corpus, queries, candidates] = ["corpus.jsonl", "queries.jsonl", "candidates.run"]
            .map(|name| self.at(&format!("data/{name}")));
        let reranked = self.at("tuned.run");
        let texts = ["--corpus", &corpus, "--queries", &queries, "--candidates", &candidates];
        self.run(&[&["rerank", "--model", &tuned, "--out", &reranked], &texts[..]].concat());
        let [qrels, report] = ["data/qrels/test.tsv", "report"].map(|name| self.at(name));
        let runs = [format!("bm25={}", self.at("data/runs/bm25.run")), format!("tuned={reranked}")];
        let runs = ["--run", &runs[0], "--run", &runs[1], "--data", &data, "--out", &report];
        let outcome = self.run(&[&["eval", "--qrels", &qrels, "--json"], &runs[..]].concat());
        assert_eq!(outcome.json()["runs"]["tuned"]["queries"], 2);
        assert!(self.path("report/report.html").is_file());
    }
}

fn model() -> PathBuf {
    repository().join("tests/oracles/tiny-xlm-roberta")
}

/// Runs the whole job on a sample. Returns its queries that the built-in generator made.
fn whole_job(language: &'static str, named: &str, passage_tokens: usize) -> Vec<String> {
    let sample = Sample::new(language, passage_tokens);
    let manifests = sample.synth();
    assert_eq!(manifests[0]["language"], language);
    assert!(manifests[0]["notes"].to_string().contains(&format!("is taken for {named}")));
    assert!(manifests[1]["notes"].to_string().contains(&format!("the corpus is in {named}")));
    let ranks = sample.bm25_ranks();
    for (query, rank) in &ranks {
        assert!(rank.is_some_and(|rank| rank <= 10), "{language} {query}: {rank:?}");
    }
    // Questions of people, in other forms of the words than the passages have.
    for query in ["h1", "h2"] {
        assert!(ranks[query] <= Some(3), "{language} {query}: {:?}", ranks[query]);
    }
    let report: Value = serde_json::from_str(&sample.lines("data/synth.json").join("\n")).unwrap();
    assert_eq!(report["language"], language);
    sample.train_and_evaluate();
    let queries = sample.lines("data/queries.jsonl").into_iter();
    let queries = queries.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let built_in = queries.filter(|query| query["metadata"]["generator"] == "built-in");
    built_in.map(|query| query["text"].as_str().unwrap().to_owned()).collect()
}

/// Small words and question words of English.
fn is_english(query: &str) -> bool {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    ["what", "how", "for", "the", "is"].iter().any(|word| words.iter().any(|found| found == word))
}

fn assert_made_of(queries: &[String], expected: &[&str]) {
    assert!(queries.len() >= 8, "{queries:?}");
    assert!(!queries.iter().any(|query| is_english(query)), "{queries:?}");
    for expected in expected {
        assert!(queries.iter().any(|query| query == expected), "{expected} is not in {queries:?}");
    }
}

#[test]
fn the_whole_job_runs_in_german() {
    assert_made_of(&whole_job("german", "German", 88), &["Heizkessel F12 Ursache"]);
}

#[test]
fn the_whole_job_runs_in_spanish() {
    assert_made_of(&whole_job("spanish", "Spanish", 88), &["caldera F12 Causa"]);
}

#[test]
fn the_whole_job_runs_in_chinese() {
    assert_made_of(&whole_job("chinese", "Chinese", 24), &["冬季保养 慢慢重新注水"]);
}

#[test]
fn a_language_that_is_named_is_not_detected_and_changes_what_is_up_to_date() {
    let sample = Sample::new("german", 88);
    let manifest = |language: &str| {
        let config = fs::read_to_string(sample.path("synth.toml")).unwrap();
        let path = sample.path("named.toml");
        fs::write(&path, format!("language = \"{language}\"\n{config}")).unwrap();
        let data = sample.at("data");
        let chunk =
            ["chunk", "--config", &text(&path), "--out", &data, "--json"].map(str::to_owned);
        let chunk = chunk.each_ref().map(String::as_str);
        sample.run(&chunk).json()
    };
    let english = manifest("English");
    assert_eq!((&english["language"], &english["up_to_date"]), (&"english".into(), &false.into()));
    assert!(!english["notes"].to_string().contains("taken for"));
    assert_eq!(manifest("English")["up_to_date"], true);
    assert_eq!(manifest("de")["language"], "german");
}

#[test]
fn a_corpus_in_english_is_taken_for_english() {
    let data = crate::whetstone::quickstart_folder().join("data");
    let manifest = fs::read_to_string(Path::new(&data).join("manifests/chunk.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["language"], "english");
    assert!(!manifest["notes"].to_string().contains("taken for"));
}
