//! Simulates comparisons whose truth is known and holds the verdict to what its documentation
//! promises. Exits with 1 where it doesn't keep it. `cargo run --release -p whetstone-eval
//! --example check_stats`

use rand::{Rng, SeedableRng, rngs::StdRng};
use rayon::prelude::*;
use std::process::ExitCode;
use whetstone_eval::{CompareConfig, Paired, Verdict, holm, paired, verdict};

const COMPARISONS: usize = 1000;
const SEED: u64 = 20;
/// Three standard errors above a share of 5 % that is estimated from 1,000 comparisons.
const FIVE_PERCENT_MEASURED: f64 = 0.0707;

/// One query's difference between two systems.
type Draw = fn(&mut StdRng) -> f64;

fn main() -> ExitCode {
    let mut kept = true;
    kept &= no_true_difference();
    kept &= several_systems();
    kept &= true_differences();
    kept &= queries_needed();
    if kept {
        println!("\nevery promise kept");
        ExitCode::SUCCESS
    } else {
        println!("\na promise was broken");
        ExitCode::from(1)
    }
}

/// The false-positive rate: no more than alpha of the null comparisons may ship.
fn no_true_difference() -> bool {
    let nulls: [(&str, Draw); 4] =
        [
            ("two equal rerankers", |random| reranker(random, 1.0) - reranker(random, 1.0)),
            ("seven of ten queries unchanged", |random| sparse(random, 0.0)),
            ("few large gains, many small losses", |random| {
                if random.random_bool(0.1) { 0.45 } else { -0.05 }
            }),
            ("few large losses, many small gains", |random| {
                if random.random_bool(0.1) { -0.45 } else { 0.05 }
            }),
        ];
    println!("no true difference, {COMPARISONS} comparisons each: share of");
    println!(
        "{:<36} {:>8} {:>8} {:>11} {:>10} {:>18}",
        "", "queries", "SHIP", "DON'T SHIP", "p <= 0.05", "interval covers 0"
    );
    let mut kept = true;
    for (name, draw) in nulls {
        for queries in [50, 100, 300, 1000] {
            let config =
                CompareConfig { permutations: 10_000, resamples: 2000, ..Default::default() };
            let all = simulate(queries, draw, &config);
            let ship = share(&all, |_, verdict| verdict == Verdict::Ship);
            let dont = share(&all, |_, verdict| verdict == Verdict::DontShip);
            let significant = share(&all, |paired, _| paired.p <= config.alpha);
            let covered =
                share(&all, |paired, _| paired.interval.low <= 0.0 && 0.0 <= paired.interval.high);
            println!(
                "{name:<36} {queries:>8} {ship:>8.3} {dont:>11.3} {significant:>10.3} {covered:>18.3}"
            );
            kept &= ship <= config.alpha;
        }
    }
    kept
}

/// The family-wise rate: five equal systems against one baseline, any of them shipped, with and
/// without Holm.
fn several_systems() -> bool {
    const SYSTEMS: usize = 5;
    let config = CompareConfig { permutations: 10_000, resamples: 1000, ..Default::default() };
    let any_ships = |seed: usize| -> (bool, bool) {
        let mut random = StdRng::seed_from_u64(SEED + seed as u64);
        let baseline: Vec<f64> = (0..100).map(|_| reranker(&mut random, 1.0)).collect();
        let mut one = || {
            paired(
                &baseline.iter().map(|base| reranker(&mut random, 1.0) - base).collect::<Vec<_>>(),
                &config,
            )
        };
        let systems: Vec<Paired> = (0..SYSTEMS).map(|_| one()).collect();
        let p: Vec<f64> = systems.iter().map(|paired| paired.p).collect();
        let ships = |p: &[f64]| {
            systems
                .iter()
                .zip(p)
                .any(|(one, p)| verdict(one, *p, SYSTEMS, &config) == Verdict::Ship)
        };
        (ships(&holm(&p)), ships(&p))
    };
    let all: Vec<(bool, bool)> = (0..COMPARISONS).into_par_iter().map(any_ships).collect();
    let share = |is_so: fn(&(bool, bool)) -> bool| {
        all.iter().filter(|one| is_so(one)).count() as f64 / all.len() as f64
    };
    let (with, without) = (share(|one| one.0), share(|one| one.1));
    println!(
        "\nany of {SYSTEMS} equal systems ships, 100 queries: {with:.3} with Holm's correction, {without:.3} without"
    );
    with <= config.alpha
}

