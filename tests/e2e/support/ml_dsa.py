"""ML-DSA by Python's cryptography, which has its own parsers and takes the arithmetic from OpenSSL 3.5 or later.

    key SIZE                a private key
    csr KEY NAME            a request for a name
    ca KEY NAME             a self-signed CA certificate
    check ISSUER FILE...    certificates, CRLs, requests and OCSP answers, each signed by ISSUER or by itself; prints what each says
"""

import datetime
import sys

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.x509 import ocsp

SIZES = {"44": mldsa.MLDSA44PrivateKey, "65": mldsa.MLDSA65PrivateKey, "87": mldsa.MLDSA87PrivateKey}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def named(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def key(size):
    made = SIZES[size].generate()
    print(made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(), end="")


def csr(path, name):
    own = serialization.load_pem_private_key(read(path), None)
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    print(pem(x509.CertificateSigningRequestBuilder(named(name)).add_extension(names, False).sign(own, None)), end="")


def ca(path, name):
    own = serialization.load_pem_private_key(read(path), None)
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    made = (
        x509.CertificateBuilder(named(name), named(name), own.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(True, None), True)
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False)
        .sign(own, None)
    )
    print(pem(made), end="")


def check(issuer, *paths):
    issuer = x509.load_pem_x509_certificate(read(issuer))
    for path in paths:
        data = read(path)
        if b"BEGIN CERTIFICATE REQUEST" in data:
            one = x509.load_pem_x509_csr(data)
            assert one.is_signature_valid
            say("request", one, one.extensions)
        elif b"BEGIN CERTIFICATE" in data:
            one = x509.load_pem_x509_certificate(data)
            one.verify_directly_issued_by(issuer)
            say("certificate", one, one.extensions)
        elif b"BEGIN X509 CRL" in data:
            one = x509.load_pem_x509_crl(data)
            assert one.is_signature_valid(issuer.public_key())
            print(len(one), "revoked", end=" ")
            say("list", one, one.extensions)
        else:
            one = ocsp.load_der_ocsp_response(data)
            issuer.public_key().verify(one.signature, one.tbs_response_bytes)
            print("answer", one.signature_algorithm_oid.dotted_string, one.certificate_status.name)


def say(kind, one, extensions):
    hidden = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier, x509.CRLNumber)
    print(kind, one.signature_algorithm_oid.dotted_string)
    for extension in extensions:
        value = "" if isinstance(extension.value, hidden) else extension.value
        print("  ", extension.oid.dotted_string, extension.critical, value)


globals()[sys.argv[1]](*sys.argv[2:])
