#!/usr/bin/env bash
# Runs each fuzz target for a few seconds, from the seeds beside it. It needs a
# nightly toolchain, which the targets' instrumentation asks for.
#
#   FUZZ_SECONDS=10     seconds for each target
#   scripts/fuzz.sh csr key     only these
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-10}
host=$(rustc -vV | sed -n 's/^host: //p')
toolchain=${FUZZ_TOOLCHAIN:-nightly}

if ! RUSTUP_TOOLCHAIN=$toolchain rustc --version 2>/dev/null | grep -q nightly; then
    cat >&2 <<'NOTE'
********************************************************************************
*  FUZZING WAS LEFT OUT: there is no nightly toolchain on this machine.        *
*  Nothing that reads bytes from outside was fuzzed in this run.               *
*  `rustup toolchain install nightly --profile minimal` brings one.            *
********************************************************************************
NOTE
    exit 0
fi

targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    for file in fuzz/targets/*.rs; do targets+=("$(basename "$file" .rs)"); done
fi

# What `cargo fuzz build --sanitizer none` sets: edge counters and compared
# values for libFuzzer. With --target, build scripts stay uninstrumented.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags+=" -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
echo "fuzz: building ${#targets[@]} targets"
# The versions that ship are the versions that are fuzzed.
cp Cargo.lock fuzz/Cargo.lock
RUSTUP_TOOLCHAIN=$toolchain RUSTFLAGS=$flags \
    cargo build --quiet --release --manifest-path fuzz/Cargo.toml --target "$host"

for target in "${targets[@]}"; do
    echo "fuzz: $target for $seconds s"
    work=$(mktemp -d)
    mkdir -p "fuzz/artifacts/$target"
    if ! "fuzz/target/$host/release/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -artifact_prefix="fuzz/artifacts/$target/" "$work" "fuzz/seeds/$target" >"$work.log" 2>&1; then
        tail -n 40 "$work.log" >&2
        echo "fuzz: $target FAILED; the input is in fuzz/artifacts/$target/" >&2
        exit 1
    fi
    grep -E '^Done|stat::number_of_executed' "$work.log" | head -1 | sed "s/^/fuzz: $target: /"
    rm -rf "$work" "$work.log"
done
