#!/usr/bin/env python3
"""Measures two builds of landfast beside each other, so that a change shows what it costs.

Both are plugins of one server and every figure is one run that alternates
between them: the ratios are after ÷ before. Exit code 1 if one is above 1.03.

    bench/compare.py --before OLD --after target/release/landfast
"""

import argparse
import pathlib
import shutil
import statistics
import sys
import time

from revocation import large_crl, revoking, store_crl
from run import ROOT, Server, build_load, handshakes, pkiload, rss

#: What a figure may grow by.
MAY = 1.03

#: What is run on both: its name, the end of the mounts' paths, the role, and how the load differs from the usual one.
RUNS = (
    ("issue, 16 clients", "", "nostore", {}),
    ("issue, 1 client", "", "nostore", {"clients": 1, "requests": 1000}),
    ("sign under RSA-2048", "-rsa", "nostore", {"op": "sign", "requests": 1500}),
    ("fetch a large CRL", "-crl/crl", None, {"op": "get", "requests": 150, "checked": 0}),
    ("issue, stored", "", "stored", {"requests": 1000}),
)


def idle(binary, bao, runs=5):
    """MiB of a plugin that serves one mount and that nobody asks."""
    found = []
    for _ in range(runs):
        with Server(bao, binary) as server:
            server.register()
            server.mount("ours", "landfast", "ec")
            time.sleep(1)
            found.append(sum(rss(pid) for pid in server.plugins()))
    return statistics.median(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, help="the older binary")
    parser.add_argument("--after", default=str(ROOT / "target/release/landfast"), help="the newer binary")
    parser.add_argument("--bao", default=str(ROOT / ".tools/openbao/2.7.2/bao"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--without", default=(), nargs="*", metavar="FIGURE",
                        choices=[run[0] for run in RUNS], help="runs to leave out, where one of the builds cannot do it: %(choices)s")
    arguments = parser.parse_args()
    build_load()
    worse = []

    def row(figure, before, after, unit, may=MAY):
        found = after / before
        if found > may:
            worse.append(figure)
        print(f"{'ok   ' if found <= may else 'WORSE'} {figure}: {found:.3f} ({before:.3f} -> {after:.3f} {unit})", flush=True)

    starts = {name: handshakes(binary, 21) for name, binary in (("before", arguments.before), ("after", arguments.after))}
    row("exec to handshake line", *(statistics.median(starts[name][0]) for name in starts), "ms")
    row("memory of an idle plugin", idle(arguments.before, arguments.bao), idle(arguments.after, arguments.bao), "MiB", 1.1)

    with Server(arguments.bao, arguments.after, stanza="raw_storage_endpoint = true\n") as server:
        names = ("before", "after")
        for name, binary in zip(names, (arguments.before, arguments.after)):
            shutil.copy(binary, pathlib.Path(server.dir) / "plugins" / name)
            server.register(name)
            server.mount(name, name, "ec")
            server.mount(f"{name}-rsa", name, "rsa")
            server.mount(f"{name}-crl", name, "ec")
        der = large_crl()
        for name in names:
            store_crl(server, f"{name}-crl", der)
        server.call("PUT", "sys/plugins/reload/backend", {"mounts": [f"{name}-crl/" for name in names]})
        for what, suffix, role, extra in RUNS:
            if what in arguments.without:
                continue
            report = pkiload(server, [name + suffix for name in names], role, rounds=arguments.rounds, **extra)
            old, new = report["targets"]
            row(f"{what}, CPU", old["cpu_ms_per_1000"]["median"], new["cpu_ms_per_1000"]["median"], "ms for 1,000")
            for quantile in ("p50", "p99"):
                row(f"{what}, {quantile}", old["latency_ms"][quantile], new["latency_ms"][quantile], "ms")
        for clients in (1, 16):
            used = revoking(server, names, clients, 100, arguments.rounds)
            row(f"revoke, CPU, {clients} at a time", *(statistics.median(used[name]) for name in names), "ms")
    print(f"{len(worse)} worse by more than {100 * (MAY - 1):.0f} %" + "".join(f"\n  {figure}" for figure in worse))
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
