#!/usr/bin/env bash
# Clicks through the web console of each pinned OpenBao server, in headless
# Chromium, on a mount that landfast serves. CHROMIUM and CHROMEDRIVER name
# other programs than Debian's, LANDFAST a binary that is built already;
# PICTURE=docs/console-issuer.png takes the picture of the documentation anew.
set -euo pipefail
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
scripts/tools.sh servers
scripts/tools.sh browser
landfast=${LANDFAST:-}
if [[ -z $landfast ]]; then
    cargo build --locked -p landfast
    landfast=${CARGO_TARGET_DIR:-target}/debug/landfast
fi
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
export CHROMIUM=$chromium CHROMEDRIVER=$driver
PYTHONDONTWRITEBYTECODE=1 exec .tools/browser/bin/python tests/browser/console.py --landfast "$landfast" "${servers[@]}" "${picture[@]}"
