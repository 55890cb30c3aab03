//! Times measures and statistics at the sizes that the documentation promises. `cargo bench
//! --workspace --bench speed`; with `-- --keep DIR` the generated files are left in DIR, so that
//! other tools can be timed on the same bytes.

use rand::{Rng, SeedableRng, rngs::StdRng};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use whetstone_eval::{Measure, bootstrap_interval, evaluate, per_query, randomisation_test};
use whetstone_records::{Qrels, Run};

const QUERIES: usize = 10_000;
const PASSAGES_PER_QUERY: usize = 100;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = match std::env::args().skip_while(|argument| argument != "--keep").nth(1) {
        Some(kept) => PathBuf::from(kept),
        None => folder.path().to_path_buf(),
    };
    let (qrels, run) = write_files(&folder);
    let names =
        ["ndcg@10", "ndcg-exp@10", "mrr@10", "p@1", "recall@10", "hit@10", "map", "judged@10"];
    let measures: Vec<Measure> = names.map(|name| name.parse().expect("a measure")).into();

    let runs = [("run".to_owned(), run.clone())];
    time("read and measure 1,000,000 rows x 10,000 queries", || {
        evaluate(&qrels, &runs, &measures).unwrap()
    });
    time("  of which reading the run", || Run::read(&run).unwrap());
    let (qrels, run) = (Qrels::read(&qrels).unwrap(), Run::read(&run).unwrap());
    time("  of which measuring", || per_query(&qrels, &run, &measures));
    // For another tool to agree with.
    for (measure, mean) in measures.iter().zip(per_query(&qrels, &run, &measures).means) {
        println!("mean {measure} {mean:.9}");
    }

    let mut random = StdRng::seed_from_u64(2);
    let differences: Vec<f64> = (0..1000).map(|_| random.random_range(-0.5..0.5)).collect();
    time("randomisation test, 100,000 permutations x 1,000 queries", || {
        randomisation_test(&differences, 100_000, 1)
    });
    time("bootstrap interval, 10,000 resamples x 1,000 queries", || {
        bootstrap_interval(&differences, 10_000, 0.05, 1)
    });
}

/// Prints the best of five.
fn time<T>(what: &str, mut work: impl FnMut() -> T) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        std::hint::black_box(work());
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{what:<60} {:>8.1} ms", best * 1e3);
}

fn write_files(folder: &Path) -> (PathBuf, PathBuf) {
    let mut random = StdRng::seed_from_u64(1);
    let (mut qrels, mut run) = (String::new(), String::new());
    for query in 0..QUERIES {
        let first: u32 = random.random_range(0..1_000_000);
        let mut score = 30.0f32;
        for rank in 0..PASSAGES_PER_QUERY {
            let passage = first + 7 * rank as u32;
            score -= random.random_range(0.0..0.1);
            writeln!(run, "query-{query} Q0 passage-{passage} {} {score} run", rank + 1)
                .expect("memory");
            // One in any case: other tools count a query without a relevant passage as 0, here it
            // is left out.
            if random.random_bool(0.1) || rank == PASSAGES_PER_QUERY / 2 {
                let grade =
                    random.random_range(0..3i32).max(i32::from(rank == PASSAGES_PER_QUERY / 2));
                writeln!(qrels, "query-{query} 0 passage-{passage} {grade}").expect("memory");
            }
        }
    }
    let paths = (folder.join("speed.qrels"), folder.join("speed.run"));
    std::fs::write(&paths.0, qrels).expect("a writable folder");
    std::fs::write(&paths.1, run).expect("a writable folder");
    paths
}
