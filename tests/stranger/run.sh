#!/usr/bin/env bash
# A stranger's hour: crates outside of this workspace that depend on what is published of the SDK.
#
# The packages that `cargo package` makes are unpacked, and crates depend on them as they would on the registry. Each kind that
# `landfast-sdk new` writes, and an engine that is kept here as somebody else wrote it (keeper/), builds, passes its tests, and is registered
# and used on real servers, by the commands of its own README.
#
# Dependencies are those of this workspace's lock file, compiled in this workspace's target folder, so that few are compiled twice.
#   tests/stranger/run.sh               all of them
#   tests/stranger/run.sh auth keeper   only these
#
# BAO_BIN or VAULT_BIN is the server; else it is run on both releases that `scripts/tools.sh servers` fetches.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
begin=$SECONDS
cargo=${CARGO:-cargo}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
published=(landfast-base landfast-proto landfast-sdk)

if [[ -n ${BAO_BIN:-${VAULT_BIN:-}} ]]; then
    servers=("${BAO_BIN:-$VAULT_BIN}")
else
    servers=("$root"/.tools/openbao/*/bao)
fi
for server in "${servers[@]}"; do
    [[ -x $server ]] || { echo "stranger: no server at $server: run scripts/tools.sh servers, or set BAO_BIN" >&2; exit 1; }
done

# Outside of the workspace, and of its settings for cargo; always in the same place, so that the target folder does not grow. mkdir takes no folder
# of another's.
work=${TMPDIR:-/tmp}/landfast-stranger-$(id -u)
rm -rf "$work"
mkdir -m 700 "$work"
trap 'rm -rf "$work"' EXIT

say() { echo "stranger: $*"; }

"$cargo" build --quiet --locked -p landfast-sdk
target=${CARGO_TARGET_DIR:-$root/target}
new=$(realpath "$target/debug/landfast-sdk")

say "the packages"
"$cargo" package --quiet --locked --allow-dirty --no-verify "${published[@]/#/--package=}" 2>&1 | sed '/^warning: ignoring test\|^warning: manifest has no\|^ *|$\|^ *= note: see/d'
mkdir -p "$work/packages" "$work/.cargo"
{
    # What the workspace sets for these is set here too: with other settings they would be compiled anew.
    sed -n '/^\[profile.dev.package/,/^$/p' "$root/Cargo.toml"
    echo "[patch.crates-io]"
    for name in "${published[@]}"; do
        tar -xzf "$target/package/$name-$version.crate" -C "$work/packages"
        package=$work/packages/$name-$version
        # As others read it: licence and README are files, and nothing leads to a folder that is here alone.
        for file in LICENSE README.md; do
            [[ -f $package/$file && ! -L $package/$file ]] || { echo "stranger: $name has no $file" >&2; exit 1; }
        done
        if grep -n '^path = "\.\./\|workspace = true\|publish = false' "$package/Cargo.toml"; then
            echo "stranger: the manifest of $name cannot be published" >&2
            exit 1
        fi
        echo "$name = { path = \"$package\" }"
    done
} >"$work/.cargo/config.toml"

export CARGO_TARGET_DIR=$target
# The toolchain of the workspace: its own file is not found from there.
if command -v rustup >/dev/null; then RUSTUP_TOOLCHAIN=$(rustup show active-toolchain | cut -d' ' -f1); export RUSTUP_TOOLCHAIN; fi

# The commands of a README, each of which must succeed.
commands() { sed -n '/^```sh$/,/^```$/{/^```/d;p}' "$1"; }

tests=0
uses=0
port=$((20000 + RANDOM % 10000))
crates=("$@")
(( $# )) || crates=(secret auth database keeper)
for crate in "${crates[@]}"; do
    kind=$crate name=my-$crate
    if [[ $crate == keeper ]]; then kind=secret name=keeper; fi
    "$new" new "$name" --kind "$kind" --path "$work/$name" >/dev/null
    if [[ $crate == keeper ]]; then
        rm "$work/$name/src/main.rs"
        cp -r tests/stranger/keeper/{Cargo.toml,src} "$work/$name/"
        cp tests/stranger/keeper/use.sh "$work/$name/use.sh"
    else
        { echo "set -euo pipefail"; commands "$work/$name/README.md"; } >"$work/$name/use.sh"
    fi
    cp Cargo.lock "$work/$name/"
    cd "$work/$name"
    say "$name: its tests"
    "$cargo" fmt --check
    "$cargo" test --quiet >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    grep '^test result' "$work/log"
    passed=$(sed -n 's/^test result: ok. \([0-9]*\) passed.*/\1/p' "$work/log")
    (( passed > 0 )) || { echo "stranger: $name ran no test" >&2; exit 1; }
    tests=$((tests + passed))
    for server in "${servers[@]}"; do
        port=$((port + 1))
        say "$name on $("$server" version | head -1 | cut -d, -f1)"
        PORT=$port BAO=$server ./dev.sh bash use.sh >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
        uses=$((uses + 1))
    done
    # A figure and no test: without optimisation it is more than it would be, and other work on the machine counts too.
    say "$name: $(python3 "$root/bench/start.py" --kind "$kind" --binary "$target/debug/$name")"
    cd "$root"
done
say "$tests tests passed in ${#crates[@]} crates outside of the workspace, used $uses times on real servers, in $((SECONDS - begin)) s"
