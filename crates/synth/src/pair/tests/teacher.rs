//! Checks the teacher's scores against those of the parts that make them.

use super::*;
use whetstone_model::Reranker;
use whetstone_retrieve::{Bm25, Bm25Parameters, Retriever};

const SCALE: f32 = 2.0;
const LABEL: f32 = 3.0;

/// Every positive is masked, which no teacher may notice.
fn config(teacher: Teacher) -> PairConfig {
    PairConfig {
        teacher,
        teacher_scale: Some(SCALE),
        teacher_label_weight: LABEL,
        mask_fraction: 1.0,
        ..PairConfig::default()
    }
}

fn whole_texts(fixture: &Fixture) -> HashMap<PassageId, String> {
    let text = |passage: &Passage| (passage.id.clone(), passage.full_text());
    fixture.passages.iter().map(text).collect()
}

fn cosine(query: &str, passage: &str) -> f32 {
    let embeddings = embed(&[query, passage]);
    let (query, passage) = embeddings.split_at(HIDDEN);
    query.iter().zip(passage).map(|(a, b)| a * b).sum()
}

/// Checks the teacher's score of every pair against one that is computed for its group, from the
/// query and the whole texts.
fn check(folder: &TempDir, fixture: &Fixture, expected: impl Fn(&str, &[&Pair]) -> Vec<f32>) {
    let train = pairs(folder, "train.jsonl");
    assert!(train.len() > 100);
    let all: Vec<&Pair> = train.iter().collect();
    for group in all.chunk_by(|a, b| a.query_id == b.query_id) {
        for (pair, score) in group.iter().zip(expected(&group[0].query, group)) {
            let (expected, found) = (SCALE * score + LABEL * pair.label, pair.teacher.unwrap());
            assert!((found - expected).abs() < 1e-4, "{}: {found} {expected}", pair.query_id);
        }
    }
    let whole = whole_texts(fixture);
    assert!(train.iter().any(|pair| pair.passage != whole[&pair.passage_id]), "nothing is masked");
}

/// Each value less the mean, over the standard deviation.
fn z_scores(values: &[f32]) -> Vec<f32> {
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / count;
    values.iter().map(|value| (value - mean) / variance.sqrt().max(1e-6)).collect()
}

#[test]
fn a_bi_encoders_score_and_the_label_make_the_teachers_score() {
    let fixture = Fixture::new(20);
    let folder = mined(&fixture, &SPLIT, 1);
    let config = config(Teacher::BiEncoder);
    run_pair(&folder, &config, &SPLIT, 1).unwrap();
    let whole = whole_texts(&fixture);
    check(&folder, &fixture, |query, group| {
        group.iter().map(|pair| cosine(query, &whole[&pair.passage_id])).collect()
    });
    // Scores of another data set.
    let scores = folder.path().join(DataSet::pair_scores_name("dense"));
    fs::write(&scores, "q Q0 p 1 0.5 dense\n").unwrap();
    let error = run_pair(&folder, &config, &SPLIT, 1).unwrap_err();
    assert!(matches!(error, Error::FindingsMissing { .. }), "{error}");
    // Mined by an earlier version.
    fs::remove_file(scores).unwrap();
    let error = run_pair(&folder, &config, &SPLIT, 1).unwrap_err();
    assert!(matches!(error, Error::NotMined { .. }), "{error}");
    assert!(!run_pair(&folder, &PairConfig::default(), &SPLIT, 1).unwrap().up_to_date);
}

#[test]
fn both_first_stages_teach_by_their_z_scores_at_half_weight() {
    let fixture = Fixture::new(20);
    let folder = mined(&fixture, &SPLIT, 1);
    run_pair(&folder, &config(Teacher::Both), &SPLIT, 1).unwrap();
    let whole = whole_texts(&fixture);
    let texts: Vec<&str> =
        fixture.passages.iter().map(|passage| whole[&passage.id].as_str()).collect();
    let place = |id: &PassageId| {
        fixture.passages.iter().position(|passage| passage.id == *id).unwrap() as u32
    };
    check(&folder, &fixture, |query, group| {
        let bm25 = Bm25::build(
            &texts,
            &[query],
            Bm25Parameters::default(),
            whetstone_records::Language::English,
        );
        let words = group.iter().map(|pair| bm25.score(0, place(&pair.passage_id)).unwrap());
        let meanings = group.iter().map(|pair| cosine(query, &whole[&pair.passage_id]));
        let (words, meanings) =
            (z_scores(&words.collect::<Vec<_>>()), meanings.collect::<Vec<_>>());
        words.iter().zip(z_scores(&meanings)).map(|(a, b)| 0.5 * a + 0.5 * b).collect()
    });
}

#[test]
fn a_cross_encoder_teaches_by_its_logits_and_is_asked_once() {
    let fixture = Fixture::new(20);
    let folder = mined(&fixture, &SPLIT, 1);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracles/tiny-model");
    let pair = PairConfig { teacher_model: Some("tiny".into()), ..config(Teacher::CrossEncoder) };
    let config = SynthConfig { pair, ..config_of(&SPLIT, 1) };
    let run = |teacher: Option<&Path>| {
        let placement = Placement::default();
        crate::pair::pair(
            &PairJob { out: folder.path(), config: &config, teacher, placement },
            &Silent,
        )
    };
    let manifest = run(Some(&model)).unwrap();
    assert!(manifest.inputs.contains_key("teacher weights"));
    assert!(run(Some(&model)).unwrap().up_to_date);
    let (whole, reranker) = (whole_texts(&fixture), Reranker::open(&model).unwrap());
    check(&folder, &fixture, |query, group| {
        let texts: Vec<&str> = group.iter().map(|pair| whole[&pair.passage_id].as_str()).collect();
        let mut logits = vec![0.0; texts.len()];
        for ranked in reranker.rank(query, &texts).unwrap() {
            logits[ranked.index] = ranked.score;
        }
        logits
    });

    // The scores that it gave are kept: one that was changed comes back.
    let bytes = || fs::read(folder.path().join("train.jsonl")).unwrap();
    let first = bytes();
    let forget = || whetstone_records::forget(folder.path(), "pair").unwrap();
    forget();
    assert!(!run(Some(&model)).unwrap().up_to_date);
    assert!(bytes() == first);
    let kept = folder.path().join(DataSet::TEACHER_SCORES).join("00000.json");
    let mut shard: serde_json::Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    shard["scores"][0] = 9f32.to_bits().into();
    fs::write(&kept, shard.to_string()).unwrap();
    forget();
    run(Some(&model)).unwrap();
    assert_eq!(pairs(&folder, "train.jsonl")[0].teacher, Some(SCALE * 9.0 + LABEL));

    assert!(matches!(run(None).unwrap_err(), Error::NoTeacher));
}
