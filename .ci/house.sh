#!/usr/bin/env bash
# Checks the rules of ARCHITECTURE.md: which crate may use which, what only the program may use,
# where a family and a device may be named, and what a program that only reranks pulls in.
# Takes seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
complain() {
    echo "house: $1" >&2
    failed=1
}

# The crates of ours that each of our crates may use. The program may use all.
allowed() {
    case $1 in
    records | kernels) echo "" ;;
    eval | hub | llm) echo "records" ;;
    model) echo "records kernels" ;;
    retrieve) echo "records model eval" ;;
    synth) echo "records model retrieve llm eval" ;;
    train) echo "records model eval" ;;
    export) echo "records model" ;;
    rank) echo "records model retrieve eval llm" ;;
    serve) echo "records model hub rank" ;;
    *) return 1 ;;
    esac
}

# The direct dependencies of a crate, without those for tests and builds.
direct() {
    cargo tree --package "$1" --edges normal --depth 1 --prefix none | tail -n +2 | cut -d ' ' -f 1
}

# Only the program may use these: the command line, the terminal, errors without a type.
program_only="anyhow clap clap_complete comfy-table crossterm indicatif"

for folder in crates/*/; do
    crate=$(basename "$folder")
    [ "$crate" = cli ] && continue
    if ! may=$(allowed "$crate"); then
        complain "crates/$crate is not in the table of .ci/house.sh"
        continue
    fi
    for used in $(direct "whetstone-$crate"); do
        case " $program_only " in
        *" $used "*) complain "crates/$crate uses $used, which belongs to crates/cli alone" ;;
        esac
        case $used in
        whetstone-*)
            case " $may " in
            *" ${used#whetstone-} "*) ;;
            *) complain "crates/$crate may not use $used" ;;
            esac
            ;;
        esac
    done
done

# Prints the code of a file without its tests and comments.
code() {
    awk '/^#\[cfg\(test\)\]/ { getline; if (/{/) exit; next }
         !/^ *\/\// { print FILENAME ":" FNR ":" $0 }' "$1"
}

sources() {
    find crates/*/src -name '*.rs' -not -name 'tests.rs' -not -name 'fixture.rs' -not -path '*/tests/*'
}

everything=$(sources | while read -r file; do code "$file"; done)

# Only one place may choose a family and an engine.
known_there='^crates/model/src/(families|engine)(/|\.rs)'
for name in '"bert\.' '\[CLS\]' 'BertConfig' 'Device::flex\(\)'; do
    found=$(grep -E "^[^:]*:[0-9]+:.*$name" <<<"$everything" | grep -Ev "$known_there" || true)
    [ -z "$found" ] || complain "\`$name\` outside crates/model/src/families and engine:
$found"
done

# Only layout.rs may name a file of a data set, a model, a run or an evaluation.
layout=crates/records/src/layout.rs
names=$(grep -oE '= "[^"]*\.[a-z]+"' "$layout" | cut -d '"' -f 2 | sed 's/\./\\./g' | paste -sd '|')
found=$(grep -E "^[^:]*:[0-9]+:.*\"($names)\"" <<<"$everything" | grep -v "^$layout:" || true)
[ -z "$found" ] || complain "files that $layout has a name for:
$found"

# A program that only reranks must stay small.
for unwanted in burn-autodiff burn-optim hf-hub hyper reqwest ureq; do
    if cargo tree --package whetstone-model --edges normal --prefix none | grep -q "^$unwanted v"; then
        complain "whetstone-model alone pulls in $unwanted"
    fi
done

# We must promise the same oldest Rust as burn.
rust_version() {
    sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' "$1"
}
host=$(rustc --version --verbose | sed -n 's/^host: //p')
burn=$(cargo metadata --format-version 1 --filter-platform "$host" |
    grep -oE '"manifest_path":"[^"]*/burn-[0-9][^"/]*/Cargo.toml"' | head -n 1 | cut -d '"' -f 4)
ours=$(rust_version Cargo.toml)
theirs=$(rust_version "$burn")
[ -n "$theirs" ] && [ "$ours" = "$theirs" ] ||
    complain "rust-version is $ours in Cargo.toml and $theirs in $burn"
# The pages must say the same.
found=$(grep -noE 'Rust 1\.[0-9]+' README.md docs/*.md | grep -v "Rust $ours\$" || true)
[ -z "$found" ] || complain "rust-version is $ours, and the pages say:
$found"

exit "$failed"
