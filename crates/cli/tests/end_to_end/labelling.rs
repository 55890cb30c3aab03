//! The labeller in a terminal of its own.
#![cfg(unix)]

use crate::whetstone::{assert_fails, command, quickstart_folder, run, text};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Stdio};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A command whose input and screen are a pseudo terminal.
struct Pty {
    keys: File,
    screen: Arc<Mutex<String>>,
    child: Child,
}

impl Pty {
    fn spawn(args: &[&str]) -> Self {
        let (mut master, mut slave) = (0, 0);
        // SAFETY: openpty writes two descriptors, which nobody else owns, to the places that it is
        // given.
        let opened =
            unsafe { libc::openpty(&mut master, &mut slave, null_mut(), null_mut(), null_mut()) };
        assert_eq!(opened, 0, "no pseudo terminal can be had");
        // SAFETY: both descriptors were just opened.
        let (master, slave) =
            unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let mut command = command(args);
        command
            .env("TERM", "xterm")
            .stdin(slave.try_clone().unwrap())
            .stdout(Stdio::piped())
            .stderr(slave);
        let child = command.spawn().unwrap();
        drop(command);
        let keys = File::from(master);
        let (mut reader, screen) = (keys.try_clone().unwrap(), Arc::new(Mutex::new(String::new())));
        let shown = screen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { keys, screen, child }
    }

    /// Waits until the screen has shown a text since the last key.
    fn wait(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.screen.lock().unwrap().contains(text) {
            assert!(
                Instant::now() < deadline,
                "`{text}` was not shown: {}",
                self.screen.lock().unwrap()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn press(&mut self, keys: &str, then: &str) {
        self.screen.lock().unwrap().clear();
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.wait(then);
    }

    fn end(mut self) -> (Option<i32>, String) {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (self.child.wait().unwrap().code(), stdout)
    }
}

fn grades(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.rsplit_once('\t').unwrap().1.to_owned()).collect()
}

#[test]
fn grades_survive_a_kill_and_the_next_session_goes_on_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("judgements.tsv");
    let (data, out) = (text(&quickstart_folder().join("data")), text(&path));
    let args = ["label", "--data", &data, "--out", &out, "--depth", "3", "--json"];
    let mut first = Pty::spawn(&args);
    first.wait("query 1 of 3");
    first.press("2", "kept: 2");
    first.press("0", "kept: 0");
    first.child.kill().unwrap();
    first.end();
    assert_eq!(grades(&path), ["2", "0"], "what was pressed is on the disk, whatever happens next");

    let mut second = Pty::spawn(&args);
    second.wait("2 of ");
    second.press("?", "take the last grade back");
    second.press("?", "passage 3 of ");
    second.press("x", "that key does nothing here");
    second.press("3", "kept: 3");
    second.press("s", "skipped");
    second.press("u", "taken back");
    assert_eq!(grades(&path), ["2", "0"]);
    second.press("b", "judged: 0");
    second.press("1", "kept: 1");
    assert_eq!(grades(&path), ["2", "1"]);
    second.press("q", "\u{1b}[?1049l");
    let (code, stdout) = second.end();
    let summary: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (code, &summary["judged"], &summary["queries_with_answer"]),
        (Some(0), &2.into(), &1.into())
    );

    let bm25 = format!("bm25={}", text(&quickstart_folder().join("data/runs/bm25.run")));
    let measured = run(&["eval", "--qrels", &out, "--run", &bm25, "--json"]).json();
    assert_eq!(measured["runs"]["bm25"]["queries"], 1, "the file is a qrels");
}

#[test]
fn all_passages_judged_ends_the_session_and_ctrl_c_quits_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("judgements.qrels");
    let data = quickstart_folder().join("data");
    let [corpus, queries, bm25] =
        ["corpus.jsonl", "queries.jsonl", "runs/bm25.run"].map(|name| text(&data.join(name)));
    let (named, out) = (format!("bm25={bm25}"), text(&path));
    let args = [
        "label",
        "--corpus",
        &corpus,
        "--queries",
        &queries,
        "--run",
        &named,
        "--out",
        &out,
        "--depth",
        "1",
    ];
    let mut quit = Pty::spawn(&args);
    quit.wait("query 1 of 3");
    quit.press("\u{3}", "0 of 3 passages judged");
    assert_eq!(quit.end().0, Some(0));
    let mut all = Pty::spawn(&args);
    all.wait("query 1 of 3");
    all.press("1", "query 2 of 3");
    all.press("1", "query 3 of 3");
    all.press("1", "3 of 3 passages judged");
    assert_eq!(all.end().0, Some(0));
    assert_eq!(
        fs::read_to_string(&path)
            .unwrap()
            .lines()
            .filter(|line| line.split(' ').count() == 4)
            .count(),
        3
    );
}

#[test]
fn without_a_terminal_it_says_so_and_bad_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = text(&folder.path().join("a.tsv"));
    let data = text(&quickstart_folder().join("data"));
    assert_fails(
        &["label", "--data", &data, "--out", &out],
        folder.path(),
        "error: labelling needs a terminal for its input and its screen\n\
         hint: run it in a terminal, without redirecting standard input or standard error",
    );
    assert!(!Path::new(&out).exists());
    fs::create_dir(folder.path().join("runs")).unwrap();
    let empty = text(folder.path());
    let no_runs = Pty::spawn(&["label", "--data", &empty, "--out", &out]);
    no_runs.wait("holds no runs");
    assert_eq!(no_runs.end().0, Some(2));
    let stray = folder.path().join("stray.run");
    fs::write(&stray, "q1 Q0 nowhere 1 1.0 x\n").unwrap();
    let named = format!("x={}", text(&stray));
    let missing = Pty::spawn(&["label", "--data", &data, "--run", &named, "--out", &out]);
    missing.wait("1 queries are not in");
    assert_eq!(missing.end().0, Some(2));
}
