#!/usr/bin/env bash
# OpenSSL 3.5.4 (in cryptography 46.0.3, driven by pyOpenSSL 25.3.0) finds no path through a cross certificate that stands after the
# self-signed root of the same name and key.
#
# A CA is rotated: the new root is also certified by the old one, and a server sends both certificates. A client trusts only the old root.
# Nothing is missing for it, but OpenSSL takes the first issuer that fits among what was sent, meets the new root, which is the end of
# a chain and trusted by nobody here, and does not come back to try the other one. Go and webpki do.
#
# Seen: [cross, new root] verifies; [new root, cross] is "self-signed certificate in certificate chain".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check cryptography==46.0.3 pyOpenSSL==25.3.0
"$work/venv/bin/python" - <<'P'
import datetime
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto

START = datetime.datetime(2024, 1, 1)
keys = {who: ec.generate_private_key(ec.SECP256R1()) for who in ("old root", "new root", "server")}

def name(who):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, who)])

def certificate(subject, issuer):
    ca = subject != "server"
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
               .public_key(keys[subject].public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(START).not_valid_after(START + datetime.timedelta(days=9000))
               .add_extension(x509.BasicConstraints(ca, None), critical=True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(keys[subject].public_key()), critical=False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[issuer].public_key()), critical=False))
    return crypto.X509.from_cryptography(builder.sign(keys[issuer], hashes.SHA256()))

old, new = certificate("old root", "old root"), certificate("new root", "new root")
cross, leaf = certificate("new root", "old root"), certificate("server", "new root")
seen = {}
for order, sent in (("cross first", [cross, new]), ("root first", [new, cross])):
    store = crypto.X509Store()
    store.add_cert(old)
    try:
        crypto.X509StoreContext(store, leaf, sent).verify_certificate()
        seen[order] = "verified"
    except crypto.X509StoreContextError as error:
        seen[order] = str(error)
    print(f"{SSL.SSLeay_version(0).decode()}: {order}: {seen[order]}")
assert seen == {"cross first": "verified", "root first": "self-signed certificate in certificate chain"}, seen
P
