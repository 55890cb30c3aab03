use crate::whetstone::{run, text};
use std::fs;

#[test]
fn beir_and_trec_qrels_give_the_same_json_in_the_order_of_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name));
    fs::write(path("test.tsv"), "query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\tb\t2\n").unwrap();
    fs::write(path("test.qrels"), "q1 0 a 1\nq2 0 b 2\n").unwrap();
    fs::write(path("good.run"), "q1 Q0 a 1 2.0 x\nq1 Q0 c 2 1.0 x\nq2 Q0 b 1 0.5 x\n").unwrap();
    fs::write(path("half.run"), "q1 Q0 c 1 2.0 x\nq1 Q0 a 2 1.0 x\n").unwrap();
    let (good, half) = (format!("z={}", path("good.run")), format!("a={}", path("half.run")));
    let eval = |qrels: &str| run(&["eval", "--qrels", &path(qrels), "--run", &good, "--run", &half, "--json"]);
    let answer = eval("test.tsv");
    assert_eq!(answer.stdout, eval("test.qrels").stdout);
    assert!(answer.stdout.find("\"z\"") < answer.stdout.find("\"a\""));
    let runs = &answer.json()["runs"];
    for measure in ["ndcg@10", "mrr@10", "p@1", "recall@10", "map"] {
        assert_eq!(runs["z"][measure], 1.0, "{measure}");
    }
    assert_eq!(runs["a"]["queries"], 2);
    assert_eq!(runs["a"]["mrr@10"], 0.25, "half for one query, nothing for the one that is missing");

    let table = run(&["eval", "--qrels", &path("test.tsv"), "--run", &good, "--run", &half]);
    assert!(table.stdout.starts_with("| run | queries | ndcg@10 |"), "{}", table.stdout);
    assert!(table.stderr.contains("run `a` has no ranking for 1 of 2 queries"), "{}", table.stderr);
}
