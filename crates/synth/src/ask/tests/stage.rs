//! The stage around the calls: what is asked about, what is kept, what is reported.

use super::server::{Reply, Server, completion, good};
use super::*;

use crate::mine::{MineJob, mine};
use serde_json::{Value, json};
use std::fs;
use whetstone_model::{BiEncoder, Engine};
use whetstone_records::{Hint, Place};

fn built_in() -> SynthConfig {
    SynthConfig { seed: 1, ..SynthConfig::default() }
}

#[test]
fn a_sample_is_seeded_and_leaves_out_documents_that_humans_judged() {
    let folder = data_set(20);
    let corpus = folder.path().join("corpus.jsonl");
    let named = ["\"text\":\"topic", " is a thing of the world"];
    let text = fs::read_to_string(&corpus).unwrap().replace(named[0], "\"text\":\"The topic");
    fs::write(&corpus, text.replace(named[1], " valve of the heating plant is red")).unwrap();
    let judged = folder.path().join("judged.jsonl");
    let line = r#"{"_id":"h1","text":"price of topic3","answers":[{"document":"d1.md","quote":"costs 3 kr","grade":2}]}"#;
    fs::write(&judged, line).unwrap();
    let mut config = built_in();
    (config.ask.judgements, config.ask.max_passages) = (Some(judged), Some(8));
    let run = |seed| {
        let manifest = super::run(folder.path(), &SynthConfig { seed, ..config.clone() }).unwrap();
        assert_eq!((manifest.counts["passages-asked"], manifest.counts["queries-human"]), (8, 1));
        queries(folder.path())
    };
    let first = run(1);
    assert!(first.iter().all(|query| !query.id.as_str().starts_with("d1.md")));
    assert_eq!(first.last().unwrap().id.as_str(), "h1");
    assert_ne!(run(2), first);
    assert_eq!(run(1), first);
    let qrels = Qrels::read(&folder.path().join("qrels/all.tsv")).unwrap();
    assert_eq!(qrels.get("h1").unwrap()["d1.md#0002"], 2);
}

fn write_corpus(folder: &Path, texts: &[(&str, &str)]) {
    let passages = texts.iter().map(|(id, text)| Passage {
        id: (*id).into(),
        title: String::new(),
        text: (*text).into(),
        metadata: PassageMetadata::default(),
    });
    write_jsonl(&folder.join("corpus.jsonl"), passages).unwrap();
}

#[test]
fn a_query_that_two_documents_share_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let text = |price: u32| {
        format!(
            "A boost window is an agreed period of two hours. It costs {price} kr in the winter months."
        )
    };
    write_corpus(folder.path(), &[("a", &text(40)), ("b", &text(60))]);
    let server = answering(&["What is a boost window?"], |_| "");
    let error = run(folder.path(), &config(&server)).unwrap_err();
    assert!(error.hint().unwrap().contains("dropped-ambiguous"), "{:?}", error.hint());
}

#[test]
fn a_query_for_one_of_two_equal_passages_is_answered_by_both() {
    let folder = tempfile::tempdir().unwrap();
    let text = "A boost window is an agreed period of two hours, which the customer may move twice a year.";
    write_corpus(folder.path(), &[("a", text), PUMPS[1], ("z", &text.to_uppercase())]);
    let mut config = built_in();
    (config.split.dev_fraction, config.split.test_fraction) = (0.0, 0.0);
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!((manifest.counts["passages"], manifest.counts["passages-asked"]), (3, 2));
    let qrels = Qrels::read(&folder.path().join("qrels/all.tsv")).unwrap();
    for query in queries(folder.path()) {
        let answers: Vec<&str> =
            qrels.get(query.id.as_str()).unwrap().keys().map(|id| id.as_str()).collect();
        let expected: &[&str] =
            if query.id.as_str().starts_with("b-") { &["b"] } else { &["a", "z"] };
        assert_eq!(answers, expected, "{}", query.text);
    }
}

