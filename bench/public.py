#!/usr/bin/env python3
"""Measures the public front door beside the server that it stands before, and beside nginx that serves the same bytes.

Every comparison is one run of pkiload that alternates between the three, with 16 clients that keep their
connections. Writes docs/performance-public.md. Exit code 1 if a budget is not met. nginx is what
`scripts/tools.sh nginx` fetched, or what NGINX names.

    bench/public.py --quick    fewer and shorter rounds, for a look; writes no page
"""

import base64
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

from revocation import LISTED, store_crl
from run import ROOT, Server, arguments_of, build_load, free_pair, load, machine, rss, stop, table, written

#: What each figure may cost of the built-in engine's own CPU.
BUDGETS = {"crl": 0.4, "ca": 0.13, "ocsp revoked": 0.06, "ocsp good": 0.02}

#: What it may cost of nginx's CPU, anywhere.
NGINX = 1.3

#: MiB of the front with 64 clients.
MEMORY = 30


def openssl(*arguments, **more):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, **more).stdout


def authority(folder):
    """A CA in files, and a CRL of it of LISTED revocations, in DER."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "key", "-out", folder / "cert",
            "-subj", "/CN=large", "-days", 30, "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
    (folder / "index").write_text("".join(
        f"R\t301231235959Z\t261101000000Z\t{1 << 156 | number:040X}\tunknown\t/CN=x\n" for number in range(LISTED)))
    (folder / "config").write_text(
        f"[ca]\ndefault_ca=one\n[one]\ndatabase={folder}/index\ndefault_md=sha256\ndefault_crl_days=30\n")
    openssl("ca", "-gencrl", "-config", folder / "config", "-keyfile", folder / "key", "-cert", folder / "cert", "-out", folder / "crl")
    return openssl("crl", "-in", folder / "crl", "-outform", "DER")


def fetch(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read()


def question(folder, certificate):
    """An OCSP request for a certificate, as it stands in a path."""
    (folder / "leaf").write_text(certificate)
    der = openssl("ocsp", "-issuer", folder / "cert", "-cert", folder / "leaf", "-no_nonce", "-reqout", "-")
    text = base64.b64encode(der).decode()
    return "ocsp/" + text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


def nginx(program, folder, names):
    """nginx with a worker for each CPU, which serves files of `folder` and notes each request in a log, as the front does."""
    port = free_pair()
    (folder / "nginx.conf").write_text(f"""
        daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes auto; user root;
        events {{ worker_connections 512; }}
        http {{
            access_log {folder}/access.log combined buffer=64k flush=1s;
            client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
            uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
            sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=100; default_type application/octet-stream;
            server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
        }}""")
    process = subprocess.Popen([program, "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    wait(lambda: fetch(f"{base}/{names[0]}"))
    return process, base


def front(binary, folder, server, mount):
    """`landfast public` before a mount; nobody is limited."""
    port = free_pair()
    (folder / "public.json").write_text(json.dumps({
        "listeners": [{"address": f"127.0.0.1:{port}"}],
        "audit_log": f"{folder}/audit.log",
        "server": {"address": server.api()},
        "mounts": {"/": {"mount": mount}},
        "limits": {"requests_per_minute": 4_000_000_000},
    }))
    process = subprocess.Popen([binary, "public", "--config", folder / "public.json"], stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    wait(lambda: fetch(f"{base}/ca"))
    return process, base


def wait(probe, limit=30):
    end = time.monotonic() + limit
    while True:
        try:
            return probe()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def main():
    arguments, row, rows = arguments_of(
        __doc__, "docs/performance-public.md", requests=("requests of each run, of a large list a tenth", 20_000, 2_000), rounds=("rounds", 7, 2))
    program = os.environ.get("NGINX") or str(ROOT / ".tools/nginx/usr/sbin/nginx")
    if not os.access(program, os.X_OK):
        raise SystemExit(f"no nginx at {program}: run `scripts/tools.sh nginx`, or name its program by NGINX")
    build_load()
    figures = []
    with tempfile.TemporaryDirectory(prefix="lf-bench-") as folder, \
            Server(arguments.bao, arguments.binary, stanza="raw_storage_endpoint = true\n") as server:
        folder = pathlib.Path(folder)
        crl = authority(folder)
        mount = "builtin"
        server.call("POST", f"sys/mounts/{mount}", {"type": "pki", "config": {"max_lease_ttl": "87600h"}})
        server.call("POST", f"{mount}/config/ca", {"pem_bundle": (folder / "key").read_text() + (folder / "cert").read_text()})
        server.call("POST", f"{mount}/roles/web", {"allow_any_name": True, "key_type": "ec", "ttl": "72h"})
        leaves = [server.call("POST", f"{mount}/issue/web", {"common_name": "a.test"})[1]["data"] for _ in range(2)]
        server.call("POST", f"{mount}/revoke", {"serial_number": leaves[1]["serial_number"]})
        store_crl(server, mount, crl)
        good, revoked = (question(folder, leaf["certificate"]) for leaf in leaves)
        paths = {"crl": "crl", "ca": "ca", "ocsp revoked": revoked, "ocsp good": good}
        (folder / "www").mkdir()
        names = {}
        for number, (name, path) in enumerate(paths.items()):
            names[name] = f"{number}.der"
            (folder / "www" / names[name]).write_bytes(fetch(server.url(f"{mount}/{path}")))
        assert len((folder / "www" / names["crl"]).read_bytes()) == len(crl), "the stored list is served"
        processes = []
        try:
            process, static = nginx(program, folder, list(names.values()))
            processes.append(process)
            process, base = front(arguments.binary, folder, server, mount)
            processes.append(process)
            pids = {"builtin": server.process.pid, "nginx": processes[0].pid, "front": processes[1].pid}
            for name, path in paths.items():
                count = arguments.requests // (10 if name == "crl" else 1)
                urls = {"builtin": server.url(f"{mount}/{path}"), "nginx": f"{static}/{names[name]}", "front": f"{base}/{path}"}
                assert name != "crl" or fetch(urls["front"]) == crl, "the front serves the same list"
                report = load("--op", "get", "-c", "16", "-n", str(count), "--rounds", str(arguments.rounds), "--calibrate",
                              *(f"--target={who}={url}" for who, url in urls.items()), *(f"--pid={who}={pid}" for who, pid in pids.items()))
                found = dict(zip(urls, report["targets"]))
                used = {who: target["cpu_ms_per_1000"]["median"] for who, target in found.items()}
                rate = {who: target["rps"]["median"] for who, target in found.items()}
                row(f"{name}, CPU ÷ built-in's", BUDGETS[name], used["front"] / used["builtin"], digits=3)
                row(f"{name}, CPU ÷ nginx's", NGINX, used["front"] / used["nginx"])
                figures += [(name, who, rate[who], used[who]) for who in urls]
                print("     µs of CPU a request: " + ", ".join(f"{who} {value:,.1f}" for who, value in used.items()), flush=True)
            load("--op", "get", "-c", "64", "-n", str(arguments.requests // 10), f"--target=front={base}/crl")
            row("memory with 64 clients that fetch the list, MiB", MEMORY, rss(processes[1].pid), digits=1)
        finally:
            for process in processes:
                stop(process)
    version = subprocess.run([arguments.bao, "version"], capture_output=True, text=True).stdout.split()[1].lstrip("v")
    return written(arguments, rows, [
        "# Performance of the public front door", "",
        "Made by `bench/public.py`. The built-in engine's own endpoints, nginx with the same bytes as files, and `landfast public` before that mount;",
        "each comparison is one run of `bench/pkiload` with 16 clients that alternates between the three. Front and nginx write a line for each request.", "",
        f"{machine(version)}; all of them and the client share them.", "",
        f"The list has {LISTED:,} revocations, {len(crl) / 1e6:.2f} MB.", "",
        *table(rows, "performance-public.svg"), "",
        "## Figures behind them", "", "| what | who | req/s | CPU µs per request |", "| --- | --- | --- | --- |",
        *(f"| {name} | {who} | {rate:,.0f} | {used:,.1f} |" for name, who, rate, used in figures), ""])


if __name__ == "__main__":
    raise SystemExit(main())
