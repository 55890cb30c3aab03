//! Tests of `chunk` on folders.

use super::*;
use crate::fixture::Rewriting;
use std::fs;
use whetstone_records::{DocumentId, Hint, Silent, read_jsonl};

/// A token is a run of non-space characters.
fn by_words(text: &str) -> Result<Vec<(usize, usize)>> {
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    Ok(text.split_whitespace().map(|word| (start(word), start(word) + word.len())).collect())
}

fn run(input: &Path, out: &Path, config: &ChunkConfig) -> Result<Manifest> {
    run_watched(input, out, config, &Silent)
}

fn run_watched(
    input: &Path,
    out: &Path,
    config: &ChunkConfig,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let tokenizer = Input::from(("tokenizer".to_owned(), "by-words".to_owned()));
    let measure = Measure { tokenize: &by_words, unknown_fraction: &|_| Ok(0.0), tokenizer };
    let config = SynthConfig { chunk: config.clone(), ..SynthConfig::default() };
    chunk_with(input, out, measure, &config, progress)
}

fn corpus(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

#[test]
fn a_folder_becomes_titled_passages_that_are_slices_of_their_documents() {
    let text =
        "# Pump\n\nIt runs all day long here.\n\n## Noise\n\nIt hums in the night as well.\n";
    let folder = corpus(&[
        ("b/pump one.md", text.as_bytes()),
        ("a.txt", b"One two three."),
        ("c.bin", b"x"),
    ]);
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    let config = ChunkConfig { min_tokens: 3, ..ChunkConfig::default() };
    let manifest = run(&input, &out, &config).unwrap();
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).unwrap();
    let found: Vec<_> =
        passages.iter().map(|p| (p.id.as_str(), p.title.as_str(), p.text.as_str())).collect();
    let expected = [
        ("a.txt#0001", "a", "One two three."),
        ("b/pump%20one.md#0001", "Pump", "It runs all day long here."),
        ("b/pump%20one.md#0002", "Pump > Noise", "It hums in the night as well."),
    ];
    assert_eq!(found, expected);
    assert_eq!(passages[2].metadata.document, Some("b/pump one.md".into()));
    let (start, end) = passages[2].metadata.span.unwrap();
    assert_eq!(&text[start..end], passages[2].text);
    let count = |name: &str| manifest.counts[name];
    assert_eq!((count("documents"), count("passages"), count("tokens-max")), (2, 3, 7));
    assert_eq!(count("skipped-other-extension"), 1);
    assert_eq!(
        manifest.notes,
        ["skipped `c.bin`: neither Markdown (.md, .markdown, .mdx), .txt nor HTML (.html, .htm)"]
    );
    assert!(run(&input, &out, &config).unwrap().up_to_date);
    fs::write(input.join("a.txt"), "Four five six.").unwrap();
    assert!(!run(&input, &out, &config).unwrap().up_to_date);
}

#[test]
fn a_document_that_changes_while_it_is_read_is_named_and_nothing_counts_as_done() {
    let beir = br#"{"_id": "a", "text": "One two three four."}"#;
    for (name, text) in [("a.md", &b"One two three."[..]), ("corpus.jsonl", beir)] {
        let folder = corpus(&[(name, text)]);
        let (input, out) = (folder.path().join("in"), folder.path().join("out"));
        let file = input.join(name);
        let input = if name == "a.md" { &input } else { &file };
        let config = ChunkConfig { min_tokens: 3, ..ChunkConfig::default() };
        let error = run_watched(input, &out, &config, &Rewriting(&file)).unwrap_err();
        let expected = format!("`{}` was changed while it was read", file.display());
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().unwrap().starts_with("run the same command again"));
        fs::write(&file, text).unwrap();
        assert!(!run(input, &out, &config).unwrap().up_to_date);
    }
}

/// A page as mdBook writes it.
fn page(title: &str, body: &str) -> String {
    format!(
        "<title>{title} - The Plant Book</title><body><div><h2>Keys</h2><p>Press ? for help</p></div>\
         <nav>Menu</nav><h1>The Plant Book</h1><main><h1>{title}</h1>{body}</main>"
    )
}

