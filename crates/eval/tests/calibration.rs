//! Scalings, reliability and joined scores hold what scikit-learn and SciPy say
//! (tests/oracles/make_calibration.py).

use serde::Deserialize;
use std::collections::BTreeMap;
use whetstone_eval::{
    Join, Judged, Measure, Scaling, expected_calibration_error, log_loss, per_query, platt,
    reliability, temperature,
};
use whetstone_records::{Hit, Qrels, Run};

/// Where scikit-learn's L-BFGS stops; the loss there is equal to ten digits.
const FIT_TOLERANCE: f64 = 1e-4;
/// Sums of a thousand f64.
const SUM_TOLERANCE: f64 = 1e-9;
/// Joined scores are f32 in a run, which moves no rank here.
const MEASURE_TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Oracle {
    logits: Vec<Vec<f64>>,
    first_stage: Vec<Vec<f64>>,
    relevant: Vec<Vec<u8>>,
    platt: AB,
    temperature: f64,
    log_loss: BTreeMap<String, f64>,
    raw_bins: Bins,
    platt_bins: Bins,
    #[serde(rename = "ndcg@10_by_weight")]
    by_weight: BTreeMap<String, f64>,
}

#[derive(Deserialize)]
struct AB {
    a: f64,
    b: f64,
}

#[derive(Deserialize)]
struct Bins {
    mean_probability: Vec<f64>,
    relevant_fraction: Vec<f64>,
    pairs: Vec<usize>,
    ece: f64,
}

fn oracle() -> Oracle {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/calibration.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn pairs(oracle: &Oracle) -> Vec<Judged> {
    let of_query = |(query, (logits, relevant)): (usize, (&Vec<f64>, &Vec<u8>))| {
        let pair = move |(logit, relevant): (&f64, &u8)| Judged {
            query,
            logit: *logit,
            relevant: *relevant == 1,
        };
        logits.iter().zip(relevant).map(pair).collect::<Vec<_>>()
    };
    oracle.logits.iter().zip(&oracle.relevant).enumerate().flat_map(of_query).collect()
}

fn assert_close(got: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((got - expected).abs() <= tolerance, "{what}: {got}, expected {expected}");
}

#[test]
fn platt_and_temperature_are_scikit_learns_and_scipys() {
    let oracle = oracle();
    let Scaling::Platt { a, b } = platt(&pairs(&oracle)).unwrap() else { panic!() };
    assert_close(a, oracle.platt.a, FIT_TOLERANCE, "a");
    assert_close(b, oracle.platt.b, FIT_TOLERANCE, "b");
    let Scaling::Temperature { temperature } = temperature(&pairs(&oracle)).unwrap() else {
        panic!()
    };
    assert_close(temperature, oracle.temperature, FIT_TOLERANCE, "temperature");
}

#[test]
fn log_loss_bins_and_their_error_are_scikit_learns() {
    let oracle = oracle();
    let pairs = pairs(&oracle);
    let relevant: Vec<bool> = pairs.iter().map(|pair| pair.relevant).collect();
    let platt = Scaling::Platt { a: oracle.platt.a, b: oracle.platt.b };
    for (name, scaling, expected) in
        [("raw", Scaling::IDENTITY, &oracle.raw_bins), ("platt", platt, &oracle.platt_bins)]
    {
        let probabilities: Vec<f64> =
            pairs.iter().map(|pair| scaling.probability(pair.logit)).collect();
        assert_close(
            log_loss(&probabilities, &relevant),
            oracle.log_loss[name],
            SUM_TOLERANCE,
            name,
        );
        let bins = reliability(&probabilities, &relevant);
        assert_close(expected_calibration_error(&bins), expected.ece, SUM_TOLERANCE, name);
        // scikit-learn leaves empty bins out.
        let filled: Vec<_> = bins.iter().filter(|bin| bin.pairs > 0).collect();
        assert_eq!(filled.iter().map(|bin| bin.pairs).collect::<Vec<_>>(), expected.pairs);
        for (bin, (mean, share)) in
            filled.iter().zip(expected.mean_probability.iter().zip(&expected.relevant_fraction))
        {
            assert_close(bin.mean_probability, *mean, SUM_TOLERANCE, name);
            assert_close(bin.relevant_fraction, *share, SUM_TOLERANCE, name);
        }
    }
}

#[test]
fn calibration_helps_queries_that_the_fit_has_not_seen() {
    let calibration = whetstone_eval::calibrate(&pairs(&oracle())).unwrap();
    assert!(calibration.ece_after < calibration.ece_before / 2.0, "{calibration:?}");
    assert!(calibration.log_loss_after < calibration.log_loss_before);
    assert_eq!(calibration.bins_after.iter().map(|bin| bin.pairs).sum::<usize>(), 1000);
}

#[test]
fn the_measure_of_every_weight_is_that_of_a_second_implementation() {
    let oracle = oracle();
    let run = |scores: &[Vec<f64>]| {
        let mut run = Run::default();
        for (query, scores) in scores.iter().enumerate() {
            let hit = |(at, score): (usize, &f64)| Hit {
                passage: format!("p{at}").as_str().into(),
                score: *score as f32,
            };
            run.insert(
                format!("q{query}").as_str().into(),
                scores.iter().enumerate().map(hit).collect(),
            );
        }
        run
    };
    let mut qrels = Qrels::default();
    for (query, relevant) in oracle.relevant.iter().enumerate() {
        for (at, _) in relevant.iter().enumerate().filter(|(_, relevant)| **relevant == 1) {
            qrels.insert(format!("q{query}").as_str().into(), format!("p{at}").as_str().into(), 1);
        }
    }
    let logits = run(&oracle.logits);
    let first = BTreeMap::from([("bm25".to_owned(), run(&oracle.first_stage))]);
    let measure: Measure = "ndcg@10".parse().unwrap();
    for (weight, expected) in &oracle.by_weight {
        let weights = BTreeMap::from([("bm25".to_owned(), weight.parse().unwrap())]);
        let join = Join { temperature: Some(4.0), weights };
        let joined = join.apply(&logits, &first);
        assert_close(
            per_query(&qrels, &joined, &[measure]).means[0],
            *expected,
            MEASURE_TOLERANCE,
            weight,
        );
    }
}
