#!/usr/bin/env bash
# A hybrid node gets its certificate, from nothing, on a real OpenBao server:
# start, register, mount, CA, role, login, certificate, trust anchor, refusal;
# then AWS-shaped credentials from a lab, and no more of them once it is revoked.
# Everything happens on 127.0.0.1 and in one temporary folder, and ends with
# the script. `make demo` builds first.
#
#   BAO_BIN=/path/to/bao    another server than the one `make tools` fetched
#   LANDFAST=/path/to/it    another binary than target/debug/landfast
#   DEMO_KEEP=1             leave the server and the lab running, and say how to end them
set -euo pipefail
cd "$(dirname "$0")/.."

bao=${BAO_BIN:-${VAULT_BIN:-$PWD/.tools/openbao/2.7.2/bao}}
landfast=${LANDFAST:-$PWD/target/debug/landfast}
[[ -x $bao ]] || { echo "demo: no server at $bao: run \`make tools\`, or set BAO_BIN" >&2; exit 1; }
[[ -x $landfast ]] || { echo "demo: no binary at $landfast: run \`make quick\`, or set LANDFAST" >&2; exit 1; }

if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' off=$'\e[0m'; else bold='' dim='' green='' off=''; fi
step=0
say() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$bold" "$step" "$1" "$off"; }
# Runs a command and shows it first as one would type it, paths left out.
run() {
    local word shown=''
    for word in "$@"; do
        [[ $word == "$bao" ]] && word=$client
        word=${word//$dir\/plugins\//}
        word=${word//$dir\//}
        [[ $word == *[\ {]* ]] && word="'$word'"
        shown+=" $word"
    done
    printf '%s   $%s%s\n' "$dim" "$shown" "$off"
    "$@" 2>"$dir/stderr" >"$dir/stdout" || { cat "$dir/stderr" >&2; fail "the last command failed"; }
    # A field that is printed alone has no newline at its end.
    sed -e 's/^/   /' -e '$a\' "$dir/stdout"
}
good() { printf '   %sok%s  %s\n' "$green" "$off" "$1"; }
fail() { printf 'demo: %s\n' "$1" >&2; tail -n 20 "$dir/server.log" >&2 || true; exit 1; }

dir=$(mktemp -d)
server=
lab=
finish() {
    local status=$?
    if [[ -n ${DEMO_KEEP:-} && $status -eq 0 ]]; then
        printf '\nStill running: the server, and the lab at %s. To look around:\n' "$(lab_says endpoint)"
        printf '  export %s_ADDR=%s %s_TOKEN=%s\n' "${client^^}" "$BAO_ADDR" "${client^^}" "$BAO_TOKEN"
        printf 'To end both and remove their files:\n  kill %s %s && rm -r %s\n' "$server" "$lab" "$dir"
        return
    fi
    if [[ -n $lab ]]; then kill "$lab" 2>/dev/null || true; wait "$lab" 2>/dev/null || true; fi
    if [[ -n $server ]]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$dir"
}
trap finish EXIT

# A dev server takes its port and the next one.
free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=
for _ in {1..50}; do
    try=$((RANDOM % 20000 + 20000))
    if free "$try" && free $((try + 1)); then port=$try; break; fi
done
[[ -n $port ]] || fail "no free pair of ports"
export BAO_ADDR=http://127.0.0.1:$port VAULT_ADDR=http://127.0.0.1:$port BAO_TOKEN=root VAULT_TOKEN=root
export HOME=$dir
unset BAO_NAMESPACE VAULT_NAMESPACE BAO_CACERT VAULT_CACERT

# Vault has no KMS plugins: there the server keeps everything in memory, and the steps about the seal are left out.
seals='' client=vault product=vault
if "$bao" version | grep -q OpenBao; then seals=1 client=bao product=openbao; fi

start() {
    local arguments=()
    [[ -n $seals ]] || arguments=(-dev -dev-no-store-token -dev-root-token-id=root -dev-listen-address="127.0.0.1:$port")
    "$bao" server "${arguments[@]}" -config="$dir/server.hcl" >>"$dir/server.log" 2>&1 &
    server=$!
    # 0: unsealed, 2: sealed or not initialised yet.
    wait_for "$1"
}
wait_for() {
    local status
    for _ in {1..400}; do
        status=0
        "$bao" status >/dev/null 2>&1 || status=$?
        [[ $status -eq $1 ]] && return
        kill -0 "$server" 2>/dev/null || fail "the server ended"
        sleep 0.05
    done
    fail "the server is not ready"
}

mkdir "$dir/plugins" "$dir/raft" "$dir/keys"
# Where mounts may find key files: for the operator of the server to say, and not for who configures a mount.
export LANDFAST_KEY_DIRECTORY=$dir/keys
install -m 0755 "$landfast" "$dir/plugins/landfast"
printf 'plugin_directory = "%s"\n' "$dir/plugins" >"$dir/server.hcl"
if [[ -n $seals ]]; then
    say "A server starts, and unseals itself through the plugin: here by a key file, in earnest by AWS KMS"
    run "$dir/plugins/landfast" unseal init-key "$dir/seal.key"
    cat >>"$dir/server.hcl" <<HCL
api_addr     = "$BAO_ADDR"
cluster_addr = "https://127.0.0.1:$((port + 1))"
storage "raft" {
  path    = "$dir/raft"
  node_id = "one"
}
listener "tcp" {
  address     = "127.0.0.1:$port"
  tls_disable = true
}
plugin "kms" "awskms" {
  command   = "landfast"
  sha256sum = "$(sha256sum <"$landfast" | cut -d' ' -f1)"
}
seal "awskms" {
  local_key_file = "$dir/seal.key"
}
HCL
    start 2
    "$bao" operator init -recovery-shares=1 -recovery-threshold=1 -format=json >"$dir/init.json"
    BAO_TOKEN=$(sed -n 's/.*"root_token": "\(.*\)".*/\1/p' "$dir/init.json")
    VAULT_TOKEN=$BAO_TOKEN
    wait_for 0
    good "$("$bao" version), at $BAO_ADDR, unsealed by $("$bao" status | sed -n 's/^Recovery Seal Type *//p; s/^Seal Type *//p' | head -1)"
else
    say "A server starts"
    start 0
    good "$("$bao" version), in memory, at $BAO_ADDR"
fi

say "The plugin is registered with its SHA-256, and mounted"
register=$("$dir/plugins/landfast" register --server "$product" --name landfast --plugin-dir "$dir/plugins" | grep "^$client plugin register")
read -ra words <<<"$register"
run "$bao" "${words[@]:1}"
run "$bao" secrets enable -path=pki -max-lease-ttl=87600h landfast

say "A certificate authority, whose key never leaves the server"
run "$bao" write -field=issuer_id pki/root/generate/internal common_name="Hybrid nodes CA" \
    key_type=ec key_bits=256 ttl=87600h
"$bao" read -field=certificate pki/cert/ca >"$dir/ca.pem"

say "The CA's key is sealed: storage and backups hold it under a key outside of the server; here a file, in earnest AWS KMS"
run "$dir/plugins/landfast" unseal init-key "$dir/keys/ca"
run "$bao" write -field=wrapped_by pki/config/seal type=local key_file=ca
"$bao" write -f pki/seal/migrate >/dev/null
for _ in {1..100}; do
    [[ $("$bao" read -field=migration_state pki/seal/status) == done ]] && break
    sleep 0.05
done
run "$bao" read -field=keys_sealed pki/seal/status

say "One AppRole per node, and one role that gives each caller its own name only"
"$bao" auth enable approle >/dev/null
accessor=$("$bao" auth list -format=json | sed -n 's/.*"accessor": "\(auth_approle_[^"]*\)".*/\1/p')
printf 'path "pki/sign/hybrid-node" { capabilities = ["update"] }\n' | "$bao" policy write node - >/dev/null
for node in node-1 node-2; do
    "$bao" write "auth/approle/role/$node" token_policies=node token_ttl=10m >/dev/null
done
run "$bao" write -field=allowed_domains pki/roles/hybrid-node preset=hybrid-node mount_accessor="$accessor"

say "node-1 logs in with its own AppRole and makes its key: only a request leaves it"
role_id=$("$bao" read -field=role_id auth/approle/role/node-1/role-id)
secret_id=$("$bao" write -f -field=secret_id auth/approle/role/node-1/secret-id)
node_token=$(printf '{"role_id":"%s","secret_id":"%s"}' "$role_id" "$secret_id" |
    BAO_TOKEN='' VAULT_TOKEN='' "$bao" write -field=token auth/approle/login -)
run openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node-1 \
    -keyout "$dir/node-1.key" -out "$dir/node-1.csr"
as_node() { BAO_TOKEN=$node_token VAULT_TOKEN=$node_token "$bao" "$@"; }
as_node write -field=certificate pki/sign/hybrid-node csr=@"$dir/node-1.csr" >"$dir/node-1.pem"
run openssl x509 -in "$dir/node-1.pem" -noout -subject -issuer -enddate -ext extendedKeyUsage

say "openssl agrees: the certificate chains to the CA"
run openssl verify -x509_strict -purpose sslclient -CAfile "$dir/ca.pem" "$dir/node-1.pem"

say "The CA as an IAM Roles Anywhere trust anchor, ready for: aws rolesanywhere create-trust-anchor --cli-input-json file://anchor.json"
run "$dir/plugins/landfast" trust-anchor --format cli --name hybrid-nodes --leaf-days 3

say "node-1 asks for the name of node-2, and is refused"
openssl req -new -key "$dir/node-1.key" -subj /CN=node-2 -out "$dir/foreign.csr" 2>/dev/null
if as_node write pki/sign/hybrid-node csr=@"$dir/foreign.csr" >"$dir/refusal" 2>&1; then
    fail "node-1 got a certificate for node-2"
fi
sed -n 's/^\* /   /p' "$dir/refusal"
grep -q "not allowed" "$dir/refusal" || fail "the refusal says something else: $(cat "$dir/refusal")"

say "A lab stands in for IAM Roles Anywhere: it verifies what AWS verifies"
"$dir/plugins/landfast" trust-anchor --format pem --output "$dir/anchor.pem"
"$dir/plugins/landfast" lab --trust-anchor "$dir/anchor.pem" --listen 127.0.0.1:0 >"$dir/lab.json" 2>"$dir/lab.log" &
lab=$!
for _ in {1..100}; do
    [[ -s $dir/lab.json ]] && break
    kill -0 "$lab" 2>/dev/null || fail "the lab ended: $(cat "$dir/lab.log")"
    sleep 0.05
done
lab_says() { sed -n "s|.*\"$1\":\"\([^\"]*\)\".*|\1|p" "$dir/lab.json"; }
good "at $(lab_says endpoint), and it says: $(lab_says notice)"

say "node-2 enrols by itself: login, key, certificate, checks, files"
"$bao" read -field=role_id auth/approle/role/node-2/role-id >"$dir/role-id"
"$bao" write -f -field=secret_id auth/approle/role/node-2/secret-id >"$dir/secret-id"
pair=(--certificate "$dir/node-2/server.pem" --private-key "$dir/node-2/server.key")
run "$dir/plugins/landfast" enroll --node-name node-2 --auth approle --role-id-file "$dir/role-id" \
    --secret-id-file "$dir/secret-id" "${pair[@]}"

say "node-2 gets AWS credentials for its certificate"
session() {
    "$dir/plugins/landfast" credential-process --no-cache --endpoint "$(lab_says endpoint)" "${pair[@]}" \
        --role-session-name node-2 --trust-anchor-arn "$(lab_says trustAnchorArn)" \
        --profile-arn "$(lab_says profileArn)" --role-arn "$(lab_says roleArn)"
}
session >"$dir/session" 2>"$dir/stderr" || fail "no session: $(cat "$dir/stderr")"
good "credential-process: access key $(sed -n 's/.*"AccessKeyId":"\([^"]*\)".*/\1/p' "$dir/session"), until $(sed -n 's/.*"Expiration":"\([^"]*\)".*/\1/p' "$dir/session")"

say "node-2 is lost: its certificate is revoked, and AWS is told"
serial=$(openssl x509 -in "$dir/node-2/server.pem" -noout -serial | sed 's/serial=//; s/../&:/g; s/:$//')
"$bao" write pki/revoke serial_number="$serial" >/dev/null
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
AWS_ACCESS_KEY_ID=$(lab_says accessKeyId) AWS_SECRET_ACCESS_KEY=$(lab_says secretAccessKey)
run "$dir/plugins/landfast" crl sync --trust-anchor-arn "$(lab_says trustAnchorArn)" --endpoint "$(lab_says endpoint)" --apply
if session >/dev/null 2>"$dir/refusal"; then fail "a revoked node got a session"; fi
sed 's/^/   /' "$dir/refusal"
grep -q "Certificate revoked" "$dir/refusal" || fail "the refusal says something else"
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY

if [[ -n $seals ]]; then
    say "The server is restarted: nobody types a key, and node-1 renews"
    kill "$server"
    wait "$server" 2>/dev/null || true
    start 0
    as_node write -field=serial_number pki/sign/hybrid-node csr=@"$dir/node-1.csr" >"$dir/serial" || fail "no certificate after the restart"
    good "unsealed by itself; node-1 holds certificate $(cat "$dir/serial")"
fi

printf '\n%sDone in %d s.%s A hybrid node has its certificate, AWS has its trust anchor, and no AWS key lies anywhere.\n' "$bold" "$SECONDS" "$off"
