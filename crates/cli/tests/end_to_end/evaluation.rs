use crate::whetstone::{assert_fails, copy_folder, quickstart_folder, run, text};
use std::fs;
use std::path::Path;

#[test]
fn beir_and_trec_qrels_give_the_same_json_in_the_order_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name));
    fs::write(path("test.tsv"), "query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\tb\t2\n").unwrap();
    fs::write(path("test.qrels"), "q1 0 a 1\nq2 0 b 2\n").unwrap();
    fs::write(path("good.run"), "q1 Q0 a 1 2.0 x\nq1 Q0 c 2 1.0 x\nq2 Q0 b 1 0.5 x\n").unwrap();
    fs::write(path("half.run"), "q1 Q0 c 1 2.0 x\nq1 Q0 a 2 1.0 x\n").unwrap();
    let (good, half) = (format!("z={}", path("good.run")), format!("a={}", path("half.run")));
    let eval = |qrels: &str| {
        run(&["eval", "--qrels", &path(qrels), "--run", &good, "--run", &half, "--json"])
    };
    let answer = eval("test.tsv");
    assert_eq!(answer.stdout, eval("test.qrels").stdout);
    assert!(answer.stdout.find("\"z\"") < answer.stdout.find("\"a\""));
    let runs = &answer.json()["runs"];
    for measure in ["ndcg@10", "mrr@10", "p@1", "recall@10", "map"] {
        assert_eq!(runs["z"][measure], 1.0, "{measure}");
    }
    assert_eq!(runs["a"]["queries"], 2);
    assert_eq!(
        runs["a"]["mrr@10"], 0.25,
        "half for one query, nothing for the one that is missing"
    );

    let table = run(&["eval", "--qrels", &path("test.tsv"), "--run", &good, "--run", &half]);
    assert!(table.stdout.starts_with("| run | queries |   ndcg@10 |"), "{}", table.stdout);
    assert!(table.stderr.contains("run `a` has no ranking for 1 of 2 queries"), "{}", table.stderr);
}

/// Where a run has the relevant passage of a query.
type RankOf = fn(usize) -> usize;

/// Qrels and runs over 80 queries with ten candidates: `NAME.run` has the relevant one at the rank
/// that is given.
pub fn collection(folder: &Path, runs: &[(&str, RankOf)]) -> Vec<String> {
    let qrels: String = (0..80).map(|query| format!("q{query} 0 right 1\n")).collect();
    fs::write(folder.join("test.qrels"), qrels).unwrap();
    let line =
        |query: usize, passage: &str, score: f32| format!("q{query} Q0 {passage} 0 {score} x\n");
    for (name, rank) in runs {
        let ranking = |query: usize| {
            let others: String =
                (0..9).map(|other| line(query, &format!("p{other}"), -(other as f32))).collect();
            others + &line(query, "right", 1.5 - rank(query) as f32)
        };
        fs::write(folder.join(format!("{name}.run")), (0..80).map(ranking).collect::<String>())
            .unwrap();
    }
    let run = |name: &&str| {
        ["--run".to_owned(), format!("{name}={}", text(&folder.join(format!("{name}.run"))))]
    };
    let names: Vec<&str> = runs.iter().map(|(name, _)| *name).collect();
    ["eval".to_owned(), "--qrels".into(), text(&folder.join("test.qrels"))]
        .into_iter()
        .chain(names.iter().flat_map(run))
        .collect()
}

fn with<'a>(args: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    args.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

#[test]
fn the_gate_opens_for_ship_alone() {
    let folder = tempfile::tempdir().unwrap();
    let args = collection(
        folder.path(),
        &[
            ("bm25", |query| query % 4 + 2),
            ("good", |query| query % 2 + 1),
            ("bad", |_| 9),
            ("alike", |query| (query + 1) % 4 + 2),
        ],
    );
    for (system, baseline, decision, code) in [
        ("good", "bm25", "SHIP", 0),
        ("bad", "bm25", "DON'T SHIP", 1),
        ("alike", "bm25", "NOT ENOUGH QUERIES", 1),
        ("bm25", "good", "DON'T SHIP", 1),
    ] {
        let outcome = run(&with(&args, &["--system", system, "--baseline", baseline, "--gate"]));
        assert_eq!(outcome.code, Some(code), "{system}: {}{}", outcome.stdout, outcome.stderr);
        let last = outcome.stdout.lines().last().unwrap();
        assert!(last.starts_with(&format!("{decision}: ")), "{last}");
        let closed = format!("error: the gate stays closed for `{system}`: {decision}\n");
        assert_eq!(outcome.stderr, if code == 0 { String::new() } else { closed });
        assert_eq!(
            run(&with(&args, &["--system", system, "--baseline", baseline])).code,
            Some(0),
            "without --gate"
        );
    }
    let json = run(&with(&args, &["--json"])).json();
    let verdict = &json["verdict"];
    assert_eq!(
        (&verdict["decision"], &verdict["system"], &verdict["baseline"]),
        (&"ship".into(), &"good".into(), &"bm25".into())
    );
    assert_eq!(json["oracle"]["ndcg@10"], 1.0);
    // Three systems by five measures: the share of judged passages is none to compare by.
    assert_eq!(json["comparisons"].as_array().unwrap().len(), 15);
}

