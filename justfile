# Recipes over the one binary; `just` alone lists them.
whetstone := "cargo run --release --quiet --"

default:
    @just --list --unsorted

# The whole job on the sample corpus: pull, synth, train, export, rerank, eval
quickstart *FLAGS:
    {{whetstone}} quickstart {{FLAGS}}

# A data set from a folder of documents or a BEIR corpus.jsonl
synth CORPUS OUT="out/data" CONFIG="configs/synth.toml" *FLAGS="":
    {{whetstone}} synth --config {{CONFIG}} --corpus {{CORPUS}} --out {{OUT}} {{FLAGS}}

# A cross-encoder trained on a data set
train CONFIG DATA="out/data" OUT="checkpoints/run" *FLAGS="":
    {{whetstone}} train --config {{CONFIG}} --data {{DATA}} --out {{OUT}} {{FLAGS}}

# The best step of a run as a model folder
export CHECKPOINT="checkpoints/run" OUT="out/model":
    {{whetstone}} export --checkpoint {{CHECKPOINT}} --out {{OUT}}

# What dev says about a model: fusion with the first stage, probabilities, thresholds
calibrate MODEL="out/model" DATA="out/data" *FLAGS="":
    {{whetstone}} calibrate --model {{MODEL}} --data {{DATA}} {{FLAGS}}

# Judge by hand what the runs of a data set found
label DATA="out/data" OUT="judgements.tsv" *FLAGS="":
    {{whetstone}} label --data {{DATA}} --out {{OUT}} {{FLAGS}}

# The candidates of a data set in the order of a model
rerank MODEL="out/model" DATA="out/data" OUT="out/runs/tuned.run":
    {{whetstone}} rerank --model {{MODEL}} --corpus {{DATA}}/corpus.jsonl --queries {{DATA}}/queries.jsonl \
        --candidates {{DATA}}/candidates.run --out {{OUT}}

# The order of the model and those of the first stages of a data set as one
fuse DATA="out/data" RUN="out/runs/tuned.run" OUT="out/runs/fused.run":
    {{whetstone}} fuse {{DATA}}/runs/bm25.run {{DATA}}/runs/dense.run {{RUN}} --out {{OUT}}

# The first stages and a reranked run of a data set side by side, with a verdict and a report
eval DATA="out/data" RUN="out/runs/tuned.run" OUT="out/eval" *FLAGS="":
    {{whetstone}} eval --data {{DATA}} --run tuned={{RUN}} --out {{OUT}} {{FLAGS}}

# The tests that run by default
test:
    cargo test --release --workspace

# Milliseconds of the measures, of a training step and of scoring; with a PYTHON that has torch and transformers, in turns with it
bench MODEL="models/minilm-l6" PYTHON="":
    cargo bench --workspace --bench speed
    {{ if PYTHON == "" { "" } else { PYTHON + " tests/oracles/bench_step.py " + absolute_path(MODEL) + " " } }}cargo bench --quiet --workspace --bench step -- {{ if PYTHON == "" { absolute_path(MODEL) } else { "" } }}

# Pairs per second and peak memory of training beside sentence-transformers' (PYTHON has torch, sentence-transformers, datasets)
bench-train PYTHON MODEL="models/minilm-l6" PAIRS="out/data/train.jsonl" *FLAGS="":
    cargo build --release
    {{PYTHON}} tests/oracles/bench_train.py target/release/whetstone {{MODEL}} {{PAIRS}} {{FLAGS}}

# Seconds to the first step and memory with 1,000 to 1,000,000 pairs, made from PAIRS
bench-start MODEL="models/minilm-l6" PAIRS="out/data/train.jsonl" PYTHON="python3":
    cargo build --release
    {{PYTHON}} tests/oracles/bench_start.py target/release/whetstone {{MODEL}} {{PAIRS}}

# Reading and measuring 1 M rows beside ranx, on the same bytes (`pip install ranx`)
bench-eval PYTHON="python3":
    {{PYTHON}} tests/oracles/bench_eval.py

# How often the verdict is wrong, on simulated comparisons whose truth is known (half a minute)
check-stats:
    cargo run --release -p whetstone-eval --example check_stats