#[test]
fn a_passage_in_documents_of_several_splits_is_not_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let judged = folder.path().join("judged.jsonl");
    let line =
        r#"{"_id":"h1","text":"bread?","answers":[{"document":"b","quote":"Bread with seeds"}]}"#;
    fs::write(&judged, line).unwrap();
    let place =
        |document: &str| Place { document: document.into(), title: String::new(), span: (0, 9) };
    let passage = |(id, text): &(&str, &str), places: &[&str]| Passage {
        id: (*id).into(),
        title: format!("Short notes on matter {id}"),
        text: (*text).into(),
        metadata: PassageMetadata {
            document: Some((*id).into()),
            span: Some((0, 9)),
            places: places.iter().map(|document| place(document)).collect(),
            ..PassageMetadata::default()
        },
    };
    let passages =
        [passage(&PUMPS[0], &["a", "b"]), passage(&PUMPS[1], &[]), passage(&PUMPS[2], &["c", "d"])];
    write_jsonl(&folder.path().join("corpus.jsonl"), &passages).unwrap();
    let mut config = built_in();
    config.ask.judgements = Some(judged);
    config.split.dev_fraction = 0.0;
    let manifest = run(folder.path(), &config).unwrap();
    assert!(queries(folder.path()).iter().all(|query| !query.id.as_str().starts_with("a-")));
    assert_eq!(manifest.counts["passages-asked"], 1);
    let skipped: Vec<Value> = read_jsonl(&folder.path().join("skipped.jsonl")).unwrap();
    assert_eq!((skipped.len(), &skipped[0]["reason"]), (1, &json!("several-splits")));
}

#[test]
fn a_run_with_few_queries_fails_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    write_corpus(folder.path(), PUMPS);
    let server = answering(&["What is changed in May?"], |_| "");
    let mut config = config(&server);
    let error = run(folder.path(), &config).unwrap_err();
    assert_eq!(error.to_string(), "only 1 of 3 passages that were asked about have a query");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("dropped-unrelated 2") && hint.contains("min-covered-fraction"),
        "{hint}"
    );
    assert!(!folder.path().join("queries.jsonl").exists());
    config.filter.min_covered_fraction = 0.3;
    assert!(run(folder.path(), &config).is_ok());
}

/// Answers questions with these, and judges with those.
fn answering(questions: &'static [&'static str], judge: fn(&str) -> &'static str) -> Server {
    Server::start(move |request| {
        let content = request.body["messages"].as_array().unwrap().last().unwrap()["content"]
            .as_str()
            .unwrap();
        let answer = match content.strip_prefix("Query: ") {
            Some(query) => judge(query.lines().next().unwrap()).to_owned(),
            None => json!({"questions": questions}).to_string(),
        };
        Reply::Status(200, "", completion(&answer, "stop"))
    })
}

const PUMPS: &[(&str, &str)] = &[
    ("a", "The red pump is oiled every week by the night shift, and its valve is changed in May."),
    ("b", "The bakery opens at six. Bread with seeds is sold until noon, rolls the whole day."),
    ("c", "A pump that runs dry is stopped by hand. The night shift keeps a list of such stops."),
];

const QUESTIONS: &[&str] =
    &["When is the red pump oiled?", "Who lists the stops?", "Until when is seeded bread sold?"];

/// The pumps, a server that asks the same of each, and a config that drops none of it.
fn asked_about_pumps() -> (tempfile::TempDir, Server, SynthConfig) {
    let folder = tempfile::tempdir().unwrap();
    write_corpus(folder.path(), PUMPS);
    let server = answering(QUESTIONS, |_| "");
    let mut config = config(&server);
    config.filter.generic = false;
    config.filter.duplicates = false;
    (folder, server, config)
}

#[test]
fn the_round_trip_keeps_what_brings_its_passage_back() {
    let (folder, server, mut config) = asked_about_pumps();
    config.filter.round_trip = RoundTrip::Bm25;
    config.filter.round_trip_depth = 1;
    let manifest = run(folder.path(), &config).unwrap();
    let kept: Vec<String> = queries(folder.path()).iter().map(|query| query.text.clone()).collect();
    assert_eq!(kept, [QUESTIONS[0], QUESTIONS[2], QUESTIONS[1]]);
    assert_eq!(manifest.counts["dropped-round-trip"], 6);
    let quality = queries(folder.path())[0].metadata.quality.clone().unwrap();
    assert_eq!((quality.round_trip_rank, quality.round_trip_fraction), (Some(1), Some(1.0)));

    (config.filter.round_trip_depth, config.filter.top) = (3, 2);
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!((manifest.counts["queries"], server.count()), (2, 3), "filters cost no call");
    assert!(manifest.counts["dropped-below-top"] >= 1);
}