#[test]
fn systems_with_other_candidates_get_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let args = collection(folder.path(), &[("bm25", |query| query % 4 + 2), ("good", |_| 1)]);
    let path = folder.path().join("good.run");
    let shorter: String = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .filter(|line| !line.contains(" p8 "))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&path, shorter).unwrap();
    let outcome = run(&with(&args, &["--gate"]));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stdout.contains(
            "NO VERDICT: runs `bm25` and `good` rank different candidates for 80 of 80 queries"
        ),
        "{}",
        outcome.stdout
    );
    assert!(!outcome.stdout.contains("| oracle"), "{}", outcome.stdout);
}

#[test]
fn measures_and_rules_are_the_users_to_choose() {
    let folder = tempfile::tempdir().unwrap();
    let args = collection(
        folder.path(),
        &[("bm25", |query| query % 4 + 2), ("good", |query| query % 2 + 1)],
    );
    let more = [
        "--measures",
        "hit@3,ndcg-exp@5,map",
        "--primary",
        "mrr@5",
        "--worthwhile-gain",
        "0.9",
        "--json",
    ];
    let json = run(&with(&args, &more)).json();
    let measures: Vec<_> =
        json["runs"]["good"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(measures, ["hit@3", "map", "missing_queries", "mrr@5", "ndcg-exp@5", "queries"]);
    assert_eq!(json["runs"]["bm25"]["hit@3"], 0.5);
    assert_eq!(
        (&json["primary"], &json["verdict"]["decision"]),
        (&"mrr@5".into(), &"dont-ship".into())
    );
    let few = run(&with(&args, &["--min-queries", "81", "--json"])).json();
    assert_eq!(few["verdict"]["decision"], "not-enough-queries");
}

#[test]
fn a_report_is_written_once_and_is_about_the_texts() {
    let folder = tempfile::tempdir().unwrap();
    let made = quickstart_folder();
    let [data, tuned] = ["data", "runs/tuned.run"].map(|name| text(&made.join(name)));
    // The recommendation is written beside the weights.
    let model = folder.path().join("model");
    copy_folder(&made.join("model"), &model);
    let model = text(&model);
    let (out, tuned) = (text(&folder.path().join("eval")), format!("tuned={tuned}"));
    let args = ["eval", "--data", &data, "--run", &tuned, "--model", &model, "--out", &out];
    let first = run(&args);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    assert!(
        first.stderr.contains("report: ") && first.stderr.contains("report.html"),
        "{}",
        first.stderr
    );
    for name in ["bm25", "dense", "candidates", "tuned", "oracle"] {
        assert!(first.stdout.contains(&format!("| {name} ")), "{}", first.stdout);
    }
    let read = |name: &str| fs::read_to_string(Path::new(&out).join(name)).unwrap();
    let html = read("report.html");
    for part in [
        "how often should the chain be oiled",
        "NOT ENOUGH QUERIES",
        "rerank-tuned",
        "Truncation",
        "<mark>",
    ] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("http") && !html.contains("<script"), "a report loads nothing");
    assert!(read("report.md").contains("## NOT ENOUGH QUERIES"));
    let measures: serde_json::Value = serde_json::from_str(&read("measures.json")).unwrap();
    assert_eq!(measures["baseline"], "candidates");
    let slices = measures["why"]["slices"].as_array().unwrap();
    assert!(slices.iter().any(|group| group["by"] == "first stage"), "{slices:?}");
    assert_eq!(
        (&measures["verdict"]["system"], &measures["why"]["depth"][0]["system"]),
        (&"tuned".into(), &"tuned".into())
    );
    assert_eq!(read("per_query.jsonl").lines().count(), 3);

    let again = run(&args);
    assert!(again.stderr.contains("eval: up to date"), "{}", again.stderr);
    assert_eq!(again.stdout, first.stdout);
    let forced = run(&[&args[..], &["--force"]].concat());
    assert!(forced.stderr.contains("eval: done in"), "{}", forced.stderr);
    assert_eq!(read("report.html"), html, "the same inputs give the same bytes");
    fs::write(Path::new(&out).join("report.html"), "").unwrap();
    assert!(run(&args).stderr.contains("eval: done in"), "a report that was touched is made again");
    assert_eq!(read("report.html"), html);
}

