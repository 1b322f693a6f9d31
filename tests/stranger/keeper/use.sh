# A server's life with the engine, in the environment of dev.sh: any step that goes wrong ends it.
set -euo pipefail
outside=$(mktemp -d)
trap 'rm -rf "$outside"' EXIT
step() { echo "== $*"; }
# What stands in the folder, but for the trap.
accounts() { find "$outside" -type f ! -name .die -printf '%f\n' | sort; }
must() { "$@" || { echo "this failed: $*" >&2; exit 1; }; }
server=$(pgrep -f -- "-dev-listen-address=${BAO_ADDR#http://}")
log=$(readlink "/proc/$server/fd/1")
plugins() { pgrep -P "$server" -f plugins/keeper; }
refused() { ! "$@" >/dev/null 2>&1 || { echo "this should have failed: $*" >&2; exit 1; }; }

step "an account with a lease"
bao write keeper/config folder="$outside" length=32
bao write keeper/roles/readers prefix=r- ttl=1h max_ttl=4h groups=a,b
bao read -format=json keeper/creds/readers >"$outside.json"
lease=$(jq -r .lease_id "$outside.json")
name=$(jq -r .data.name "$outside.json")
must test "$(cat "$outside/$name")" = "$(jq -r .data.password "$outside.json")"
rm "$outside.json"
must test "$(bao lease renew -format=json "$lease" | jq .lease_duration)" = 3600
bao lease revoke -sync "$lease"
must test -z "$(accounts)"

step "an account that stays"
bao write keeper/static/admin period=24h
must test "$(cat "$outside/admin")" = "$(bao read -field=password keeper/static-creds/admin)"
bao write -force keeper/rotate/admin
must test "$(cat "$outside/admin")" = "$(bao read -field=password keeper/static-creds/admin)"

step "death between an account and its lease"
touch "$outside/.die"
refused bao read keeper/creds/readers
must test "$(accounts | wc -l)" = 2
# The next request starts the plugin, which undoes it first.
bao read keeper/roles/readers
must test "$(accounts)" = admin
refused bao list sys/leases/lookup/keeper/creds/readers

step "death in a rotation"
touch "$outside/.die"
refused bao write -force keeper/rotate/admin
bao write -force keeper/rotate/admin
must test "$(cat "$outside/admin")" = "$(bao read -field=password keeper/static-creds/admin)"

step "an initialize that fails"
touch "$outside/.die"
refused bao read keeper/creds/readers
left=$(accounts | grep ^r-)
# What cannot be removed as a file.
rm "$outside/$left"
mkdir -p "$outside/$left/in-the-way"
refused bao read keeper/roles/readers
bao read keeper/roles/readers
refused bao write sys/plugins/reload/backend plugin=keeper
case $(bao version) in
    *" v2.6."*) bao read keeper/roles/readers ;;
    *" v2.7."*) refused bao read keeper/roles/readers ;;
esac
bao operator seal
bao operator unseal "$(sed -n 's/^Unseal Key: //p' "$log")" >/dev/null
for _ in $(seq 50); do if bao read keeper/roles/readers 2>/dev/null; then break; fi; sleep 0.1; done
must grep 'failed to initialize mount backend: path=keeper/' "$log" >/dev/null
bao read keeper/roles/readers
rmdir "$outside/$left/in-the-way" "$outside/$left"
bao write sys/plugins/reload/backend plugin=keeper
bao read keeper/roles/readers

step "several mounts, and the death of their process"
for mount in keeper-2 keeper-3; do
    bao secrets enable -path=$mount keeper
    bao write $mount/config folder="$outside"
done
must test "$(plugins | wc -w)" = 1
kill -9 "$(plugins)"
for mount in keeper-3 keeper-2 keeper; do
    # The server may not have noticed yet.
    for _ in $(seq 50); do if bao read $mount/config; then break; fi; sleep 0.1; done
    bao read $mount/config
done
must test "$(plugins | wc -w)" = 1

step "a PATCH, a list, help, a reload and the end"
bao patch keeper/config length=40
must test "$(bao read -field=folder keeper/config)" = "$outside"
must test "$(bao list -format=json keeper/roles | jq -r '.[0]')" = readers
must grep 'begin with its prefix' <<<"$(bao path-help keeper/roles/readers)"
bao read keeper/creds/readers
bao write sys/plugins/reload/backend plugin=keeper
bao read keeper/creds/readers
must test "$(accounts | wc -l)" = 3
bao secrets disable keeper
must test "$(accounts)" = admin