# A report in a headless browser: screenshots, overlaps, console, requests (`pip install playwright`, and a Chromium)
check-report REPORT="out/quickstart/report.html" PYTHON="python3" OUT="out/check-report":
    {{PYTHON}} tests/oracles/check_report.py {{REPORT}} {{OUT}}

# Calls a second of `ask` against a loopback server that answers at once, and its memory along the way
bench-ask PASSAGES="20000":
    cargo bench --workspace --bench ask -- {{PASSAGES}}

# `ask` on a running llama.cpp server with one slot, killed three times: no call paid twice, no waiting (LOG is the server's)
check-ask CONFIG LOG OUT="out/check-ask" PYTHON="python3":
    cargo build --release
    {{PYTHON}} tests/oracles/check_ask.py target/release/whetstone {{CONFIG}} {{OUT}} {{LOG}}

# One change at a time, each trained and measured on human queries (tests/experiments/ablate.py --help says what FLAGS it needs)
ablate PLAN OUT *FLAGS:
    cargo build --release
    python3 tests/experiments/ablate.py target/release/whetstone {{PLAN}} {{OUT}} {{FLAGS}}

# Every stage killed with SIGKILL at random moments and run again: the same bytes, nothing left, nothing paid twice (two minutes)
check-killed KILLS="100" SEED="1" *FLAGS:
    cargo build --release
    python3 tests/e2e/killed.py target/release/whetstone --kills {{KILLS}} --seed {{SEED}} {{FLAGS}}

# One parser of foreign bytes, fed with broken input (fuzz/README.md lists the targets; nightly Rust and `cargo install cargo-fuzz`)
fuzz TARGET SECONDS="600" *FLAGS:
    #!/usr/bin/env bash
    set -euo pipefail
    python3 fuzz/seeds.py
    export TMPDIR=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
    trap 'rm -rf "$TMPDIR"' EXIT
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time={{SECONDS}} -timeout=20 -rss_limit_mb=2048 {{FLAGS}}

# 10,000 passages against a server with every fault (resets, 429, 500, half JSON, endless bodies): none may be lost
faults:
    cargo test --release -p whetstone-synth --lib -- --ignored --nocapture ten_thousand

# Logits on the real weights beside transformers' (`pip install torch transformers sentence-transformers`)
golden ENCODER="models/minilm-l6" PYTHON="python3":
    mkdir -p out/golden
    {{PYTHON}} tests/oracles/make_goldens.py --model {{ENCODER}} --save-model out/golden/model \
        --out out/golden/goldens.json --max-length 256
    WHETSTONE_GOLDEN_DIR="$PWD/out/golden" cargo test --release -p whetstone-model --test golden -- --ignored

# Logits, every gradient and four training steps on a GPU: `wgpu` (also Mesa's software Vulkan), `cuda`, or `ndarray` for burn's own
test-gpu DEVICE="wgpu":
    WHETSTONE_TEST_DEVICE={{DEVICE}} cargo test --release -p whetstone-model -p whetstone-train \
        --features whetstone-model/{{DEVICE}} --test golden --test training -- transformers pytorch

# The kernels' tests under an address sanitizer (nightly Rust) and under valgrind; some 20 minutes at first
check-memory:
    RUSTFLAGS=-Zsanitizer=address cargo +nightly test -p whetstone-kernels --features train --lib --test boundary \
        --target "$(rustc -vV | sed -n 's/^host: //p')" --target-dir target/sanitizer
    cargo test --release -p whetstone-kernels --features train --lib \
        --config "target.'cfg(all())'.runner='valgrind --quiet --error-exitcode=9'"

# Type-checks the CUDA build, also where no GPU and no CUDA is (about 5 minutes; DOCS_RS keeps burn from fetching LLVM)
check-cuda:
    DOCS_RS=1 cargo check --release --features cuda

# An exported folder, loaded by transformers and sentence-transformers (`pip install torch transformers sentence-transformers`)
check-export MODEL="out/quickstart/model" PYTHON="python3":
    cargo build --release
    {{PYTHON}} tests/oracles/check_export.py {{MODEL}} target/release/whetstone

# What .ci/run does
ci:
    .ci/run