#[test]
fn a_site_is_cut_without_what_repeats_on_its_pages() {
    const STATUS: &str = "<h2>Exit status</h2><p>0 is success and 101 is failure.</p>";
    let own = |at: usize| format!("<p>Pump {at} runs at {} turns a minute.</p>", 2000 + at);
    let chapters: Vec<String> =
        (0..5).map(|at| format!("{}{}", own(at), if at < 2 { STATUS } else { "" })).collect();
    let pages: Vec<String> =
        chapters.iter().enumerate().map(|(at, body)| page(&format!("Pump {at}"), body)).collect();
    let print: String =
        chapters.iter().enumerate().map(|(at, body)| format!("<h1>Pump {at}</h1>{body}")).collect();
    let print = page("Print", &print);
    let names: Vec<String> = (0..5).map(|at| format!("{at}.html")).collect();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().zip(&pages).map(|(name, page)| (name.as_str(), page.as_bytes())).collect();
    files.push(("print.html", print.as_bytes()));
    let folder = corpus(&files);
    let config = ChunkConfig { min_tokens: 3, ..ChunkConfig::default() };
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    let manifest = run(&input, &out, &config).unwrap();
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).unwrap();
    let titles: Vec<&str> = passages.iter().map(|passage| passage.title.as_str()).collect();
    assert_eq!(titles, ["Pump 0", "Exit status", "Pump 1", "Pump 2", "Pump 3", "Pump 4"]);
    let documents = passages[1].documents();
    assert_eq!(documents.iter().map(DocumentId::as_str).collect::<Vec<_>>(), ["0.html", "1.html"]);
    assert!(passages.iter().all(|passage| !passage.text.contains("Press")));
    let count = |name: &str| manifest.counts[name];
    assert_eq!((count("left-out-copies"), count("documents")), (1, 5));
    assert_eq!((count("passages-in-several-places"), count("places-of-these")), (1, 2));
    assert_eq!(manifest.notes[0], "left out, other pages hold the same text: `print.html`");

    let all = ChunkConfig { drop_repeats: false, ..config };
    let manifest = run(&input, &out, &all).unwrap();
    assert_eq!((manifest.counts["documents"], manifest.notes.len()), (6, 0));
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).unwrap();
    assert!(passages.len() > 10 && passages.iter().all(|passage| !passage.title.contains("Book")));
}

#[cfg(target_os = "linux")]
#[test]
fn files_whose_names_are_no_utf8_have_passages_of_their_own() {
    use std::os::unix::ffi::OsStrExt;
    let folder = corpus(&[("caf%E9.md", b"One two three.")]);
    let name = |bytes: &[u8]| folder.path().join("in").join(std::ffi::OsStr::from_bytes(bytes));
    fs::write(name(b"caf\xe8.md"), "Four five six.").unwrap();
    fs::write(name(b"caf\xff.md"), "Seven eight nine.").unwrap();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    run(&input, &out, &ChunkConfig { min_tokens: 3, ..ChunkConfig::default() }).unwrap();
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).unwrap();
    let ids: Vec<&str> = passages.iter().map(|passage| passage.id.as_str()).collect();
    assert_eq!(ids, ["caf%25E8.md#0001", "caf%25E9.md#0001", "caf%25FF.md#0001"]);
}

#[test]
fn the_pieces_of_a_record_take_no_other_records_id() {
    let words = "w ".repeat(300);
    let lines =
        format!("{{\"_id\":\"7\",\"text\":\"{words}\"}}\n{{\"_id\":\"7#0001\",\"text\":\"x\"}}\n");
    let folder = corpus(&[("corpus.jsonl", lines.as_bytes())]);
    let (input, out) = (folder.path().join("in/corpus.jsonl"), folder.path().join("out"));
    run(&input, &out, &ChunkConfig { split_beir: true, ..ChunkConfig::default() }).unwrap();
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).unwrap();
    let ids: Vec<&str> = passages.iter().map(|passage| passage.id.as_str()).collect();
    assert_eq!(ids[..2], ["7##0001", "7#0002"]);
    assert_eq!(ids.last(), Some(&"7#0001"));
}

#[test]
fn equal_records_of_a_beir_corpus_keep_their_ids() {
    let record = |id: &str| format!("{{\"_id\":\"{id}\",\"text\":\"the same\"}}\n");
    let lines: String = ["a", "b", "c", "d"].map(record).concat();
    let folder = corpus(&[("corpus.jsonl", lines.as_bytes())]);
    let (input, out) = (folder.path().join("in/corpus.jsonl"), folder.path().join("out"));
    assert_eq!(run(&input, &out, &ChunkConfig::default()).unwrap().counts["passages"], 4);
}

#[test]
fn a_passage_longer_than_the_model_is_reported() {
    let line = |id: &str, words: usize| {
        format!("{{\"_id\":\"{id}\",\"text\":\"{}\"}}\n", "w ".repeat(words))
    };
    let folder = corpus(&[(
        "corpus.jsonl",
        (line("7", 300) + &line("x", 229) + &line("y", 230)).as_bytes(),
    )]);
    let (input, out) = (folder.path().join("in/corpus.jsonl"), folder.path().join("out"));
    let manifest = run(&input, &out, &ChunkConfig::default()).unwrap();
    assert_eq!((manifest.counts["passages"], manifest.counts["pairs-truncated"]), (3, 2));
    assert!(
        manifest.notes[0].starts_with("2 of 3 passages will be truncated"),
        "{:?}",
        manifest.notes
    );
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).unwrap();
    assert_eq!(passages[0].id.as_str(), "7");

    let manifest =
        run(&input, &out, &ChunkConfig { split_beir: true, ..ChunkConfig::default() }).unwrap();
    assert_eq!(
        manifest.counts["pairs-truncated"], 1,
        "only what is longer than twice passage-tokens is split"
    );
    let passages: Vec<Passage> = read_jsonl(&out.join("corpus.jsonl")).unwrap();
    assert_eq!((passages[0].id.as_str(), passages[0].document()), ("7#0001", "7".into()));
}

