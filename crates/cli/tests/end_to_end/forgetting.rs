use crate::whetstone::{assert_fails, quickstart_folder, run, text};
use std::fs;

/// Sixty questions, of which BM25 finds the answer; a model of two random layers orders it
/// anywhere.
fn general_set(folder: &std::path::Path) -> String {
    let (mut corpus, mut queries, mut qrels) =
        (String::new(), String::new(), "query-id\tcorpus-id\tscore\n".to_owned());
    let words =
        ["chain", "light", "wheel", "pump", "tyre", "brake", "belt", "rim", "spoke", "valve"];
    for at in 0..60 {
        let (one, two) = (words[at % 10], words[(at / 10 + at) % 10]);
        corpus += &format!(
            "{{\"_id\":\"p{at}\",\"text\":\"The {one} and the {two} of bicycle number {at}.\"}}\n"
        );
        queries += &format!("{{\"_id\":\"q{at}\",\"text\":\"{one} {two} number {at}\"}}\n");
        qrels += &format!("q{at}\tp{at}\t1\n");
    }
    let general = folder.join("general");
    fs::create_dir_all(general.join("qrels")).unwrap();
    for (name, text) in
        [("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels/test.tsv", qrels)]
    {
        fs::write(general.join(name), text).unwrap();
    }
    text(&general)
}

#[test]
fn both_models_order_the_same_candidates_and_a_decision_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let (general, out) = (general_set(folder.path()), text(&folder.path().join("out")));
    let [before, after] =
        ["untuned-model", "model"].map(|name| text(&quickstart_folder().join(name)));
    let args = [
        "forgetting",
        "--before",
        &before,
        "--after",
        &after,
        "--general",
        &general,
        "--out",
        &out,
    ];
    let first = run(&[&args[..], &["--json"]].concat()).json();
    for name in ["bm25", "before", "after"] {
        assert_eq!(first["runs"][name]["queries"], 60);
    }
    assert!(first["runs"]["bm25"]["ndcg@10"].as_f64() > Some(0.9), "{first:#}");
    let (before_mean, after_mean) =
        (&first["runs"]["before"]["ndcg@10"], &first["runs"]["after"]["ndcg@10"]);
    let difference = after_mean.as_f64().unwrap() - before_mean.as_f64().unwrap();
    assert!((first["comparison"]["difference"].as_f64().unwrap() - difference).abs() < 1e-9);
    let kept: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("out/forgetting.json")).unwrap())
            .unwrap();
    assert_eq!(kept["retention"], first["retention"]);

    let second = run(&args);
    assert_eq!(second.stderr.matches(": up to date, in `").count(), 4, "{}", second.stderr);
    assert!(second.stdout.contains("| before "), "{}", second.stdout);
    let decided = ["GAINED", "KEPT", "FORGOT", "NOT ENOUGH QUERIES"];
    let last = second.stdout.lines().last().unwrap();
    assert!(
        decided.iter().any(|word| last.starts_with(&format!("{word}: ndcg@10 changed by "))),
        "{last}"
    );
}

#[test]
fn the_same_model_twice_has_kept_everything_and_few_queries_do_not_decide() {
    let folder = tempfile::tempdir().unwrap();
    let general = general_set(folder.path());
    let model = text(&quickstart_folder().join("model"));
    let decide = |name: &str, more: &[&str]| {
        let out = text(&folder.path().join(name));
        let args = [
            "forgetting",
            "--before",
            &model,
            "--after",
            &model,
            "--general",
            &general,
            "--out",
            &out,
            "--json",
        ];
        run(&[&args[..], more].concat()).json()
    };
    assert_eq!(decide("all", &["--depth", "10"])["retention"]["decision"], "kept");
    let few = decide("few", &["--max-queries", "20"]);
    assert_eq!(
        (&few["retention"]["decision"], &few["runs"]["after"]["queries"]),
        (&"not-enough-queries".into(), &20.into())
    );
}

#[test]
fn a_folder_that_is_no_general_set_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (general, out) = (general_set(folder.path()), text(&folder.path().join("out")));
    let model = text(&quickstart_folder().join("model"));
    let args =
        ["forgetting", "--before", &model, "--after", &model, "--general", &general, "--out", &out];
    fs::write(
        folder.path().join("general/qrels/test.tsv"),
        "query-id\tcorpus-id\tscore\nelsewhere\tp1\t1\n",
    )
    .unwrap();
    assert_fails(
        &args,
        folder.path(),
        "error: no query of `DIR/general/queries.jsonl` has a relevant passage in qrels/test.tsv\n\
         hint: a general set is a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv",
    );
    fs::remove_file(folder.path().join("general/qrels/test.tsv")).unwrap();
    let outcome = run(&args);
    assert!(
        outcome.code == Some(2) && outcome.stderr.contains("general/qrels/test.tsv`"),
        "{}",
        outcome.stderr
    );
    let tiny_encoder = text(&crate::whetstone::repository().join("tests/oracles/tiny-encoder"));
    let general = general_set(folder.path());
    let outcome = run(&[
        "forgetting",
        "--before",
        &tiny_encoder,
        "--after",
        &model,
        "--general",
        &general,
        "--out",
        &out,
    ]);
    assert!(outcome.stderr.contains("has no relevance head"), "{}", outcome.stderr);
}
