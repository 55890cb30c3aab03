//! Whatever the bytes: a value or one error, never a panic. And what is written reads back.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use std::path::Path;
use whetstone_records::{
    Hit, JsonlReader, Manifest, Pair, Passage, Qrels, Query, Run, read_json, read_text,
};

const RUN: &str = "q1 Q0 p1 1 12.5 bm25\nq1 Q0 p2 2 11.0 bm25\r\nq2\tQ0\tp1\t1\t-3e2\tbm25\n";
const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\tp1\t1\nq2\tp2\t2.0\n";
const PAIR: &str = r#"{"query":"a","passage":"b","label":0.5,"query_id":"q","passage_id":3}
{"query":"\u00e4","passage":"","label":1,"query_id":"q","passage_id":"p","teacher":null}
"#;
const PASSAGE: &str = r#"{"_id":"p","title":null,"text":"a","metadata":{"document":"d","span":[0,1]}}
{"_id":17,"text":"b"}
"#;

fn read_as_everything(path: &Path) {
    let _ = Run::read(path);
    let _ = Run::read_name(path);
    let _ = Qrels::read(path);
    let _ = read_text(path);
    let _ = read_json::<Manifest>(path);
    let _ = JsonlReader::<Pair>::open(path).unwrap().count();
    let _ = JsonlReader::<Passage>::open(path).unwrap().count();
    let _ = JsonlReader::<Query>::open(path).unwrap().count();
}

/// Overwrites, deletes, doubles or moves some bytes.
fn mutate(bytes: &mut Vec<u8>, random: &mut StdRng) {
    const FOREIGN: [&[u8]; 9] =
        [b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\t", b"NaN", b"\xc3", b"\"", b"{", b"1e999"];
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..8)).min(bytes.len());
        match random.random_range(0..4) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes[at..end].fill(random.random()),
            2 => {
                let copy = bytes[at..end].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let foreign = *FOREIGN.choose(random).unwrap();
                bytes.splice(at..end, foreign.iter().copied());
            }
        }
    }
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign");
    let mut random = StdRng::seed_from_u64(1);
    for seed in [RUN, QRELS, PAIR, PASSAGE, ""] {
        for _ in 0..400 {
            let mut bytes = seed.as_bytes().to_vec();
            mutate(&mut bytes, &mut random);
            std::fs::write(&path, &bytes).unwrap();
            read_as_everything(&path);
        }
    }
}

#[test]
fn a_run_and_qrels_that_can_be_written_read_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = StdRng::seed_from_u64(2);
    let (mut written, mut refused) = (0, 0);
    for _ in 0..120 {
        let id = |random: &mut StdRng| -> String {
            let letters = ["a", "ä", "\u{a0}", "#", "0", "Q0", "\"", "7", "\u{301}", " "];
            let count = random.random_range(1..4);
            (0..count)
                .map(|_| {
                    *letters[..if random.random_bool(0.1) { 10 } else { 9 }].choose(random).unwrap()
                })
                .collect()
        };
        let (mut run, mut qrels) = (Run::default(), Qrels::default());
        for _ in 0..random.random_range(1..4) {
            let query = id(&mut random);
            let mut hits = Vec::<Hit>::new();
            for _ in 0..random.random_range(1..6) {
                let passage = id(&mut random);
                qrels.insert(
                    query.as_str().into(),
                    passage.as_str().into(),
                    random.random_range(-1..4),
                );
                if hits.iter().all(|hit| hit.passage.as_str() != passage) {
                    let score = f32::from_bits(random.random());
                    hits.push(Hit { passage: passage.as_str().into(), score });
                }
            }
            run.insert(query.as_str().into(), hits);
        }
        let path = folder.path().join("a");
        match run.write(&path, "x") {
            Ok(()) => {
                assert_eq!(Run::read(&path).unwrap(), run);
                written += 1;
            }
            Err(_) => refused += 1,
        }
        for write in [Qrels::write_beir, Qrels::write_trec] {
            if write(&qrels, &path).is_ok() {
                assert_eq!(Qrels::read(&path).unwrap(), qrels);
            }
        }
    }
    assert!(written > 20 && refused > 20, "{written} written, {refused} refused");
}
