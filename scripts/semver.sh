#!/usr/bin/env bash
# Tells what of the SDK's interface breaks those who build on an earlier version of it, and so wants a new minor version while it is below 1.0
# (https://doc.rust-lang.org/cargo/reference/semver.html), and a line in the changelog.
#
#   scripts/semver.sh v0.1.0     since this tag, branch or commit
#
# cargo-semver-checks is built into .tools/ once, from its own lock file, when it is not there: some ten minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
if (( $# != 1 )); then
    echo "semver: name the earlier version, as in: scripts/semver.sh v0.1.0" >&2
    exit 2
fi
since=$1
if ! git rev-parse --quiet --verify "$since^{commit}" >/dev/null; then
    echo "semver: $since is no tag, branch or commit here" >&2
    exit 2
fi
version=0.51.0
checks=.tools/bin/cargo-semver-checks
if ! "$checks" semver-checks --version 2>/dev/null | grep -qF " $version"; then
    echo "semver: building cargo-semver-checks $version into .tools/"
    cargo install --quiet --locked --force --root .tools "cargo-semver-checks@$version"
fi
"$checks" semver-checks --baseline-rev "$since" --package landfast-base --package landfast-proto --package landfast-sdk
