"""Calls every method of hvac's client of pki on a mount, and prints what came of each, in JSON.

    hvac_pki.py ADDRESS MOUNT CSR SELF_SIGNED

CSR and SELF_SIGNED are files in PEM; the token is in VAULT_TOKEN. A second mount, MOUNT-sub, has to be there.
"""

import json
import os
import pathlib
import re
import sys

import hvac
import requests

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SERIAL = re.compile(r"([0-9a-f]{2}:){7,}[0-9a-f]{2}")
TIMES = {"expiration", "not_before", "revocation_time", "revocation_time_rfc3339", "time_started", "time_finished"}


def picture(value, name=""):
    """A value without what is random in it."""
    if isinstance(value, dict):
        plain = {key: picture(member, key) for key, member in value.items() if key not in ("request_id", "lease_id")}
        # What is told of each of several ids, whose order is by chance.
        if any(picture(key) != key for key in plain):
            return sorted(plain.values(), key=json.dumps)
        return plain
    if isinstance(value, list):
        return [picture(member, name) for member in value]
    if name in TIMES:
        return type(value).__name__
    if isinstance(value, str):
        blocks = re.findall(r"-----BEGIN ([A-Z0-9 ]+)-----", value)
        if blocks:
            return blocks
        return SERIAL.sub("SERIAL", UUID.sub("ID", value)).replace(MOUNT, "MOUNT")
    return value


ADDRESS, MOUNT, CSR, SELF_SIGNED = sys.argv[1], sys.argv[2], *(pathlib.Path(name).read_text() for name in sys.argv[3:5])
pki = hvac.Client(url=ADDRESS, token=os.environ["VAULT_TOKEN"]).secrets.pki
seen = []


def call(method, *arguments, mount=MOUNT, **named):
    """The answer of a method; its picture is kept."""
    try:
        answer = getattr(pki, method)(*arguments, mount_point=mount, **named)
    except hvac.exceptions.VaultError as error:
        seen.append([method, type(error).__name__, picture(error.errors or str(error))])
        return None
    if isinstance(answer, requests.Response):
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        seen.append([method, answer.status_code, picture(answer.json() if is_json and answer.content else answer.text)])
    else:
        seen.append([method, picture(answer)])
    return answer


call("generate_root", "internal", "Root", {"key_type": "ec", "ttl": "8760h", "issuer_name": "root"})
call("read_ca_certificate")
call("read_ca_certificate_chain")
call("set_urls", {"issuing_certificates": ["http://ca.test/ca"], "crl_distribution_points": ["http://ca.test/crl"]})
call("read_urls")
call("set_crl_configuration", expiry="48h", disable=False)
call("read_crl_configuration")
call("create_or_update_role", "web", {"allowed_domains": "a.test", "allow_subdomains": True, "key_type": "ec", "ttl": "1h"})
call("create_or_update_role", "wrong", {"key_type": "dsa"})
call("read_role", "web")
call("read_role", "none")
call("list_roles")
made = call("generate_certificate", "web", "b.a.test", {"alt_names": "c.a.test"})
call("generate_certificate", "web", "b.test")
serial = made["data"]["serial_number"]
call("read_certificate", serial)
call("read_certificate", "00:11")
call("list_certificates")
call("sign_certificate", "web", CSR, "csr.a.test")
call("sign_verbatim", CSR, name=False, extra_params={"ttl": "1h"})
call("sign_verbatim", "nonsense", name="web")
call("revoke_certificate", serial)
call("revoke_certificate", "00:11")
call("read_crl")
call("rotate_crl")
sub = f"{MOUNT}-sub"
request = call("generate_intermediate", "internal", "Sub", {"key_type": "ec"}, mount=sub)
signed = call("sign_intermediate", request["data"]["csr"], "Sub", {"ttl": "720h"})
call("set_signed_intermediate", signed["data"]["certificate"], mount=sub)
call("sign_self_issued", SELF_SIGNED)
call("submit_ca_information", SELF_SIGNED)
call("list_issuers")
call("read_issuer", "root")
call("update_issuer", "root", {"issuer_name": "first", "usage": "read-only,issuing-certificates,crl-signing,ocsp-signing"})
call("read_issuer", "first")
call("revoke_issuer", "default", mount=sub)
call("delete_issuer", "default", mount=sub)
call("delete_issuer", "none", mount=sub)
call("tidy", {"tidy_cert_store": True, "safety_buffer": "1h"})
call("delete_role", "web")
call("delete_root")
call("list_issuers")
print(json.dumps(seen, indent=1, sort_keys=True))