#[test]
fn what_is_no_corpus_is_refused_with_a_hint() {
    let folder = corpus(&[("a.bin", b"\0"), ("b.md", b" \n")]);
    let out = folder.path().join("out");
    let refuse = |input: &str| {
        let error = run(&folder.path().join(input), &out, &ChunkConfig::default()).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        error.to_string()
    };
    assert!(refuse("in").contains("holds no text (2 files skipped)"));
    assert!(refuse("nowhere").contains("does not exist"));
    assert!(refuse("in/b.md").contains("neither a folder nor a corpus.jsonl"));
    assert!(!out.join("corpus.jsonl").exists());
}

#[test]
fn ids_that_would_break_qrels_are_refused() {
    let folder = corpus(&[
        ("space.jsonl", b"{\"_id\":\"a b\",\"text\":\"x\"}"),
        ("twice.jsonl", b"{\"_id\":\"a\",\"text\":\"x\"}\n{\"_id\":\"a\",\"text\":\"y\"}"),
    ]);
    let refuse = |name: &str| {
        let input = folder.path().join("in").join(name);
        run(&input, &folder.path().join("out"), &ChunkConfig::default()).unwrap_err().to_string()
    };
    assert!(refuse("space.jsonl").ends_with("space.jsonl` line 1: `a b` cannot be an id"));
    assert!(refuse("twice.jsonl").ends_with("line 2: id `a` occurs twice"));
}

#[test]
fn a_language_that_the_model_cannot_read_is_told() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-model");
    let config = ChunkConfig { max_seq_tokens: 128, min_tokens: 3, ..ChunkConfig::default() };
    let thai = "ปั๊มน้ำรุ่นนี้ออกแบบมาสำหรับบ้านพักอาศัยขนาดกลาง";
    for (text, is_read) in [("The valve opens at three bar of pressure.", true), (thai, false)] {
        let folder = corpus(&[("a.md", text.as_bytes())]);
        let (input, out) = (folder.path().join("in"), folder.path().join("out"));
        let config = SynthConfig { chunk: config.clone(), ..SynthConfig::default() };
        let notes = chunk(&input, &out, &model, &config, &Silent).unwrap().notes;
        let told = notes.iter().any(|note| note.starts_with("the model cannot read 100 %"));
        assert_eq!(told, !is_read, "{notes:?}");
    }
}

#[test]
fn the_sample_corpus_is_cut_by_the_tokenizer_of_a_model() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (handbook, model) = (root.join("datasets/handbook"), root.join("tests/oracles/tiny-model"));
    let folder = tempfile::tempdir().unwrap();
    // The tiny model has 128 positions.
    let config = ChunkConfig { max_seq_tokens: 128, ..ChunkConfig::default() };
    let settings = SynthConfig { chunk: config.clone(), ..SynthConfig::default() };
    let manifest =
        chunk(&handbook.join("documents"), folder.path(), &model, &settings, &Silent).unwrap();
    assert_eq!(manifest.language, Some(Language::English));
    assert!(manifest.counts["documents"] >= 60 && !manifest.counts.contains_key("skipped-binary"));
    let tokenizer = PairTokenizer::open(&model, config.max_seq_tokens).unwrap();
    let passages: Vec<Passage> = read_jsonl(&folder.path().join("corpus.jsonl")).unwrap();
    for passage in &passages {
        let tokens = tokenizer.count(&passage.text).unwrap();
        assert!(
            tokens <= config.passage_tokens + config.min_tokens,
            "{}: {tokens} tokens",
            passage.id
        );
        assert_eq!(
            passage.text.matches("**").count() % 2,
            0,
            "{}: emphasis is torn: {}",
            passage.id,
            passage.text
        );
    }
    let mut config = crate::SynthConfig { seed: 1, ..crate::SynthConfig::default() };
    config.ask.judgements = Some(handbook.join("judgements.jsonl"));
    let job = crate::AskJob {
        out: folder.path(),
        config: &config,
        model: None,
        placement: Default::default(),
    };
    let manifest = crate::ask(&job, &Silent).unwrap();
    assert!(
        manifest.counts["queries-human"] >= 100 && manifest.counts["queries"] >= 500,
        "{:?}",
        manifest.counts
    );
}
