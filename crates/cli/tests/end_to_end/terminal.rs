use crate::whetstone::{command, quickstart_folder, run, text};
use std::io::{Read, Write};
use std::process::Stdio;

const COMMANDS: [&str; 21] = [
    "pull",
    "synth",
    "chunk",
    "ask",
    "mine",
    "grade",
    "pair",
    "train",
    "export",
    "calibrate",
    "rerank",
    "fuse",
    "eval",
    "runs",
    "diff",
    "label",
    "forgetting",
    "answers",
    "quickstart",
    "devices",
    "completions",
];

#[test]
fn every_command_has_help_with_an_example() {
    for name in COMMANDS {
        let help = run(&[name, "--help"]);
        assert_eq!(help.code, Some(0));
        let example =
            help.stdout.split_once("Example").unwrap_or_else(|| panic!("{name} has no example")).1;
        assert!(example.contains(&format!("whetstone {name}")), "{name}: {example}");
    }
    let whole = run(&["--help"]).stdout;
    assert!(COMMANDS.iter().all(|name| whole.contains(&format!("  {name} "))), "{whole}");
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).stdout;
        assert!(COMMANDS.iter().all(|name| script.contains(name)), "{shell}");
    }
}

#[test]
fn without_a_terminal_there_are_no_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, out) =
        (text(&quickstart_folder().join("checkpoint")), text(&folder.path().join("model")));
    for args in [
        &["export", "--checkpoint", &checkpoint, "--out", &out][..],
        &["export", "--checkpoint", "x", "--out", "y"],
    ] {
        let outcome = run(args);
        let talk = outcome.stdout + &outcome.stderr;
        assert!(!talk.is_empty() && !talk.chars().any(|c| c.is_control() && c != '\n'), "{talk:?}");
    }
}

#[test]
fn quiet_says_nothing_where_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, out) =
        (text(&quickstart_folder().join("checkpoint")), text(&folder.path().join("model")));
    let outcome = run(&["export", "--checkpoint", &checkpoint, "--out", &out, "--quiet"]);
    assert_eq!((outcome.code, outcome.stdout + &outcome.stderr), (Some(0), String::new()));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let model = text(&quickstart_folder().join("model"));
    let mut child = command(&["rerank", "--model", &model, "--query", "light"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"one passage\n").unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr), (Some(0), String::new()));
}

#[test]
fn a_closed_stderr_is_no_panic() {
    let mut child = command(&["eval", "--qrels", "nowhere.tsv", "--run", "a=b"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_wrong_command_line_is_exit_code_2_and_names_what_is_wrong() {
    for (args, part) in [
        (&["rerank", "--model", "x"][..], "--query <TEXT>"),
        (
            &["eval", "--qrels", "x", "--run", "bm25.run"],
            "expected NAME=RUN, such as bm25=bm25.run",
        ),
        (
            &["train", "--config", "a", "--data", "b", "--out", "c", "--device", "tpu"],
            "unknown device `tpu`",
        ),
        (&["sharpen"], "unrecognized subcommand 'sharpen'"),
    ] {
        let outcome = run(args);
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
}
