#!/usr/bin/env bash
# Runs every test, with the arguments for cargo that it is given. On Vault
# (VAULT_BIN) it says first what is left out there, and why.
set -euo pipefail
cd "$(dirname "$0")/.."
left_out=()
if [[ -n ${VAULT_BIN:-} ]]; then
    [[ -z ${BAO_BIN:-} ]] || { echo "test: set BAO_BIN or VAULT_BIN, not both" >&2; exit 2; }
    while read -r name reason; do
        [[ -z $name || $name == \#* ]] && continue
        echo "test: left out on Vault: $name ($reason)"
        left_out+=(--skip "$name")
    done <tests/e2e/not-on-vault.txt
fi
# Tests wait for servers more than they compute.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}
exec "${CARGO:-cargo}" test --locked --workspace "$@" -- "${left_out[@]}"
