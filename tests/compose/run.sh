#!/usr/bin/env bash
# Builds the images, brings the development stack up with docker compose, takes
# parts of it away, and looks whether it comes back. Needs a Docker engine with
# docker-compose 1.29 or later, and, where no registry can be reached, Debian, whose
# packages the stand-ins for public images are made of. Nothing is left behind but
# images; KEEP_IMAGES=no removes those that were built here.
#
#   LANDFAST=/path/to/it   a binary that is built already
#   tests/compose/run.sh minimal       only this
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! docker info >/dev/null 2>&1; then
    echo "test-compose: no Docker engine answers. Install and start one (Debian: apt-get install docker.io docker-compose)" >&2
    exit 1
fi
landfast=${LANDFAST:-}
if [[ -z $landfast ]]; then
    cargo build --locked -p landfast
    landfast=${CARGO_TARGET_DIR:-target}/debug/landfast
fi

scripts/tools.sh servers
scripts/tools.sh kms

# Every public image is pulled if there is a registry; else all of them are built here.
mapfile -t public < <(sed -n 's|^ *image: \(docker.io/.*\)|\1|p' vault-config/compose/compose.yaml | sort -u
    sed -n 's|^ARG \(BASE\|SERVER\)=||p' Containerfile)
mode=()
for image in "${public[@]}"; do
    docker image inspect "$image" >/dev/null 2>&1 && continue
    if ! timeout 120 docker pull --quiet "$image" >/dev/null 2>&1; then
        echo "test-compose: $image cannot be pulled, so stand-ins are built"
        mode=(stand-ins)
        break
    fi
done
LANDFAST=$landfast scripts/images.sh "${mode[@]}"

# Images that were pulled stay in any case.
remove() {
    [[ ${KEEP_IMAGES:-yes} == no ]] || return 0
    docker rmi --force landfast:0.1.0 landfast-openbao:0.1.0 >/dev/null
    docker image ls --quiet --filter label=landfast.stand-in | sort -u | xargs --no-run-if-empty docker rmi --force >/dev/null
}
trap remove EXIT
LANDFAST=$(realpath "$landfast") PYTHONDONTWRITEBYTECODE=1 .tools/kms/bin/python tests/compose/test.py "$@"
