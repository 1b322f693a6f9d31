#!/usr/bin/env bash
# Looks at the lab's page, and clicks through the web console of each pinned
# OpenBao server on a mount that landfast serves, in headless Chromium.
# `run.sh lab` and `run.sh console` do only one of them. CHROMIUM and
# CHROMEDRIVER name other programs than Debian's, LANDFAST a binary that is built
# already; LAB_PICTURE=docs/lab-page.png and PICTURE=docs/console-issuer.png take
# the pictures of the documentation anew.
set -euo pipefail
what=${1:-all}
[[ $what == all || $what == lab || $what == console ]] || { echo "test-browser: lab, console, or nothing" >&2; exit 2; }
cd "$(dirname "$0")/../.."
chromium=${CHROMIUM:-/usr/bin/chromium}
driver=${CHROMEDRIVER:-/usr/bin/chromedriver}
for program in "$chromium" "$driver"; do
    if [[ ! -x $program ]]; then
        echo "test-browser: no $program. Install Chromium and its driver (Debian: apt-get install chromium chromium-driver)," >&2
        echo "test-browser: or name yours in CHROMIUM and CHROMEDRIVER" >&2
        exit 1
    fi
done
scripts/tools.sh browser
landfast=${LANDFAST:-}
if [[ -z $landfast ]]; then
    cargo build --locked -p landfast
    landfast=${CARGO_TARGET_DIR:-target}/debug/landfast
fi
export CHROMIUM=$chromium CHROMEDRIVER=$driver PYTHONDONTWRITEBYTECODE=1
failed=0
if [[ $what != console ]]; then
    picture=()
    [[ -z ${LAB_PICTURE:-} ]] || picture=(--picture "$LAB_PICTURE")
    .tools/browser/bin/python tests/browser/lab.py --landfast "$landfast" "${picture[@]}" || failed=1
fi
if [[ $what != lab ]]; then
    scripts/tools.sh servers
    servers=()
    if [[ -n ${BAO_BIN:-} ]]; then
        servers=(--server "$BAO_BIN")
    else
        while read -r version _; do
            [[ $version == \#* || -z $version ]] || servers+=(--server ".tools/openbao/$version/bao")
        done <scripts/servers.txt
    fi
    picture=()
    [[ -z ${PICTURE:-} ]] || picture=(--picture "$PICTURE")
    .tools/browser/bin/python tests/browser/console.py --landfast "$landfast" "${servers[@]}" "${picture[@]}" || failed=1
fi
exit "$failed"
