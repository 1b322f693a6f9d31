#!/usr/bin/env python3
"""Measures a mount with many certificates and revocations beside the built-in engine, on raft storage.

How long the server needs until it is active, what clients wait that revoke, what a revocation and the reading of the CRL that lists it
cost when that list is long, and the plugin's memory then. Exit code 1 beyond a budget.

    make bench                this too
    bench/large.py --quick    few of them, for a look; writes no page
"""

import statistics
import sys
import threading
import time
import urllib.request

from revocation import cpu
from run import LARGEST, Server, arguments_of, build_load, load, machine, table, written

MOUNTS = ("theirs", "ours")
STARTS = 15
TURNS = 40


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
    arguments, row, rows = arguments_of(__doc__, "docs/performance-large.md", certificates=("stored in a mount of each engine", 200_000, 4_000),
                                        revoked=("of them", 50_000, 2_000))
    build_load()
    timed, count = 40 if arguments.quick else 400, arguments.certificates
    with Server(arguments.bao, arguments.binary, storage="raft") as server:
        server.initialise()
        server.register()
        version = server.call("GET", "sys/health")[1]["version"]
        for mount, kind in zip(MOUNTS, ("pki", "landfast")):
            server.mount(mount, kind, "ec")
        # The server reads its storage when it starts, whoever wrote it: what the built-in engine's certificates add is the server's share.
        times = [started(server)]
        for mount in MOUNTS:
            fill(server, mount, count)
            times.append(started(server))
        row(f"time to active with {count:,} certificates in the built-in engine ÷ with none", None, times[1] / times[0])
        row("time to active with as many in landfast besides ÷ that", 1.1, times[2] / times[1])
        files, last = {}, {}
        for mount in MOUNTS:
            server.call("POST", f"{mount}/config/crl", {"auto_rebuild": True})
            found = serials(server, mount, arguments.revoked + TURNS)
            last[mount] = found[:TURNS]
            files[mount] = server.dir / f"{mount}.serials"
            files[mount].write_text("\n".join(found[TURNS:]))
        ours = revoke(server, files, 8, timed, 5)[1]["ratio_to_first"]
        row("p50 of revoke ÷ built-in, 8 clients, auto_rebuild", 1, ours["p50"]["median"])
        row("CPU of revoke ÷ built-in, 8 clients, auto_rebuild", None, ours["cpu"]["median"])
        rest = arguments.revoked - 5 * timed
        for mount, file in files.items():
            file.write_text("\n".join(file.read_text().splitlines()[5 * timed:]))
        ours = revoke(server, files, 16, rest, 1)[1]["ratio_to_first"]
        row("CPU of revoke ÷ built-in, 16 clients, auto_rebuild", 1, ours["cpu"]["median"])
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
        row(f"{what}: time ÷ built-in", 0.05, middle["ours"][0] / middle["theirs"][0], digits=3)
        row(f"{what}: CPU ÷ built-in", 0.05, middle["ours"][1] / middle["theirs"][1], digits=3)
        row("memory of the plugin at most, MiB", 32, peak.most, digits=1)
        figures = [f"| {'built-in' if mount == 'theirs' else 'landfast'} | {1000 * middle[mount][0]:.1f} | {1000 * middle[mount][1]:.1f} "
                   f"| {middle[mount][2]:,.0f} |" for mount in MOUNTS]
        print("\n".join(figures))
    return written(arguments, rows, page(arguments, rows, version, figures))


def page(arguments, rows, version, figures):
    return [
        "# Performance of large mounts",
        "",
        f"Made by `make bench`. Raft on disk, its entries up to {LARGEST >> 20} MiB; {arguments.certificates:,} certificates in a mount of each engine.",
        "",
        f"{machine(version)}; server, plugin and client share them.",
        "",
        *table(rows, "performance-large.svg"),
        "",
        "## Figures behind them",
        "",
        f"A revocation that builds the CRL of {arguments.revoked:,} entries, and the reading of that CRL:",
        "",
        "| engine | ms | CPU ms | bytes of the CRL |",
        "| --- | --- | --- | --- |",
        *figures,
        "",
        "Most of what is left of that is the server's work: it stores the CRL and hands it out, each time some 2 MB over two connections. Some 20 MiB of the plugin's",
        "memory are pages of its program, which all mounts share.",
        "",
        "With `auto_rebuild` a revocation is the reading of a certificate and the writing of a record, which cost the server the same for both engines; landfast is asked for",
        "it in another process.",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
