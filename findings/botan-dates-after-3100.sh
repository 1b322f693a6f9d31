#!/usr/bin/env bash
# Botan 2.19.3 (Debian 12: botan, libbotan-2-19 2.19.3+dfsg-1+deb12u1) parses no certificate whose notAfter lies after the year 3100.
#
# RFC 5280 section 4.1.2.5 gives 99991231235959Z to certificates without a well-defined end, such as device identities, and CAs
# are made with it. Botan's reader of ASN.1 times checks the year against 3100 and refuses the whole certificate.
#
# Seen: notAfter 3100-12-31 is read; 3101-01-01 and 9999-12-31 end with
#   X509_Certificate parsing failed Time 99991231235959Z does not seem to be valid
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; chmod 755 "$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check cryptography==46.0.3
mkdir -m 777 "$work/debs"
(cd "$work/debs" && apt-get -qq download botan=2.19.3+dfsg-1+deb12u1 libbotan-2-19=2.19.3+dfsg-1+deb12u1 libtspi1=0.3.15-0.3)
for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done
"$work/venv/bin/python" - "$work" <<'P'
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Device CA")])
for day in ("3100-12-31", "3101-01-01", "9999-12-31"):
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(datetime.datetime(2024, 1, 1))
            .not_valid_after(datetime.datetime.fromisoformat(day + "T23:59:59"))
            .add_extension(x509.BasicConstraints(True, None), critical=True).sign(key, hashes.SHA256()))
    with open(f"{sys.argv[1]}/{day}.pem", "wb") as out:
        out.write(cert.public_bytes(serialization.Encoding.PEM))
P
botan() { LD_LIBRARY_PATH="$work/root/usr/lib/$(uname -m)-linux-gnu" "$work/root/usr/bin/botan" "$@" 2>&1 || true; }
botan version
for day in 3100-12-31 3101-01-01 9999-12-31; do echo "$day: $(botan cert_info "$work/$day.pem" | grep -E 'Expires|failed')"; done | tee "$work/seen"
grep -q '^3100-12-31: Expires: 3100/12/31' "$work/seen"
[[ $(grep -c 'does not seem to be valid' "$work/seen") == 2 ]]
