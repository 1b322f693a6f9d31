#!/usr/bin/env bash
# Mbed TLS 2.28.8 (in python-mbedtls 2.10.1) parses no CA certificate whose name constraints are critical.
#
# RFC 5280 section 4.2.1.10: conforming CAs MUST mark the extension as critical. Mbed TLS knows no name constraints, so it refuses
# at parsing, not only at verification: a trust store that holds such a CA cannot be loaded as a whole. Not critical, it is passed over.
#
# Seen: critical=False is read; critical=True raises
#   TLSError 0x2562 X509 - The extension tag or value is invalid
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check cryptography==46.0.3 python-mbedtls==2.10.1
"$work/venv/bin/python" - <<'P'
import datetime
import mbedtls.version
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mbedtls import x509 as reader
from mbedtls.exceptions import TLSError

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Constrained CA")])
seen = {}
for critical in (False, True):
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(datetime.datetime(2024, 1, 1))
            .not_valid_after(datetime.datetime(2034, 1, 1))
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(x509.NameConstraints([x509.DNSName("a.test")], None), critical=critical).sign(key, hashes.SHA256()))
    try:
        reader.CRT.from_PEM(cert.public_bytes(serialization.Encoding.PEM).decode())
        seen[critical] = "read"
    except TLSError as error:
        seen[critical] = str(error)
    print(f"{mbedtls.version.version}: critical={critical}: {seen[critical]}")
assert mbedtls.version.version == "Mbed TLS 2.28.8", mbedtls.version.version
assert seen[False] == "read" and "extension tag or value is invalid" in seen[True], seen
P
