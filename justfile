# Recipes around the one binary. `just` alone lists them.
whetstone := "cargo run --release --quiet --"

default:
    @just --list --unsorted

# Run the whole job on the sample corpus: pull, synth, train, export, rerank, eval
quickstart *FLAGS:
    {{whetstone}} quickstart {{FLAGS}}

# Make a data set from a folder of documents or a BEIR corpus.jsonl
synth CORPUS OUT="out/data" CONFIG="configs/synth.toml" *FLAGS="":
    {{whetstone}} synth --config {{CONFIG}} --corpus {{CORPUS}} --out {{OUT}} {{FLAGS}}

# Train a cross-encoder on a data set
train CONFIG DATA="out/data" OUT="checkpoints/run" *FLAGS="":
    {{whetstone}} train --config {{CONFIG}} --data {{DATA}} --out {{OUT}} {{FLAGS}}

# Export the best step of a training run as a model folder
export CHECKPOINT="checkpoints/run" OUT="out/model":
    {{whetstone}} export --checkpoint {{CHECKPOINT}} --out {{OUT}}

# Learn from dev how to fuse a model with the first stage, its probabilities and thresholds
calibrate MODEL="out/model" DATA="out/data" *FLAGS="":
    {{whetstone}} calibrate --model {{MODEL}} --data {{DATA}} {{FLAGS}}

# Judge by hand what the runs of a data set found
label DATA="out/data" OUT="judgements.tsv" *FLAGS="":
    {{whetstone}} label --data {{DATA}} --out {{OUT}} {{FLAGS}}

# Put the candidates of a data set in the order of a model
rerank MODEL="out/model" DATA="out/data" OUT="out/runs/tuned.run":
    {{whetstone}} rerank --model {{MODEL}} --corpus {{DATA}}/corpus.jsonl --queries {{DATA}}/queries.jsonl \
        --candidates {{DATA}}/candidates.run --out {{OUT}}

# Answer rerank requests over HTTP; docs/serving.md has the requests and the limits
serve MODEL="out/model" *FLAGS="":
    {{whetstone}} serve --model {{MODEL}} {{FLAGS}}

# Fuse the order of the model with those of the first stages
fuse DATA="out/data" RUN="out/runs/tuned.run" OUT="out/runs/fused.run":
    {{whetstone}} fuse {{DATA}}/runs/bm25.run {{DATA}}/runs/dense.run {{RUN}} --out {{OUT}}

# Compare a reranked run with the first stages, with a verdict and a report
eval DATA="out/data" RUN="out/runs/tuned.run" OUT="out/eval" *FLAGS="":
    {{whetstone}} eval --data {{DATA}} --run tuned={{RUN}} --out {{OUT}} {{FLAGS}}

# Run the default tests
test:
    cargo test --release --workspace

# Time the measures, a training step and scoring; also in a PYTHON with torch and transformers
bench MODEL="models/minilm-l6" PYTHON="":
    cargo bench --workspace --bench speed
    {{ if PYTHON == "" { "" } else { PYTHON + " tests/oracles/bench_step.py " + absolute_path(MODEL) + " " } }}cargo bench --quiet --workspace --bench step -- {{ if PYTHON == "" { absolute_path(MODEL) } else { "" } }}

# PYTHON needs torch, sentence-transformers and datasets.
# Compare training speed and peak memory with sentence-transformers.
bench-train PYTHON MODEL="models/minilm-l6" PAIRS="out/data/train.jsonl" *FLAGS="":
    cargo build --release
    {{PYTHON}} tests/oracles/bench_train.py target/release/whetstone {{MODEL}} {{PAIRS}} {{FLAGS}}

