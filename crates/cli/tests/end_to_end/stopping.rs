//! Commands that are stopped in the middle, and that meet each other.

use crate::whetstone::{
    QUICKSTART, command, quickstart_folder, run, text, tiny_model, train_config,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The arguments of a training long enough to be stopped in the middle, and where it writes.
fn long_training(folder: &Path, out: &str) -> (Vec<String>, PathBuf) {
    let config = train_config(folder, "").replace("train.toml", "long.toml");
    let long =
        fs::read_to_string(folder.join("train.toml")).unwrap().replace("epochs = 2", "epochs = 40");
    fs::write(&config, long).unwrap();
    let (data, out) = (text(&quickstart_folder().join("data")), folder.join(out));
    let args = ["train", "--config", &config, "--data", &data, "--out", out.to_str().unwrap()];
    (args.map(str::to_owned).to_vec(), out)
}

/// The same for a training that ends only when it is stopped, however late the test looks again.
fn endless_training(folder: &Path, out: &str) -> (Vec<String>, PathBuf) {
    let training = long_training(folder, out);
    let config = folder.join("long.toml");
    let endless =
        fs::read_to_string(&config).unwrap().replace("epochs = 40", "epochs = 4000\npatience = 0");
    fs::write(&config, endless).unwrap();
    training
}

/// Starts a command and waits until it has written a checkpoint. Signals do what they do in a
/// terminal, even where the tests run in the background of a script, which ignores Ctrl-C.
fn start(args: &[&str], out: &Path) -> Child {
    let mut started = command(args);
    #[cfg(unix)]
    // SAFETY: `signal` may be called between fork and exec.
    unsafe {
        use std::os::unix::process::CommandExt;
        started.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        });
    }
    let mut child = started.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !out.join("step-000030").exists() {
        assert!(
            Instant::now() < deadline && child.try_wait().unwrap().is_none(),
            "no checkpoint before the end"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn a_killed_training_goes_on_and_ends_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let (whole_args, whole) = long_training(folder.path(), "whole");
    let (killed_args, killed) = long_training(folder.path(), "killed");

    assert_eq!(run(&strs(&whole_args)).code, Some(0));
    let mut child = start(&strs(&killed_args), &killed);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("manifests/train.json").exists(), "a manifest says that all is whole");

    let outcome = run(&strs(&killed_args));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for name in ["log.jsonl", "best.json"] {
        assert_eq!(
            fs::read(whole.join(name)).unwrap(),
            fs::read(killed.join(name)).unwrap(),
            "{name}"
        );
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_line_that_says_where_it_stood_and_how_to_resume() {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().unwrap();
    let (args, out) = endless_training(folder.path(), "stopped");
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let child = start(&strs(&args), &out);
        // SAFETY: kill has no preconditions, and the process is a child not yet waited for.
        assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, signal) }, 0);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.signal(), Some(signal), "shells see what happened");
        let stderr = String::from_utf8(ended.stderr).unwrap();
        let last = stderr.lines().last().unwrap();
        assert!(last.starts_with("stopped in `train` at "), "{stderr}");
        assert!(last.ends_with("steps; run the same command again to resume"), "{stderr}");
        fs::remove_dir_all(&out).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_signal_that_is_to_be_ignored_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let (args, out) = long_training(folder.path(), "background");
    // As a shell starts a job in the background.
    let script = "trap '' INT; exec \"$0\" \"$@\"";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_whetstone")]).args(&args);
    let mut child =
        shell.current_dir(crate::whetstone::repository()).stderr(Stdio::null()).spawn().unwrap();
    while !out.join("step-000010").exists() {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(2));
    }
    // SAFETY: kill has no preconditions, and the process is a child not yet waited for.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) }, 0);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_second_run_on_the_same_folder_is_refused_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (args, out) = long_training(folder.path(), "busy");
    let child = start(&strs(&args), &out);
    let second = run(&strs(&args));
    let expected = format!("another run of whetstone is writing to `{}`", text(&out));
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains(&expected), "{}", second.stderr);
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(run(&strs(&args)).stderr.contains("up to date"));
}

/// The files below a folder by name, without what tells times: manifests, reports, and lines of
/// milliseconds.
fn files(folder: &Path, below: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(below).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        match name.to_str().unwrap() {
            "manifests" | "report.html" | "report.md" => {}
            _ if path.is_dir() => files(folder, &path, found),
            "measures.json" => {
                let text = fs::read_to_string(&path).unwrap();
                let lines = text.lines().filter(|line| !line.contains("ms_per_query"));
                found.insert("measures.json".into(), lines.collect::<String>().into_bytes());
            }
            _ => {
                found.insert(text(path.strip_prefix(folder).unwrap()), fs::read(&path).unwrap());
            }
        }
    }
}

#[test]
fn killed_again_and_again_in_every_stage_quickstart_ends_with_the_same_bytes_and_nothing_else() {
    let (mut whole, model) = (BTreeMap::new(), tiny_model());
    files(quickstart_folder(), quickstart_folder(), &mut whole);
    let mut kills = 0;
    for first in [5, 17, 31] {
        let folder = tempfile::tempdir().unwrap();
        let out = text(folder.path());
        let args = [&QUICKSTART[..], &["--model", &model, "--out", &out, "--quiet"]].concat();
        // Every run gets a little further than the one before, so that the kills are spread over
        // all that is done.
        for life in (0..).map(|more| Duration::from_millis(first + 7 * more)) {
            let mut child =
                command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(life);
            match child.try_wait().unwrap() {
                Some(status) => {
                    assert_eq!(
                        status.code(),
                        Some(0),
                        "after {kills} kills: {}",
                        run(&args).stderr
                    );
                    break;
                }
                None => kills += 1,
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let mut killed = BTreeMap::new();
        files(folder.path(), folder.path(), &mut killed);
        let names = |of: &BTreeMap<String, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&killed), names(&whole));
        let other: Vec<_> = whole
            .iter()
            .filter(|(name, bytes)| killed[*name] != **bytes)
            .map(|(name, _)| name)
            .collect();
        assert!(other.is_empty(), "{other:?}");
    }
    assert!(kills >= 10, "only {kills} runs lived long enough to be killed");
}
