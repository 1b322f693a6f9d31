#!/usr/bin/env bash
# The development stack of vault-config/compose as plain processes, for people
# without containers: a stand-in for AWS KMS, a server that unseals by itself, the
# lab, and a node that enrols, has a session and renews. The files are those of the
# compose stack, with the places of this machine in them. All of it listens on
# 127.0.0.1, lives in one temporary folder, and ends with Ctrl-C. `make lab` builds first.
#
#   SERVERS=3               three servers with raft in place of one
#   BAO_BIN=/path/to/bao    another OpenBao than the one `make tools` fetched
#   LANDFAST=/path/to/it    another binary than target/debug/landfast
set -euo pipefail
cd "$(dirname "$0")/.."
bao=${BAO_BIN:-$PWD/.tools/openbao/2.7.2/bao}
landfast=${LANDFAST:-$PWD/target/debug/landfast}
configuration=$PWD/vault-config
compose=$configuration/compose
python=$PWD/.tools/kms/bin/python
[[ -x $bao ]] || { echo "lab: no server at $bao: run \`make tools\`, or set BAO_BIN" >&2; exit 1; }
[[ -x $landfast ]] || { echo "lab: no binary at $landfast: run \`make quick\`, or set LANDFAST" >&2; exit 1; }

dir=$(mktemp -d)
processes=()
finish() {
    local status=$?
    trap - EXIT INT TERM
    # The last that was started is the first to go.
    for ((i = ${#processes[@]} - 1; i >= 0; i--)); do kill "${processes[i]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$dir"
    exit "$status"
}
trap finish EXIT
trap 'exit 0' INT TERM

free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# A free port with a free one behind it.
free_port() {
    local try
    for _ in {1..100}; do
        try=$((RANDOM % 20000 + 20000))
        if free "$try" && free $((try + 1)); then echo "$try"; return; fi
    done
    echo "lab: no free ports" >&2
    exit 1
}
# NAME COMMAND…: goes on in the background, and writes to NAME.log.
start() {
    local name=$1
    shift
    "$@" >"$dir/$name.log" 2>&1 &
    processes+=($!)
}
# NAME COMMAND…: ends, or all of it does.
once() {
    local name=$1
    shift
    "$@" >"$dir/$name.log" 2>&1 || { echo "lab: $name failed:" >&2; cat "$dir/$name.log" "$dir"/server*.log >&2; exit 1; }
}
# NAME WORDS: until they stand in its log.
says() {
    for _ in {1..600}; do
        grep -qs "$2" "$dir/$1.log" && return
        sleep 0.1
    done
    echo "lab: $1 does not come:" >&2
    cat "$dir/$1.log" >&2
    exit 1
}

unset BAO_NAMESPACE VAULT_NAMESPACE BAO_TOKEN VAULT_TOKEN VAULT_ADDR
export HOME=$dir TMPDIR=$dir
mkdir -p "$dir"/{bin,plugins,public,operator,login,monitoring,tls,pair,node}
chmod 700 "$dir"/{operator,login,monitoring,tls,pair,node}
ln -s "$bao" "$dir/bin/bao"
install -m 0755 "$landfast" "$dir/plugins/landfast"
PATH=$dir/bin:$dir/plugins:$PATH

kms=$(free_port)
first=$(free_port)
# The files of the compose stack for one server, in DIR/NAME: NAME PORT
files() {
    local name=$1 port=$2 file
    mkdir -p "$dir/$name"/{etc,tmp,raft}
    cp -r "$compose/server/." "$dir/$name/etc"
    for file in "$dir/$name"/etc/*.{hcl,sh}; do
        # Its /tmp first: the folder of all of it may be in there.
        sed -i -e "s|/tmp/|@tmp@/|g" -e "s|/srv/landfast/raft|$dir/$name/raft|g; s|/srv/landfast|$dir|g; s|/etc/landfast|$dir/$name/etc|g" \
            -e "s|/opt/landfast|$dir/plugins|g; s|@tmp@|$dir/$name/tmp|g; s|0.0.0.0:8200|127.0.0.1:$port|" \
            -e "s|0.0.0.0:8201|127.0.0.1:$((port + 1))|; s|http://kms:4566|http://127.0.0.1:$kms|" \
            -e "s|https://server:8200|https://127.0.0.1:$first|; s|/configuration|$configuration|" "$file"
    done
}

start kms env GATEWAY_PORT="$kms" MINISTACK_HOST=127.0.0.1 SERVICES=kms MINISTACK_REGION=us-west-2 "$python" -m ministack
files server "$first"
once certs sh "$dir/server/etc/certs.sh"
sed "s|http://kms:4566|http://127.0.0.1:$kms|" "$compose/kms-key.py" >"$dir/kms-key.py"
once kms-key "$python" "$dir/kms-key.py"

export AWS_ACCESS_KEY_ID=development AWS_SECRET_ACCESS_KEY=development AWS_EC2_METADATA_DISABLED=true
export BAO_CACERT=$dir/public/ca.pem BAO_ADDR=https://127.0.0.1:$first
# NAME PORT ROLE
server() {
    start "$1" env NAME="$1" ROLE="$3" BAO_RAFT_NODE_ID="$1" BAO_API_ADDR="https://127.0.0.1:$2" TMPDIR="$dir/$1/tmp" \
        BAO_CLUSTER_ADDR="https://127.0.0.1:$(($2 + 1))" sh "$dir/$1/etc/server.sh"
}
server server "$first" first
once init env NODE=node-1 sh "$dir/server/etc/init.sh"
for ((i = 2; i <= ${SERVERS:-1}; i++)); do
    port=$(free_port)
    files "server-$i" "$port"
    server "server-$i" "$port" join
    echo "lab: server-$i is at https://127.0.0.1:$port"
done
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_EC2_METADATA_DISABLED

lab=$(free_port)
start lab landfast lab --trust-anchor "$dir/public/anchor.pem" --listen "127.0.0.1:$lab"
says lab trustAnchorArn
said() { sed -n "s|.*\"$1\":\"\([^\"]*\)\".*|\1|p" "$dir/lab.log"; }

login=(--address "$BAO_ADDR" --ca-cert "$BAO_CACERT" --node-name node-1 --auth approle
    --role-id-file "$dir/login/role-id" --secret-id-file "$dir/login/secret-id")
pair=(--certificate "$dir/pair/server.pem" --private-key "$dir/pair/server.key")
once enrol landfast enroll "${login[@]}" "${pair[@]}"
start renew landfast renew --daemon "${login[@]}" "${pair[@]}" --restart-unit "" --textfile "$dir/node/landfast.prom"
start node landfast update --no-cache --credentials-file "$dir/node/credentials" --endpoint "http://127.0.0.1:$lab" "${pair[@]}" \
    --role-session-name node-1 --trust-anchor-arn "$(said trustAnchorArn)" --profile-arn "$(said profileArn)" --role-arn "$(said roleArn)"
says node "session ASIA"

cat <<TEXT
lab: the node has its session after $SECONDS s. The server, with its console at $BAO_ADDR/ui:
  export BAO_ADDR=$BAO_ADDR BAO_CACERT=$BAO_CACERT
  export BAO_TOKEN=\$(sed -n 's/.*"root_token": "\(.*\)".*/\1/p' $dir/operator/init.json)
The lab, which stands in for IAM Roles Anywhere: http://127.0.0.1:$lab/
The node's credentials: AWS_SHARED_CREDENTIALS_FILE=$dir/node/credentials
All logs: $dir/*.log
Ctrl-C ends it and removes the folder.
TEXT
# If one of them ends, so does the lab.
wait -n "${processes[@]}" || true
echo "lab: a process ended, and with it all of them:" >&2
tail -n 3 "$dir"/*.log >&2
exit 1