# Needs `just build-cuda` before it. PAIRS should have 5,000 or more.
# Compare training, its memory and scoring on an NVIDIA GPU with sentence-transformers, f32 and bf16
bench-gpu PYTHON MODEL="models/minilm-l6" PAIRS="out/data/train.jsonl":
    for how in "--batch 32" "--batch 32 --bf16" "--batch 128 --bf16"; do \
        echo "== $how"; \
        {{PYTHON}} tests/oracles/bench_train.py target/release/whetstone {{MODEL}} {{PAIRS}} --device cuda --pairs 4096 $how; \
    done
    {{PYTHON}} tests/oracles/bench_predict.py target/release/whetstone {{MODEL}} {{PAIRS}}

# Measure seconds to the first step and memory with 1,000 to 1,000,000 pairs, made from PAIRS
bench-start MODEL="models/minilm-l6" PAIRS="out/data/train.jsonl" PYTHON="python3":
    cargo build --release
    {{PYTHON}} tests/oracles/bench_start.py target/release/whetstone {{MODEL}} {{PAIRS}}

# Compare reading and measuring 1 M rows with ranx, on the same bytes (`pip install ranx`)
bench-eval PYTHON="python3":
    {{PYTHON}} tests/oracles/bench_eval.py

# DIR has folders in BEIR's layout. FLAGS of the script add queries of an LLM, seeds and caps; a stopped run resumes.
# Train BASE on each collection below DIR and compare all orders, with intervals (hours on a CPU).
evidence BASE DIR OUT="out/evidence" PYTHON="python3" *FLAGS="":
    cargo build --release
    {{PYTHON}} tests/experiments/evidence.py target/release/whetstone {{BASE}} {{DIR}} {{OUT}} {{FLAGS}}

# Count wrong verdicts on simulated comparisons whose truth is known (half a minute)
check-stats:
    cargo run --release -p whetstone-eval --example check_stats

# Needs `pip install playwright` and a Chromium.
# Check a report in a headless browser: screenshots, overlaps, console, requests.
check-report REPORT="out/quickstart/report.html" PYTHON="python3" OUT="out/check-report":
    {{PYTHON}} tests/oracles/check_report.py {{REPORT}} {{OUT}}

# Measure calls per second and memory of `ask` against a loopback server that answers at once
bench-ask PASSAGES="20000":
    cargo bench --workspace --bench ask -- {{PASSAGES}}

# LOG is the server's log.
# Kill `ask` three times on a running llama.cpp server with one slot: no call may be paid twice.
check-ask CONFIG LOG OUT="out/check-ask" PYTHON="python3":
    cargo build --release
    {{PYTHON}} tests/oracles/check_ask.py target/release/whetstone {{CONFIG}} {{OUT}} {{LOG}}

# `tests/experiments/ablate.py --help` explains FLAGS.
# Train one change at a time and measure each on human queries.
ablate PLAN OUT *FLAGS:
    cargo build --release
    python3 tests/experiments/ablate.py target/release/whetstone {{PLAN}} {{OUT}} {{FLAGS}}

# Each stage must leave nothing behind and pay for nothing twice.
# Kill every stage at random moments and run it again: the bytes must be the same (two minutes).
check-killed KILLS="100" SEED="1" *FLAGS:
    cargo build --release
    python3 tests/e2e/killed.py target/release/whetstone --kills {{KILLS}} --seed {{SEED}} {{FLAGS}}

# Needs root, as it mounts small file systems in memory.
# Fill the disk under every stage, make room and run it again: nothing may be lost (a minute).
check-full-disk STEPS="20" *FLAGS:
    cargo build --release
    python3 tests/e2e/full_disk.py target/release/whetstone --steps {{STEPS}} {{FLAGS}}

