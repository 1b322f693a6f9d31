#!/usr/bin/env bash
# Builds the images that no registry has: landfast:VERSION, and the server of the
# development stack, landfast-openbao:VERSION. `make images` builds the binary first.
#
#   scripts/images.sh             both, on public base images
#   scripts/images.sh stand-ins   first stand-ins for the public images, where no
#                                 registry can be reached: see tests/compose/stand-ins.sh
#
#   LANDFAST=/path/to/it   another binary than target/release/landfast
#   BASE, SERVER           other base images
#   SERVER_NAME            another name than landfast-openbao for the one on SERVER
#   ENGINE=podman          another engine than docker
#
# The binary needs a C library as new as the one that it was built on: build it on
# Debian 12 or older for the default base, or name a newer BASE.
#
# What is built is the same to the byte for one commit and one binary; the layout in
# target/images/landfast.tar is what a registry and OpenBao take, and its digest is
# the last line that is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
engine=${ENGINE:-docker}
landfast=${LANDFAST:-$PWD/target/release/landfast}
[[ -x $landfast ]] || { echo "images: no binary at $landfast: run \`make build\`, or set LANDFAST" >&2; exit 1; }

# Builders that read it put it in the place of their own clock.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

[[ ${1:-} != stand-ins ]] || tests/compose/stand-ins.sh

out=${IMAGES_DIR:-target/images}
context=$out/context
rm -rf "$context"
# Folders for volumes, which take over owner and mode from them.
mkdir -p "$context"/{iam/pki,lib/landfast} "$context"/srv/landfast/{tls,public,operator,login,monitoring,raft}
chmod 755 "$context"/{iam,lib,srv,srv/landfast}
chmod 700 "$context"/{iam/pki,lib/landfast} "$context"/srv/landfast/*
# Symbols are for debuggers. A binary without them goes in as it is, with the sum that it has.
if readelf -SW "$landfast" | grep -q ' \.symtab '; then
    strip -o "$context/landfast" "$landfast"
else
    cp "$landfast" "$context/landfast"
fi
chmod 755 "$context/landfast"
install -m 0644 LICENSE "$context/LICENSE"
scripts/sbom.py "$context/landfast.cdx.json" "$context/THIRD-PARTY-LICENSES.txt"
chmod 644 "$context"/{landfast.cdx.json,THIRD-PARTY-LICENSES.txt}
find "$context" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

# `landfast 0.1.0 (commit 0123456789ab)`
read -r _ version _ revision <<<"$("$context/landfast" --version)"
arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=${revision%)}")
[[ -z ${BASE:-} ]] || arguments+=(--build-arg "BASE=$BASE")
[[ -z ${SERVER:-} ]] || arguments+=(--build-arg "SERVER=$SERVER")

build() {
    local target=$1 tag=$2
    # Its warnings are of interest only when it fails.
    "$engine" build --quiet --file Containerfile --target "$target" --tag "$tag" "${arguments[@]}" "$context" >"$out/build.log" 2>&1 ||
        { cat "$out/build.log" >&2; exit 1; }
    "$engine" image inspect --format "images: $tag, {{.Size}} octets" "$tag"
}
build server "${SERVER_NAME:-landfast-openbao}:$version"
build landfast "landfast:$version"
scripts/image-layout.py "landfast:$version" "$out/landfast.tar"