#[test]
fn the_judge_grades_by_the_same_journal_and_every_grade_stays_with_its_query() {
    let folder = tempfile::tempdir().unwrap();
    write_corpus(folder.path(), &PUMPS[..1]);
    const QUESTIONS: &[&str] = &[
        "When is the red pump oiled?",
        "What about the pump?",
        "What does a pump cost?",
        "Who oils the pump?",
    ];
    let server = answering(QUESTIONS, |query| match query {
        "What about the pump?" => r#"{"question": 1, "answer": 2}"#,
        "What does a pump cost?" => r#"{"question": 3, "answer": 0}"#,
        "Who oils the pump?" => "no idea",
        _ => r#"{"question": 3, "answer": 3}"#,
    });
    let mut config = config(&server);
    config.filter.judge = true;
    let manifest = run(folder.path(), &config).unwrap();
    for name in ["queries", "dropped-poor-question", "dropped-poor-answer", "dropped-not-graded"] {
        assert_eq!(manifest.counts[name], 1, "{name}");
    }
    assert_eq!(server.count(), 1 + 5, "one question, four judgements and one of them twice");
    let quality = queries(folder.path())[0].metadata.quality.clone().unwrap();
    assert_eq!((quality.question_grade, quality.answer_grade), (Some(3), Some(3)));
    config.judge.min_grade = 0;
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!((server.count(), manifest.counts["queries"]), (6, 3), "another limit needs no call");
    let own = folder.path().join("judge.md");
    fs::write(&own, "Judge.\n---\nQuery: {{query}}\n{{text}}").unwrap();
    config.judge.prompt = Some(own);
    assert!(!run(folder.path(), &config).unwrap().up_to_date);
    assert_eq!(server.count(), 6 + 5, "another prompt is another question");
}

#[test]
fn the_round_trip_by_the_bi_encoder_ranks_as_plain_cosines_do() {
    let (folder, _server, mut config) = asked_about_pumps();
    (config.filter.round_trip, config.filter.round_trip_depth) = (RoundTrip::Dense, 3);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-encoder");
    let job = AskJob { model: Some(&model), ..job(folder.path(), &config) };
    // Not in the order of the ids.
    write_corpus(folder.path(), &[PUMPS[2], PUMPS[0], PUMPS[1]]);
    ask(&job, &Silent).unwrap();
    let embeddings =
        || fs::read(folder.path().join("mined/embeddings/passages-00000.safetensors")).unwrap();
    let embedded = embeddings();
    let mining = MineJob {
        out: folder.path(),
        config: &config,
        model: &model,
        placement: Default::default(),
    };
    mine(&mining, &Silent).unwrap();
    assert!(embedded == embeddings(), "mine finds the embeddings of the round trip");

    let encoder = BiEncoder::load(&model, &Engine::open(Default::default()).unwrap()).unwrap();
    let embed = |texts: &[&str]| -> Vec<Vec<f32>> {
        let flat = encoder.encode(texts, &Silent).unwrap();
        flat.chunks(encoder.hidden()).map(<[f32]>::to_vec).collect()
    };
    let texts: Vec<&str> = PUMPS.iter().map(|(_, text)| *text).collect();
    let (passages, questions) = (embed(&texts), embed(QUESTIONS));
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let kept = queries(folder.path());
    assert_eq!(kept.len(), 9, "a depth of all passages keeps everything");
    for query in kept {
        let question = QUESTIONS.iter().position(|question| *question == query.text).unwrap();
        let own = PUMPS
            .iter()
            .position(|(id, _)| Some(*id) == query.metadata.passage.as_ref().map(|id| id.as_str()));
        let scores: Vec<f32> =
            passages.iter().map(|passage| cosine(passage, &questions[question])).collect();
        let rank = 1 + scores.iter().filter(|score| **score > scores[own.unwrap()]).count() as u32;
        assert_eq!(query.metadata.quality.unwrap().round_trip_rank, Some(rank), "{}", query.text);
    }
}

