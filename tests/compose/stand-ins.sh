#!/usr/bin/env bash
# Builds stand-ins for the public images of the development stack, under their names,
# for machines that reach no registry: from Debian's packages, and from the Python
# packages that this repository pins. Each has what the stack uses of the real one:
# the program at the same path, the same user, shell and tools. An image that is
# there already stays. Needs Debian (apt-get, dpkg-deb), no root, and an engine.
#
# Each has the label landfast.stand-in. To have the real ones again:
#   docker rmi $(docker image ls --quiet --filter label=landfast.stand-in)
set -euo pipefail
cd "$(dirname "$0")/../.."
engine=${ENGINE:-docker}
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# The names are those of the files that use them.
image_of() { sed -n "s|^ *image: \(docker.io/$1:.*\)|\1|p" vault-config/compose/compose.yaml | head -1; }
argument() { sed -n "s|^ARG $1=\(.*:.*\)|\1|p" Containerfile; }
missing() { ! "$engine" image inspect "$1" >/dev/null 2>&1; }

# Unpacks packages and all that they need into a folder.
unpack() {
    local folder=$1 names
    shift
    mapfile -t names < <(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances "$@" | grep '^[a-z]' | cut -d : -f 1 | sort -u |
        grep -vxE 'libperl.*|mailcap|mime-support|media-types|debconf.*|cdebconf|perl.*|dpkg|tar|install-info|adduser|passwd|init-system-helpers')
    unpack_only "$folder" "${names[@]}"
}
# Unpacks just these packages. What is only a name of others is left out.
unpack_only() {
    local folder=$1 name real
    shift
    mapfile -t real < <(apt-cache policy "$@" | awk '/^[a-z]/ { name = $1 } /Candidate: [^(]/ { sub(":$", "", name); print name }')
    mkdir -p "$work/debs" "$folder"
    (cd "$work/debs" && apt-get download -qq "${real[@]}" 2>"$work/apt.log") || { cat "$work/apt.log" >&2; exit 1; }
    for name in "$work"/debs/*.deb; do dpkg-deb --extract "$name" "$folder"; done
    rm -r "$work/debs"
    rm -rf "$folder"/usr/share/{doc,man,locale,zoneinfo,info} "$folder"/usr/lib/x86_64-linux-gnu/gconv
}

# The CAs of Debian, where programs look for them. Packages are unpacked, not set up.
authorities() {
    unpack_only "$1" ca-certificates
    mkdir -p "$1/etc/ssl/certs"
    cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$1/etc/ssl/certs/ca-certificates.crt"
}

# Programs of busybox under their usual names.
busybox() {
    local folder=$1 name
    for name in $("$folder/bin/busybox" --list); do
        [[ -e $folder/bin/$name || -e $folder/usr/bin/$name ]] || ln -s /bin/busybox "$folder/bin/$name"
    done
}

# IMAGE FOLDER, and the rest of a Containerfile on standard input.
build() {
    local image=$1 folder=$2
    install -d -m 1777 "$folder/tmp"
    tar --create --file "$folder.tar" --directory "$folder" --owner 0 --group 0 --numeric-owner .
    rm -rf "$folder"
    mkdir "$folder"
    mv "$folder.tar" "$folder/root.tar"
    { echo "FROM scratch"; echo "ADD root.tar /"; echo "LABEL landfast.stand-in=yes"; cat; } >"$folder/Containerfile"
    "$engine" build --quiet --file "$folder/Containerfile" --tag "$image" "$folder" >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
    rm -rf "$folder"
    "$engine" image inspect --format "stand-ins: $image, {{.Size}} octets" "$image"
}

base=$(argument BASE)
if missing "$base"; then
    root=$work/base
    unpack_only "$root" libc6 libgcc-s1
    authorities "$root"
    mkdir -p "$root/etc" "$root/home/nonroot"
    echo "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin" >"$root/etc/passwd"
    echo "nonroot:x:65532:" >"$root/etc/group"
    build "$base" "$root" <<<"USER 65532"
fi

server=$(argument SERVER)
if missing "$server"; then
    scripts/tools.sh servers
    version=${server##*:}
    root=$work/server
    unpack_only "$root" libc6 libgcc-s1 openssl libssl3 bash libtinfo6 busybox-static
    authorities "$root"
    install -D -m 0555 ".tools/openbao/$version/bao" "$root/usr/bin/bao"
    ln -s bao "$root/usr/bin/vault"
    busybox "$root"
    mkdir -p "$root"/{etc,openbao/{config,file,logs},home/openbao,var/lib,srv}
    printf 'root:x:0:0::/:/bin/sh\nopenbao:x:100:1000::/home/openbao:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\nopenbao:x:1000:\n' >"$root/etc/group"
    build "$server" "$root" <<<"USER openbao"
fi

kms=$(image_of ministackorg/ministack)
if missing "$kms"; then
    root=$work/kms
    unpack "$root" python3-minimal libpython3-stdlib
    python=$(basename "$(readlink "$root/usr/bin/python3")")
    ln -s python3 "$root/usr/bin/python"
    PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 "${PYTHON:-python3}" -m pip install --quiet --no-deps --require-hashes --no-compile --only-binary :all: \
        --python-version "${python#python}" --implementation cp \
        --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform any \
        --target "$root/usr/lib/python3/dist-packages" --requirement scripts/standin.txt
    # Descriptions of other services than those of the stack.
    find "$root/usr/lib/python3/dist-packages/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name kms ! -name sts -exec rm -r {} +
    mkdir -p "$root/etc" "$root/tmp/ministack-data"
    chmod 1777 "$root/tmp"
    printf 'root:x:0:0::/:/bin/sh\nministack:x:100:101::/:/sbin/nologin\n' >"$root/etc/passwd"
    printf 'root:x:0:\nministack:x:101:\n' >"$root/etc/group"
    build "$kms" "$root" <<'IMAGE'
RUN ["/usr/bin/python3", "-c", "import os; os.chown('/tmp/ministack-data', 100, 101)"]
ENTRYPOINT ["python", "-m", "ministack"]
IMAGE
fi

# One program of a Debian package in the place that the public image has for it.
monitor() {
    local image root=$work/$2
    image=$(image_of "prom/$2")
    missing "$image" || return 0
    unpack_only "$root" libc6 busybox-static "$1"
    busybox "$root"
    mv "$root/usr/bin/$1" "$root/bin/$3"
    mkdir -p "$root"/{etc/prometheus,prometheus}
    printf 'nobody:x:65534:65534::/:/bin/sh\n' >"$root/etc/passwd"
    build "$image" "$root" <<<"USER nobody
ENTRYPOINT [\"/bin/$3\"]"
}
monitor prometheus prometheus prometheus
monitor prometheus-node-exporter node-exporter node_exporter