# Needs nightly Rust and `cargo install cargo-fuzz`.
# Feed broken input to one parser of foreign bytes; fuzz/README.md lists the targets.
fuzz TARGET SECONDS="600" *FLAGS:
    #!/usr/bin/env bash
    set -euo pipefail
    python3 fuzz/seeds.py
    export TMPDIR=$(mktemp -d -p "$([ -d /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
    trap 'rm -rf "$TMPDIR"' EXIT
    cargo +nightly fuzz run {{TARGET}} -- -max_total_time={{SECONDS}} -timeout=20 -rss_limit_mb=2048 {{FLAGS}}

# The faults: resets, 429, 500, half JSON, endless bodies.
# Ask about 10,000 passages on a server with every fault: none may be lost.
faults:
    cargo test --release -p whetstone-synth --lib -- --ignored --nocapture ten_thousand

# Needs `pip install torch transformers sentence-transformers`.
# Compare logits on the real weights with transformers.
golden ENCODER="models/minilm-l6" PYTHON="python3":
    mkdir -p out/golden
    {{PYTHON}} tests/oracles/make_goldens.py --model {{ENCODER}} --save-model out/golden/model \
        --out out/golden/goldens.json --max-length 256
    WHETSTONE_GOLDEN_DIR="$PWD/out/golden" cargo test --release -p whetstone-model --test golden -- --ignored

# `wgpu` also runs on Mesa's software Vulkan; `ndarray` is burn's own CPU backend.
# Check logits, every gradient, training steps and whole runs on `wgpu`, `cuda` or `ndarray`.
test-gpu DEVICE="wgpu":
    WHETSTONE_TEST_DEVICE={{DEVICE}} cargo test --release -p whetstone-model -p whetstone-train \
        --features whetstone-model/{{DEVICE}} --test golden --test gradients --test families \
        --test late_interaction --test late_training \
        -- transformers pytorch pylate late_interaction a_batch_of_pairs
    WHETSTONE_TEST_DEVICE={{DEVICE}} cargo test --release -p whetstone-model -p whetstone-train \
        --features whetstone-model/{{DEVICE}} --test apart

# `cubecl-cpu` runs them on the CPU, slowly; it wants the LLVM that `just build-cuda` lays out.
# Test the kernels for GPUs against burn's own operations, on `cuda`, `wgpu` or `cubecl-cpu`.
test-kernels DEVICE="cubecl-cpu":
    WHETSTONE_TEST_DEVICE={{DEVICE}} CUDARC_CUDA_VERSION=13000 cargo test --release -p whetstone-kernels \
        --features train,gpu,{{DEVICE}} --test gpu

# Needs `just build-cuda`, a C compiler, and CUDA's libdevice under $CUDA_PATH.
# Count what a training step asks of NVIDIA's driver, on a stand-in for it, without a GPU
count-launches MODEL="models/minilm-l6" PAIRS="out/data/train.jsonl" *FLAGS="":
    python3 tests/gpu/count.py target/release/whetstone {{MODEL}} {{PAIRS}} {{FLAGS}}

# Test the kernels under an address sanitizer (nightly Rust) and valgrind (20 minutes at first)
check-memory:
    RUSTFLAGS=-Zsanitizer=address cargo +nightly test -p whetstone-kernels --features train --lib --test boundary \
        --target "$(rustc -vV | sed -n 's/^host: //p')" --target-dir target/sanitizer
    cargo test --release -p whetstone-kernels --features train --lib \
        --config "target.'cfg(all())'.runner='valgrind --quiet --error-exitcode=9'"

# Needs python3 with pip and g++, but no GPU and no CUDA (half an hour on two cores).
# Build for NVIDIA GPUs. LLVM comes as two Python wheels with pinned digests.
build-cuda:
    .ci/llvm-for-cuda.sh
    CUDARC_CUDA_VERSION=13000 cargo build --release --locked --features cuda

# DOCS_RS keeps burn from fetching LLVM.
# Type-check the CUDA build; needs neither a GPU nor CUDA (about 5 minutes).
check-cuda:
    DOCS_RS=1 cargo check --release --features cuda

# Needs `pip install torch transformers sentence-transformers`.
# Load an exported folder with transformers and sentence-transformers.
check-export MODEL="out/quickstart/model" PYTHON="python3":
    cargo build --release
    {{PYTHON}} tests/oracles/check_export.py {{MODEL}} target/release/whetstone

# Needs `pip install pylate onnxruntime`.
# Load an exported late interaction, and its ONNX files, with PyLate.
check-late MODEL="out/quickstart/model" PYTHON="python3":
    {{PYTHON}} tests/oracles/check_late.py {{MODEL}}

# PYTHON needs `pip install -r tests/e2e/pipeline.txt`. LLM_URL and LLM_NAME name an LLM's endpoint.
# Put passages into Chroma, rerank what it finds, have an LLM answer; docs/pipeline.md explains it.
pipeline MODEL="out/quickstart/model" DATA="out/quickstart/data" PYTHON="python3" *FLAGS="":
    cargo build --release
    {{PYTHON}} tests/e2e/pipeline.py target/release/whetstone {{MODEL}} {{DATA}} {{FLAGS}}

# PYTHON needs `pip install -r tests/e2e/clients.txt`; node 18 or later and npm must be there.
# Ask a server through the Python and JavaScript clients of Cohere, LangChain, LlamaIndex and others.
check-clients PYTHON="python3" *FLAGS="":
    cargo build --release
    npm install --ignore-scripts --no-package-lock --no-fund --no-audit --prefix tests/e2e/npm
    {{PYTHON}} tests/e2e/check_clients.py target/release/whetstone {{FLAGS}}

# Needs a machine with nothing else to do.
# Compare 16 clients of a server with the engine alone, and send a burst of 1,000 clients.
bench-serve MODEL="models/minilm-l6" *FLAGS="":
    cargo build --release
    python3 tests/e2e/load.py target/release/whetstone {{MODEL}} {{FLAGS}}

# Needs node and npm, for autocannon.
# Send 100,000 small requests and watch the server's memory, then a burst of 1,000 clients (a minute).
soak *FLAGS:
    cargo build --release
    npm install --ignore-scripts --no-package-lock --no-fund --no-audit --prefix tests/e2e/npm
    python3 tests/e2e/soak.py target/release/whetstone {{FLAGS}}

# Treat a server badly on raw sockets, while another client keeps asking (a minute)
check-bad-clients *FLAGS:
    cargo build --release
    python3 tests/e2e/bad_clients.py target/release/whetstone {{FLAGS}}

# Whether a valid request is taken depends on the model and on the other fields, so that check is off.
# Send requests made from the OpenAPI document to the server at URL (`pip install schemathesis`).
fuzz-serve URL="http://127.0.0.1:8080" *FLAGS="":
    schemathesis run {{URL}}/openapi.json --exclude-checks positive_data_acceptance {{FLAGS}}

# Needs `pip install onnxruntime onnx transformers fastembed flashrank`. FLAGS of the script add Optimum and node.
# Load the ONNX files of an exported folder in the programs that people have, and compare logits.
check-onnx MODEL PYTHON="python3" *FLAGS:
    {{PYTHON}} tests/oracles/check_onnx.py {{MODEL}} {{FLAGS}}

# Needs `pip install onnxruntime onnx torch transformers`. FLAGS of the script add node or choose families.
# Export a random model of each family as ONNX, and compare its logits with transformers'.
check-onnx-families PYTHON="python3" *FLAGS:
    cargo build --release
    {{PYTHON}} tests/oracles/check_onnx_families.py target/release/whetstone {{FLAGS}}

# ONNXRUNTIME is libonnxruntime, such as `pip install onnxruntime` puts into site-packages/onnxruntime/capi.
# Load an exported folder with candle, ort and fastembed-rs (builds them: ten minutes at first).
check-consumers MODEL ONNXRUNTIME:
    for program in candle onnx fastembed; do \
        ORT_DYLIB_PATH={{ONNXRUNTIME}} cargo run --release --quiet --manifest-path tests/consumers/Cargo.toml \
            --bin $program -- {{absolute_path(MODEL)}} || exit 1; \
    done

# Run everything that must pass before a change goes in
ci:
    .ci/run
