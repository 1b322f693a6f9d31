#!/usr/bin/env bash
# moto 5.2.5: `Sign` with MessageType=DIGEST hashes the digest once more before it signs.
#
# AWS KMS (API reference, Sign): with DIGEST the message is taken for a digest and not hashed again. A certificate signed by way of a
# digest through moto therefore verifies nowhere, while one signed with RAW does: a test that only asks moto's own `Verify`, which
# hashes twice as well, sees nothing.
#
# Seen: the signature verifies over SHA-256 of the digest, and not over the digest.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install --disable-pip-version-check 'moto[kms]==5.2.5' boto3==1.44.8 cryptography==46.0.3
AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test "$work/venv/bin/python" - <<'P'
import hashlib
import boto3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto import __version__, mock_aws

def verifies(key, signature, digest):
    try:
        key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return True
    except InvalidSignature:
        return False

with mock_aws():
    kms = boto3.client("kms", "us-east-1")
    key_id = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    digest = hashlib.sha256(b"to be signed").digest()
    call = dict(KeyId=key_id, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
    signature = kms.sign(**call)["Signature"]
    key = serialization.load_der_public_key(kms.get_public_key(KeyId=key_id)["PublicKey"])
    seen = {
        "over the digest": verifies(key, signature, digest),
        "over its hash": verifies(key, signature, hashlib.sha256(digest).digest()),
        "by moto's Verify": kms.verify(**call, Signature=signature)["SignatureValid"],
    }
print(f"moto {__version__}: {seen}")
assert seen == {"over the digest": False, "over its hash": True, "by moto's Verify": True}, seen
P
