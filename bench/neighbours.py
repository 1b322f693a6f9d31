"""How long a request waits while somebody misbehaves on another mount: measured by bench/run.py beside the built-in engine."""

import base64
import http.client
import json
import multiprocessing
import subprocess
import tempfile
import threading
import time
import urllib.parse

#: Strangers who ask for OCSP answers.
STRANGERS = 64


def bodies():
    """What one client sends, by what is too much in it."""
    size = 1 << 20
    names = [f"host-{number:06}.example.com" for number in range(size // 24)]
    pem = "-----BEGIN CERTIFICATE-----\n" + "MIIB" * (size // 4) + "\n-----END CERTIFICATE-----\n"
    return {
        "one long name": ("issue/nostore", {"common_name": "ä" * (size // 2)}),
        "labels without end": ("issue/nostore", {"common_name": "a.example.com", "alt_names": "a." * (size // 2)}),
        "many names": ("issue/nostore", {"common_name": "a.example.com", "alt_names": ",".join(names)}),
        "unknown fields": ("issue/nostore", {"common_name": "a.example.com", **dict.fromkeys(names, 1)}),
        "a bundle of nonsense": ("issuers/import/cert", {"pem_bundle": pem}),
    }


def misbehave(port, token, mount, path, body, end):
    """Sends one body again and again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    text = json.dumps(body).encode()
    while time.monotonic() < end:
        connection.request("POST", f"/v1/{mount}/{path}", text, {"X-Vault-Token": token, "Content-Type": "application/json"})
        connection.getresponse().read()


class Quiet(threading.Thread):
    """Asks a mount for its certificate, every two milliseconds, and keeps the longest wait."""

    def __init__(self, port, mount):
        super().__init__()
        self.port, self.mount, self.longest, self.stopped = port, mount, 0.0, False

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        while not self.stopped:
            asked = time.perf_counter()
            connection.request("GET", f"/v1/{self.mount}/cert/ca")
            connection.getresponse().read()
            self.longest = max(self.longest, 1000 * (time.perf_counter() - asked))
            time.sleep(0.002)


def longest(server, mount, misbehaving):
    """The longest wait in milliseconds of a quiet mount meanwhile."""
    quiet = Quiet(server.port, mount)
    quiet.start()
    try:
        misbehaving()
    finally:
        quiet.stopped = True
        quiet.join()
    return quiet.longest


def waits(server, load, engines, seconds):
    """The longest waits, by engine and by what was done. `engines` names the type of each mount, `load` runs pkiload."""
    found = {}
    for engine, kind in engines.items():
        loud, quiet, slow = (f"{engine}-{name}" for name in ("loud", "quiet", "slow"))
        server.mount(loud, kind, "ec")
        server.mount(quiet, kind, "ec")
        server.mount(slow, kind, "ec")
        root = server.call("POST", f"{slow}/root/generate/internal",
                           {"common_name": "slow", "issuer_name": "slow", "key_type": "rsa", "key_bits": 4096, "ttl": "8760h"})
        server.call("POST", f"{slow}/config/issuers", {"default": "slow"})
        found[engine] = {}
        for what, (path, body) in bodies().items():
            def one_client(path=path, body=body, loud=loud):
                client = multiprocessing.Process(
                    target=misbehave, args=(server.port, server.token, loud, path, body, time.monotonic() + seconds))
                client.start()
                client.join()

            found[engine][what] = longest(server, quiet, one_client)
        url = server.url(f"{slow}/ocsp/{question(root[1]['data']['certificate'])}")

        def strangers(url=url):
            load("--op", "get", "-c", str(STRANGERS), "-n", "1000000", "--max-seconds", str(seconds), "--warmup", "0",
                 "--target", f"ocsp={url}")

        found[engine][f"{STRANGERS} OCSP clients, RSA-4096"] = longest(server, quiet, strangers)
    return found


def question(certificate):
    """An OCSP request about some certificate of this authority, as it stands in a path."""
    with tempfile.TemporaryDirectory() as folder:
        issuer = f"{folder}/issuer.pem"
        with open(issuer, "w", encoding="ascii") as file:
            file.write(certificate)
        der = subprocess.run(["openssl", "ocsp", "-no_nonce", "-issuer", issuer, "-serial", "0x1122", "-reqout", "-"],
                             check=True, capture_output=True).stdout
    return urllib.parse.quote(base64.b64encode(der).decode(), safe="")
