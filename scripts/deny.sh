#!/usr/bin/env bash
# Checks licences, sources and banned crates against deny.toml. cargo-deny is
# built into .tools/ once, from its own lock file, when it is not there.
# It looks for no advisories: see SECURITY.md.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.20.2
deny=.tools/bin/cargo-deny
if ! "$deny" --version 2>/dev/null | grep -qF " $version"; then
    echo "deny: building cargo-deny $version into .tools/"
    cargo install --quiet --locked --force --root .tools "cargo-deny@$version"
fi
"$deny" --locked check --hide-inclusion-graph bans licenses sources
