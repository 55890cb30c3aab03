use crate::evaluation::collection;
use crate::whetstone::{assert_fails, run, text};
use std::fs;
use std::path::Path;

type Ranks = fn(usize) -> usize;

/// An evaluation of `bm25` and `tuned` below `folder`.
fn evaluation(folder: &Path, name: &str, tuned: Ranks) -> String {
    let runs = folder.join(format!("{name}-runs"));
    fs::create_dir(&runs).unwrap();
    let out = text(&folder.join("out").join(name));
    let args = collection(&runs, &[("bm25", |query| query % 4 + 2), ("tuned", tuned)]);
    let args: Vec<&str> =
        args.iter().map(String::as_str).chain(["--out", &out, "--quiet"]).collect();
    assert_eq!(run(&args).code, Some(0));
    out
}

#[test]
fn past_evaluations_are_listed_with_their_verdicts() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) =
        (evaluation(folder.path(), "good", |_| 1), evaluation(folder.path(), "bad", |_| 8));
    let out = folder.path().join("out");
    // Neither an evaluation nor whole: passed over.
    fs::create_dir(out.join("other")).unwrap();
    fs::write(out.join("other/measures.json"), "{\"runs\": ").unwrap();
    let listed = run(&["runs", &text(&out)]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let rows: Vec<&str> = listed.stdout.lines().skip(2).collect();
    assert_eq!(rows.len(), 2, "{}", listed.stdout);
    let row = |folder: &str| *rows.iter().find(|row| row.contains(&format!(" {folder} "))).unwrap();
    assert!(
        row(&good).contains("| tuned 1.0000 |") && row(&good).contains(" ship |"),
        "{}",
        listed.stdout
    );
    assert!(row(&bad).contains("| dont-ship |"), "{}", listed.stdout);
    let json = run(&["runs", &text(&out), "--json"]).json();
    assert_eq!((&json[0]["primary"], &json[1]["baseline"]), (&"ndcg@10".into(), &"bm25".into()));
    let empty = run(&["runs", &text(&folder.path().join("good-runs"))]);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(0), ""));
    assert!(empty.stderr.contains("no evaluation below"), "{}", empty.stderr);
}

#[test]
fn two_evaluations_are_compared_run_by_run() {
    let folder = tempfile::tempdir().unwrap();
    let before = evaluation(folder.path(), "before", |query| query % 2 + 1);
    let after = evaluation(folder.path(), "after", |query| query % 3 + 2);
    let answer = run(&["diff", &before, &after]);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert!(answer.stdout.starts_with("ndcg@10 over 80 queries\n"), "{}", answer.stdout);
    let row = |name: &str| {
        answer
            .stdout
            .lines()
            .find(|line| line.split(['|', ' ']).any(|word| word == name))
            .unwrap()
            .to_owned()
    };
    assert!(
        row("bm25").contains("the same") && row("tuned").contains(" worse |"),
        "{}",
        answer.stdout
    );
    let gate = run(&["diff", &before, &after, "--gate"]);
    assert_eq!(gate.code, Some(1));
    assert!(
        gate.stderr.contains("worse by ndcg@10 than in") && gate.stderr.contains(": tuned"),
        "{}",
        gate.stderr
    );
    assert_eq!(run(&["diff", &after, &before, "--gate"]).code, Some(0), "better is not worse");
    assert_eq!(run(&["diff", &before, &after, "--gate", "--run", "bm25"]).code, Some(0));
    let files = [format!("{before}/measures.json"), format!("{after}/per_query.jsonl")];
    let json = run(&["diff", &files[0], &files[1], "--measure", "map", "--json"]).json();
    assert_eq!((&json["measure"], &json["runs"][1]["change"]), (&"map".into(), &"worse".into()));
}

#[test]
fn what_is_no_evaluation_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = text(folder.path());
    assert_fails(
        &["diff", &here, &here],
        folder.path(),
        "error: `DIR` is no evaluation: `DIR/per_query.jsonl` is not there
hint: name a folder that `whetstone eval --out` made",
    );
    assert_fails(
        &["runs", &format!("{here}/nowhere")],
        folder.path(),
        "error: `DIR/nowhere` is no folder
hint: name a folder with evaluations below it",
    );
    let good = evaluation(folder.path(), "good", |_| 1);
    assert_fails(
        &["diff", &good, &good, "--run", "nobody"],
        folder.path(),
        "error: there is no run `nobody`
hint: the runs are `bm25`, `tuned`",
    );
    assert_fails(
        &["diff", &good, &good, "--measure", "hit@3"],
        folder.path(),
        "error: run `bm25` was not measured by hit@3
hint: add hit@3 to the measures",
    );
    let broken = folder.path().join("broken.jsonl");
    fs::write(&broken, "{\"query_id\": \"q\"}\n").unwrap();
    let outcome = run(&["diff", &text(&broken), &good]);
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.contains(
            "broken.jsonl` line 1 is not the JSON that was expected: missing field `runs`"
        ),
        "{}",
        outcome.stderr
    );
}