#[test]
fn a_calibrated_model_is_shown_with_its_reliability() {
    let folder = tempfile::tempdir().unwrap();
    let made = quickstart_folder();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    // All but what quickstart's own calibration left there.
    let is_of_model =
        |entry: &fs::DirEntry| entry.path().is_file() && entry.file_name() != "whetstone.json";
    for entry in fs::read_dir(made.join("model")).unwrap().map(Result::unwrap).filter(is_of_model) {
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let [data, tuned] = ["data", "runs/tuned.run"].map(|name| text(&made.join(name)));
    let (model, out, tuned) =
        (text(&model), text(&folder.path().join("eval")), format!("tuned={tuned}"));
    let args =
        ["eval", "--data", &data, "--run", &tuned, "--model", &model, "--out", &out, "--quiet"];
    let html = || {
        assert_eq!(run(&args).code, Some(0));
        fs::read_to_string(Path::new(&out).join("report.html")).unwrap()
    };
    assert!(!html().contains("<h2>Calibration"));
    let calibrated = run(&["calibrate", "--model", &model, "--data", &data]);
    assert_eq!(calibrated.code, Some(0), "{}", calibrated.stderr);
    let html = html();
    assert!(
        html.contains("<h2>Calibration") && html.contains("calibration error on dev"),
        "a new input, a new report"
    );
}

#[test]
fn leakage_from_training_withholds_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let args = collection(folder.path(), &[("bm25", |query| query % 4 + 2), ("good", |_| 1)]);
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let passage = |id: &str| format!("{{\"_id\":\"{id}\",\"text\":\"text of {id}\"}}\n");
    write(
        "corpus.jsonl",
        (0..9).map(|other| passage(&format!("p{other}"))).chain([passage("right")]).collect(),
    );
    let query = |query: usize| {
        format!("{{\"_id\":\"q{query}\",\"text\":\"question {query} about a thing\"}}\n")
    };
    write("queries.jsonl", (0..80).map(query).collect());
    let pair = |passage: &str| {
        format!(
            "{{\"query\":\"other\",\"passage\":\"x\",\"label\":1,\"query_id\":\"t\",\"passage_id\":\"{passage}\"}}\n"
        )
    };
    let data = text(folder.path());
    for (trained, code, said) in [
        ("p3", 0, "SHIP: "),
        ("right", 1, "NO VERDICT: 1 of 1 documents that answer test queries were trained on"),
    ] {
        write("train.jsonl", pair(trained));
        let outcome = run(&with(&args, &["--data", &data, "--gate"]));
        assert_eq!(outcome.code, Some(code), "{}{}", outcome.stdout, outcome.stderr);
        assert!(outcome.stdout.contains(said), "{}", outcome.stdout);
    }
}

#[test]
fn evaluations_that_cannot_be_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let args = collection(folder.path(), &[("bm25", |_| 2), ("good", |_| 1)]);
    let fails =
        |more: &[&str], expected: &str| assert_fails(&with(&args, more), folder.path(), expected);
    fails(&["--baseline", "bm"], "error: there is no run `bm`\nhint: the runs are `bm25`, `good`");
    fails(
        &["--baseline", "good", "--system", "good"],
        "error: `good` is the baseline and cannot be the system as well\nhint: name two different runs",
    );
    fails(&["--alpha", "0.7"], "error: `alpha` must be in (0, 0.5), got 0.7");
    let missing = text(&folder.path().join("no.run"));
    fails(
        &["--candidates", &missing],
        "error: cannot read `DIR/no.run`: No such file or directory (os error 2)\nhint: check the path; nothing was written",
    );
    assert_fails(
        &with(&args[..5], &["--gate"]),
        folder.path(),
        "error: there is nothing to compare: only one run\nhint: give a baseline and a system with --run",
    );
    let empty = folder.path().join("empty.qrels");
    fs::write(&empty, "\n").unwrap();
    let bm25 = &args[4];
    assert_fails(
        &["eval", "--qrels", &text(&empty), "--run", bm25],
        folder.path(),
        "error: `DIR/empty.qrels` has no records\nhint: check that this is the file you meant",
    );
    let unknown = run(&with(&args, &["--measures", "f1@10"]));
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("`f1@10` is not a measure"), "{}", unknown.stderr);
}
