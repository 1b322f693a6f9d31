#!/usr/bin/env python3
"""Measures a mount with many certificates and revocations beside the built-in engine, on raft storage.

How long the server needs until it is active, what clients wait that revoke, what a revocation and the reading of the CRL that lists it
cost when that list is long, and the plugin's memory then. Exit code 1 beyond a budget.

    bench/large.py [--certificates 200000] [--revoked 50000] [--output docs/performance-large.md]
"""

import argparse
import pathlib
import statistics
import sys
import threading
import time
import urllib.request

from revocation import cpu
from run import ROOT, Server, build_load, load, machine

MOUNTS = ("theirs", "ours")
STARTS = 7
TURNS = 12


def started(server):
    """Milliseconds from the key share to an active server, the median of some starts."""
    times = []
    for _ in range(STARTS):
        server.end()
        server.start()
        times.append(server.unseal())
    return statistics.median(times)


def fill(server, mount, count):
    load("--op", "issue", "--role", "stored", "--token", server.token, "-c", "16", "-n", str(count), "--warmup", "0", "--ttl", "72h",
         "--max-seconds", "1500", "--target", f"{mount}={server.url(mount)}")


def serials(server, mount, count):
    """The serial numbers of some of the mount's certificates, not of its root."""
    root = server.call("GET", f"{mount}/issuers?list=true")[1]["data"]["key_info"].popitem()[1]["serial_number"]
    return [serial for serial in server.call("LIST", f"{mount}/certs")[1]["data"]["keys"] if serial != root][-count:]


def revoke(server, files, clients, count, rounds):
    """The report on as many revocations in each round."""
    words = []
    for mount, file in files.items():
        words += ["--target", f"{mount}={server.url(mount)}/revoke", "--lines", f"{mount}={file}"]
    return load("--op", "post", "--body", '{"serial_number":"%line"}', "--token", server.token, "-c", str(clients), "-n", str(count),
                "--warmup", "0", "--rounds", str(rounds), "--max-seconds", "1500", "--pid", str(server.process.pid), *words)["targets"]


class Peak(threading.Thread):
    """The most MiB that the plugins' processes have while it runs."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.most, self.over = server, 0.0, threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            self.most = max(self.most, self.server.plugin_rss())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def revoke_and_read(server, mount, serial):
    """Seconds, and seconds of CPU of server and plugin, of a revocation and of reading the CRL that lists it."""
    pids = [server.process.pid, *server.plugins()]
    before, began = cpu(pids), time.perf_counter()
    server.call("POST", f"{mount}/revoke", {"serial_number": serial})
    with urllib.request.urlopen(server.url(f"{mount}/crl"), timeout=60) as answer:
        size = len(answer.read())
    return time.perf_counter() - began, cpu(pids) - before, size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landfast", default=str(ROOT / "target/release/landfast"))
    parser.add_argument("--bao", default=str(ROOT / ".tools/openbao/2.7.2/bao"))
    parser.add_argument("--certificates", type=int, default=200_000, help="stored in a mount of each engine")
    parser.add_argument("--revoked", type=int, default=50_000, help="of them")
    parser.add_argument("--output", help="the page to write")
    arguments = parser.parse_args()
    build_load()
    rows = []

    def row(figure, value, budget=None):
        late = budget is not None and value > budget
        rows.append(f"| {figure} | {'' if budget is None else f'≤ {budget}'} | {value:.3f} | {'' if budget is None else '**no**' if late else 'yes'} |")
        print(f"{'OVER' if late else 'ok  '} {figure}: {value:.3f}" + (f" (budget {budget})" if budget else ""), flush=True)
        return not late

    met, timed, count = True, 400, arguments.certificates
    with Server(arguments.bao, arguments.landfast, storage="raft") as server:
        server.initialise()
        server.register()
        version = server.call("GET", "sys/health")[1]["version"]
        server.mount("ours", "landfast", "ec")
        empty = started(server)
        fill(server, "ours", count)
        met &= row(f"time to active with {count:,} certificates ÷ with none", started(server) / empty, 1.1)
        server.mount("theirs", "pki", "ec")
        fill(server, "theirs", count)
        files, last = {}, {}
        for mount in MOUNTS:
            server.call("POST", f"{mount}/config/crl", {"auto_rebuild": True})
            found = serials(server, mount, arguments.revoked + TURNS)
            last[mount] = found[:TURNS]
            files[mount] = server.dir / f"{mount}.serials"
            files[mount].write_text("\n".join(found[TURNS:]))
        ours = revoke(server, files, 8, timed, 5)[1]["ratio_to_first"]
        met &= row("p50 of revoke ÷ built-in, 8 clients, auto_rebuild", ours["p50"]["median"], 1.0)
        met &= row("CPU of revoke ÷ built-in, 8 clients, auto_rebuild", ours["cpu"]["median"], 1.0)
        rest = arguments.revoked - 5 * timed
        for mount, file in files.items():
            file.write_text("\n".join(file.read_text().splitlines()[5 * timed:]))
        ours = revoke(server, files, 16, rest, 1)[1]["ratio_to_first"]
        met &= row("CPU of revoke ÷ built-in, 16 clients, auto_rebuild", ours["cpu"]["median"], 1.0)
        used = {mount: [] for mount in MOUNTS}
        with Peak(server) as peak:
            for mount in MOUNTS:
                server.call("POST", f"{mount}/config/crl", {"auto_rebuild": False})
                server.call("GET", f"{mount}/crl/rotate")
            for turn in range(TURNS):
                for mount in MOUNTS:
                    used[mount].append(revoke_and_read(server, mount, last[mount][turn]))
        middle = {mount: [statistics.median(one[n] for one in all) for n in range(3)] for mount, all in used.items()}
        what = f"revoke and read the CRL, {arguments.revoked:,} revoked"
        met &= row(f"{what}: time ÷ built-in", middle["ours"][0] / middle["theirs"][0], 0.05)
        met &= row(f"{what}: CPU ÷ built-in", middle["ours"][1] / middle["theirs"][1], 0.05)
        met &= row("memory of the plugin at most, MiB", peak.most, 32)
        figures = [f"| {'built-in' if mount == 'theirs' else 'landfast'} | {1000 * middle[mount][0]:.1f} | {1000 * middle[mount][1]:.1f} "
                   f"| {middle[mount][2]:,.0f} |" for mount in MOUNTS]
        print("\n".join(figures))
    if arguments.output:
        pathlib.Path(arguments.output).write_text("\n".join(page(arguments, version, rows, figures)))
        print(f"written: {arguments.output}")
    return 0 if met else 1


def page(arguments, version, rows, figures):
    return [
        "# Performance of large mounts",
        "",
        f"Made by `bench/large.py --certificates {arguments.certificates} --revoked {arguments.revoked} --output docs/performance-large.md`.",
        f"Raft on disk; {arguments.certificates:,} certificates in a mount of each engine.",
        "",
        f"{machine(version)}; server, plugin and client share them.",
        "",
        "| figure | budget | measured | met |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        f"A revocation that builds the CRL of {arguments.revoked:,} entries, and the reading of that CRL:",
        "",
        "| engine | ms | CPU ms | bytes of the CRL |",
        "| --- | --- | --- | --- |",
        *figures,
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