/// Power: the share that ships for true gains, and the share of worthwhile gains wrongly refused.
fn true_differences() -> bool {
    println!("\na true gain: share of SHIP / DON'T SHIP by queries (worthwhile gain 0.01)");
    println!("{:<10} {:>14} {:>14} {:>14} {:>14}", "gain", 50, 100, 300, 1000);
    let mut kept = true;
    let gains: [(f64, Draw); 5] = [
        (-0.03, |random| sparse(random, -0.03)),
        (0.01, |random| sparse(random, 0.01)),
        (0.02, |random| sparse(random, 0.02)),
        (0.04, |random| sparse(random, 0.04)),
        (0.08, |random| sparse(random, 0.08)),
    ];
    for (gain, draw) in gains {
        print!("{gain:<10}");
        for queries in [50, 100, 300, 1000] {
            let config =
                CompareConfig { permutations: 10_000, resamples: 2000, ..Default::default() };
            let all = simulate(queries, draw, &config);
            let ship = share(&all, |_, verdict| verdict == Verdict::Ship);
            let dont = share(&all, |_, verdict| verdict == Verdict::DontShip);
            print!(" {:>14}", format!("{ship:.3} / {dont:.3}"));
            kept &= if gain > 0.0 { dont <= FIVE_PERCENT_MEASURED } else { ship <= config.alpha };
        }
        println!();
    }
    kept
}

/// `needed` is right: with that many queries, about `power` of the comparisons decide.
fn queries_needed() -> bool {
    println!("\nwith the queries said to be needed, share of SHIP (0.8 promised)");
    let config = CompareConfig { permutations: 10_000, resamples: 2000, ..Default::default() };
    let gains: [(f64, Draw); 3] = [
        (0.03, |random| sparse(random, 0.03)),
        (0.05, |random| sparse(random, 0.05)),
        (0.07, |random| sparse(random, 0.07)),
    ];
    let mut kept = true;
    for (gain, draw) in gains {
        // The mean and deviation of very many queries are the true ones; p = 1 keeps them from
        // deciding.
        let mut random = StdRng::seed_from_u64(SEED);
        let many: Vec<f64> = (0..50_000).map(|_| draw(&mut random)).collect();
        let truth = paired(&many, &config);
        let Verdict::NotEnoughQueries { needed } = verdict(&truth, 1.0, 1, &config) else {
            return false;
        };
        let ship = share(&simulate(needed, draw, &config), |_, verdict| verdict == Verdict::Ship);
        println!("gain {gain}, deviation {:.3}: {needed} queries, {ship:.3}", truth.deviation);
        kept &= (0.75..0.87).contains(&ship);
    }
    kept
}

fn simulate(queries: usize, draw: Draw, config: &CompareConfig) -> Vec<(Paired, Verdict)> {
    let one = |seed: usize| {
        let mut random = StdRng::seed_from_u64(SEED + seed as u64);
        let differences: Vec<f64> = (0..queries).map(|_| draw(&mut random)).collect();
        let paired = paired(&differences, &CompareConfig { seed: seed as u64, ..config.clone() });
        let verdict = verdict(&paired, paired.p, 1, config);
        (paired, verdict)
    };
    (0..COMPARISONS).into_par_iter().map(one).collect()
}

fn share(all: &[(Paired, Verdict)], is_so: impl Fn(&Paired, Verdict) -> bool) -> f64 {
    all.iter().filter(|(paired, verdict)| is_so(paired, *verdict)).count() as f64 / all.len() as f64
}

/// nDCG@10 of one relevant passage among 30 candidates whose scores are uniform noise, the relevant
/// one raised by `strength` times a share that is the query's own.
fn reranker(random: &mut StdRng, strength: f64) -> f64 {
    let relevant = random.random::<f64>() + strength * random.random::<f64>();
    let above = (0..29).filter(|_| random.random::<f64>() > relevant).count();
    if above < 10 { 1.0 / ((above + 2) as f64).log2() } else { 0.0 }
}

/// A difference with mean `gain` that is mostly zero, as between a system and its fine-tuned self:
/// 30 % of the queries change, by the differences that moving one relevant passage among the first
/// three ranks makes.
fn sparse(random: &mut StdRng, gain: f64) -> f64 {
    const MOVES: [f64; 3] = [0.130_929_753_571_457_4, 0.369_070_246_428_542_6, 0.5];
    const CHANGED: f64 = 0.3;
    if !random.random_bool(CHANGED) {
        return 0.0;
    }
    let size = MOVES[random.random_range(0..3)];
    // The mean of the three moves is 1/3.
    let up = 0.5 + 3.0 * gain / CHANGED / 2.0;
    if random.random_bool(up) { size } else { -size }
}
