"""An EST client of few lines: the standard library's HTTPS, and cryptography to read what comes."""

import base64
import email
import http.client
import json
import ssl
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def main():
    asked = json.loads(sys.stdin.read())
    context = ssl.create_default_context(cafile=asked["ca"])
    if asked.get("certificate"):
        context.load_cert_chain(asked["certificate"], asked["key"])
    connection = http.client.HTTPSConnection("127.0.0.1", asked["port"], context=context, timeout=60)
    headers, body = {}, None
    if asked.get("login"):
        headers["Authorization"] = "Basic " + base64.b64encode(asked["login"].encode()).decode()
    key = None
    if asked["operation"] not in ("cacerts", "csrattrs"):
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateSigningRequestBuilder()
        builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, asked["name"])]))
        names = [x509.DNSName(name) for name in asked.get("names", [asked["name"]])]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        csr = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        # Lines of 76 characters, as MIME has them.
        body = base64.encodebytes(csr)
        headers |= {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
    path = "/.well-known/est/" + (asked["label"] + "/" if asked.get("label") else "") + asked["operation"]
    connection.request("POST" if body else "GET", path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    found = {"status": answer.status, "kind": answer.getheader("Content-Type"), "retry": answer.getheader("Retry-After")}
    if answer.status != 200:
        found["text"] = content.decode()
    elif found["kind"].startswith("multipart/mixed"):
        message = email.message_from_bytes(b"Content-Type: " + found["kind"].encode() + b"\r\n\r\n" + content)
        parts = {part.get_content_type(): part.get_payload(decode=True) for part in message.get_payload()}
        key = serialization.load_der_private_key(parts["application/pkcs8"], None)
        [certificate] = pkcs7.load_der_pkcs7_certificates(parts["application/pkcs7-mime"])
        assert certificate.public_key() == key.public_key(), "the key is that of the certificate"
        found["certificates"] = [pem(certificate)]
    elif found["kind"].startswith("application/pkcs7-mime"):
        certificates = pkcs7.load_der_pkcs7_certificates(base64.b64decode(content))
        if key:
            assert certificates[0].public_key() == key.public_key(), "the certificate is over the key"
        found["certificates"] = [pem(certificate) for certificate in certificates]
    else:
        found["der"] = base64.b64decode(content).hex()
    if key:
        found["key"] = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    print(json.dumps(found))


main()
