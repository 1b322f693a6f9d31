#!/usr/bin/env python3
"""Says where the CPU of the unseal server goes when each request is a call to AWS KMS.

Needs Linux perf and a binary with symbols; what perf sees of the machine's kernel
is one line. Prints shares of the samples by crate; no page is written.

    CARGO_PROFILE_RELEASE_STRIP=none cargo build --release
    bench/unseal_profile.py [--binary target/release/landfast] [--requests 4000]
"""

import argparse
import base64
import collections
import http.client
import json
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading

from run import ROOT
from seal import Kms, UnsealServer, certificates

CLIENTS = 8


def encrypts(server, folder, requests):
    """Has every client send its part over one connection."""
    address = server.url.split("/")[2]
    context = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    body = json.dumps({"plaintext": base64.b64encode(bytes(32)).decode()})
    failed = []

    def client():
        connection = http.client.HTTPSConnection(address, context=context, timeout=60)
        for _ in range(requests // CLIENTS):
            connection.request("PUT", "/v1/transit/encrypt/unseal", body, {"X-Vault-Token": server.token})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                failed.append(text)
                return

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(f"a request failed: {failed[0]!r}")


def crate(symbol, module):
    """The crate of a function, or what stands for it."""
    if "kernel" in module or "vmlinux" in module:
        return "kernel"
    if found := re.search(r"(?:^|[<&( ])(?:dyn |mut )*([a-z_][a-z0-9_]*)::", symbol):
        return found.group(1)
    return "C (allocator, memory, AWS-LC)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/landfast"))
    parser.add_argument("--requests", type=int, default=4000)
    arguments = parser.parse_args()
    if not shutil.which("perf"):
        raise SystemExit("perf is missing: install linux-perf or linux-tools")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lf-profile-"))
    try:
        kms = Kms(folder)
        try:
            certificates(folder)
            server = UnsealServer(arguments.binary, folder, kms, False)
            try:
                encrypts(server, folder, CLIENTS * 16)
                data = folder / "perf.data"
                perf = subprocess.Popen(["perf", "record", "-q", "-F", "1999", "-o", data, "-p", str(server.process.pid)])
                encrypts(server, folder, arguments.requests)
                perf.send_signal(signal.SIGINT)
                perf.wait()
            finally:
                server.end()
        finally:
            kms.end()
        lines = subprocess.run(["perf", "script", "--no-inline", "-F", "ip,sym,dso", "-i", data], check=True, capture_output=True,
                               text=True, errors="replace").stdout.splitlines()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shares = collections.Counter()
    for line in filter(str.strip, lines):
        symbol, _, module = line.strip().partition(" ")[2].rpartition(" (")
        shares[crate(symbol, module)] += 1
    total = sum(shares.values())
    print(f"{total} samples over {arguments.requests} requests")
    for name, count in shares.most_common(25):
        print(f"{100 * count / total:5.1f} %  {name}")


if __name__ == "__main__":
    main()
