"""Signed requests of all algorithms, made by pyca/cryptography and not by us: prints what stands in vectors.json."""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

URL = "https://pki.example/v1/pki/acme/new-account"
ACCOUNT = "https://pki.example/v1/pki/acme/account/1"


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def number(value, length=None):
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def packed(value):
    return json.dumps(value, separators=(",", ":"))


def jwk(key):
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = public.public_numbers()
        return {"e": number(numbers.e), "kty": "RSA", "n": number(numbers.n)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        length = (key.curve.key_size + 7) // 8
        numbers = public.public_numbers()
        name = {256: "P-256", 384: "P-384", 521: "P-521"}[key.curve.key_size]
        return {"crv": name, "kty": "EC", "x": number(numbers.x, length), "y": number(numbers.y, length)}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": b64(raw)}


def sign(key, algorithm, message):
    if algorithm == "EdDSA":
        return key.sign(message)
    digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[2:]]()
    if algorithm.startswith("ES"):
        length = (key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")
    scheme = padding.PKCS1v15()
    if algorithm.startswith("PS"):
        scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    return key.sign(message, scheme, digest)


def flattened(header, payload, signer):
    protected, payload = b64(packed(header).encode()), b64(payload.encode())
    signature = b64(signer(f"{protected}.{payload}".encode()))
    return {"protected": protected, "payload": payload, "signature": signature}


def main():
    rsa_key = rsa.generate_private_key(65537, 2048)
    keys = {"RS": rsa_key, "PS": rsa_key, "Ed": ed25519.Ed25519PrivateKey.generate()}
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    signed = {}
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]:
        key = ec.generate_private_key(curves[algorithm]) if algorithm in curves else keys[algorithm[:2]]
        header = {"alg": algorithm, "nonce": "AAEC", "url": URL, "jwk": jwk(key)}
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        signed[algorithm] = {
            "jws": flattened(header, '{"termsOfServiceAgreed":true}', lambda m: sign(key, algorithm, m)),
            "thumbprint": b64(hashlib.sha256(packed(jwk(key)).encode()).digest()),
            "spki": spki.hex(),
        }
        if algorithm == "ES256":
            old = key
        if algorithm == "ES384":
            new = key
    mac_key = bytes(range(41))
    bindings = {}
    for algorithm, digest in [("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")]:
        header = {"alg": algorithm, "kid": "kid-1", "url": URL}
        bindings[algorithm] = flattened(header, packed(jwk(old)), lambda m: hmac.digest(mac_key, m, digest))
    change = flattened(
        {"alg": "ES384", "jwk": jwk(new), "url": URL},
        packed({"account": ACCOUNT, "oldKey": jwk(old)}),
        lambda m: sign(new, "ES384", m),
    )
    print(json.dumps({"signed": signed, "bindings": bindings, "change": change}, indent=1))


main()