#[test]
fn junk_is_skipped_and_listed_and_near_duplicates_of_other_documents_go() {
    let folder = tempfile::tempdir().unwrap();
    let menu = "Home | About us | Contact | Search | Login";
    write_corpus(folder.path(), &[PUMPS[0], ("menu", menu), PUMPS[2]]);
    let server = Server::start(|request| {
        let questions = match server::asked_text(&request.body).starts_with("The red pump") {
            true => [
                "Who oils the pumps in the night shift?",
                "What is changed in May?",
                "Which pump is red?",
            ],
            false => [
                "Who in the night shift oils a pump?",
                "What stops a dry pump?",
                "Where is the list of stops?",
            ],
        };
        Reply::Status(200, "", completion(&json!({"questions": questions}).to_string(), "stop"))
    });
    let mut config = config(&server);
    config.filter.generic = false;
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!((manifest.counts["skipped-navigation"], server.count()), (1, 2));
    assert_eq!((manifest.counts["dropped-near-duplicate"], manifest.counts["queries"]), (1, 5));
    assert!(queries(folder.path())[0].text.starts_with("Who oils"), "the first of the two stays");
    let skipped: Vec<Value> = read_jsonl(&folder.path().join("skipped.jsonl")).unwrap();
    assert_eq!((&skipped[0]["_id"], &skipped[0]["reason"]), (&json!("menu"), &json!("navigation")));
    (config.filter.junk_passages, config.filter.min_covered_fraction) = (false, 0.0);
    run(folder.path(), &config).unwrap();
    assert_eq!(server.count(), 3);
}

#[test]
fn the_report_counts_everything_and_escapes_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "The <b>pump</b> & its \"valve\" are oiled every week by the night shift of the works.";
    write_corpus(folder.path(), &[("a", text), PUMPS[1]]);
    let server = answering(
        &["Who oils the <script>pump</script> & the valve?", "When is the bread sold?", "bad"],
        |_| "",
    );
    let mut config = config(&server);
    config.ask.styles = [(crate::config::Style::Keyword, 1.0)].into();
    run(folder.path(), &config).unwrap();
    let report: Value =
        serde_json::from_slice(&fs::read(folder.path().join("synth.json")).unwrap()).unwrap();
    assert_eq!((&report["passages-asked"], &report["queries"]), (&json!(2), &json!(2)));
    assert_eq!(report["queries-per-passage"], json!({"1": 2}));
    assert_eq!(report["styles"], json!({"keyword": 2}));
    assert_eq!(report["drops"], json!({"dropped-too-short": 2, "dropped-unrelated": 2}));
    assert_eq!((&report["tokens-in"], &report["cost"]), (&json!(200), &json!(null)));
    assert_eq!(report["documents"].as_array().unwrap().len(), 2);
    assert_eq!(
        report["overlap"]["histogram"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_u64)
            .sum::<u64>(),
        2
    );
    let page = fs::read_to_string(folder.path().join("synth.html")).unwrap();
    assert!(
        page.contains("&lt;script&gt;pump&lt;/script&gt; &amp; the valve")
            && !page.contains("<script"),
        "{page}"
    );
    assert!(
        !page.contains("http:")
            && !page.contains("https:")
            && page.contains("prefers-color-scheme:dark")
    );
}

#[test]
fn a_torn_journal_costs_one_call_and_a_damaged_line_is_named() {
    let (folder, server) = (data_set(6), Server::start(good));
    let config = config(&server);
    run(folder.path(), &config).unwrap();
    let path = folder.path().join(DataSet::ASK_JOURNAL);
    let text = fs::read_to_string(&path).unwrap();
    // As a killed run leaves it: the last line is half written. The first line is damaged.
    let torn = text[..text.len() - 40].replacen("\"subject\":", "\"subject\"", 1);
    fs::write(&path, torn).unwrap();
    fs::remove_dir_all(folder.path().join("manifests")).unwrap();
    let manifest = run(folder.path(), &config).unwrap();
    assert_eq!((server.count(), manifest.counts["queries"]), (8, 18));
    assert!(
        manifest
            .notes
            .iter()
            .any(|note| note.starts_with("1 of the journal's 5 answers are damaged (first: line ")),
        "{:?}",
        manifest.notes
    );
}
