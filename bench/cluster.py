#!/usr/bin/env python3
"""Measures issuing through one, two and three nodes of a cluster, beside the built-in engine.

The certificates are not stored (`no_store`), so every node that is asked signs
by itself, standbys too. Writes docs/performance-cluster.md. Exit code 1 if the
busiest of three nodes has more than half of what one alone has.

    bench/cluster.py --quick    fewer and shorter rounds, for a look; writes no page
"""

import statistics
import sys
import time

from revocation import cpu
from run import Server, arguments_of, build_load, load, machine, table, written

ENGINES = {"builtin": "pki", "ours": "landfast"}
CLIENTS = 12


def cluster(bao, binary):
    """Three unsealed nodes, the first is the active one."""
    one = Server(bao, binary, "raft")
    one.initialise()
    others = []
    for name in ("two", "three"):
        node = Server(bao, binary, "raft", node=name, leader=one)
        node.token, node.key = one.token, one.key
        end = time.monotonic() + 60
        while node.call("GET", "sys/health", check=False)[0] != 429:
            if time.monotonic() > end:
                raise SystemExit(f"node {name} did not join: {(node.dir / 'server.log').read_text()[-2000:]}")
            node.call("PUT", "sys/unseal", {"key": node.key}, check=False)
            time.sleep(0.2)
        others.append(node)
    return [one, *others]


def measured(nodes, mount, width, requests):
    """Certificates per second through the first `width` nodes, and milliseconds of CPU per certificate on each node."""
    pids = [[node.process.pid, *node.plugins()] for node in nodes]
    before = [cpu(some) for some in pids]
    report = load("--op", "issue", "--role", "nostore", "--token", nodes[0].token, "-c", str(CLIENTS), "-n", str(requests),
                  "--warmup", "0", "--target", f"{mount}=" + ",".join(node.url(mount) for node in nodes[:width]))
    used = [1000 * (cpu(some) - start) / requests for some, start in zip(pids, before)]
    return report["targets"][0]["rps"]["median"], used


def main():
    arguments, row, rows = arguments_of(__doc__, "docs/performance-cluster.md")
    build_load()
    requests, rounds = (300, 2) if arguments.quick else (1500, 7)
    nodes = cluster(arguments.bao, arguments.binary)
    try:
        nodes[0].register()
        for mount, kind in ENGINES.items():
            nodes[0].mount(mount, kind, "ec")
        version = nodes[0].call("GET", "sys/health")[1]["version"]
        for node in nodes:
            for mount in ENGINES:
                end = time.monotonic() + 60
                while node.call("POST", f"{mount}/issue/nostore", {"common_name": "warm"}, check=False)[0] != 200:
                    if time.monotonic() > end:
                        raise SystemExit(f"{mount} is not served by node {node.node}")
                    time.sleep(0.1)
        # Standbys start their plugin anew after a mount was made: those processes have to be gone.
        time.sleep(3)
        found = {(mount, width): [] for mount in ENGINES for width in (1, 2, 3)}
        for _ in range(rounds):
            for mount, width in found:
                found[mount, width].append(measured(nodes, mount, width, requests))
    finally:
        for node in nodes:
            node.__exit__()
    figures = {
        key: (statistics.median(rate for rate, _ in runs), [statistics.median(used[i] for _, used in runs) for i in range(3)])
        for key, runs in found.items()
    }
    for (mount, width), (rate, used) in figures.items():
        print(f"     {mount}, {width} nodes: {rate:,.0f} certificates per second, CPU ms per certificate on each node: "
              + ", ".join(f"{one:.3f}" for one in used))
    busiest = {key: max(used) for key, (_, used) in figures.items()}
    row("busiest of three nodes ÷ one node alone, CPU per certificate", 0.5, busiest["ours", 3] / busiest["ours", 1])
    row("CPU of three nodes per certificate ÷ built-in", 1, sum(figures["ours", 3][1]) / sum(figures["builtin", 3][1]))
    return written(arguments, rows, page(rows, version, figures))


def page(rows, version, figures):
    return [
        "# Performance of a cluster",
        "",
        "Made by `make bench`. Three nodes with raft and without TLS; the role has `no_store`, so that every node that is asked",
        "signs by itself. [clusters.md](clusters.md#issue-through-every-node) says how to use that.",
        "",
        f"{machine(version)}; all nodes and the client share them, so the certificates per second of this machine cannot grow with",
        "nodes. What carries over is the CPU that one certificate takes on each node: a node on a machine of its own has only that to do.",
        "",
        *table(rows, "performance-cluster.svg"),
        "",
        "## Figures behind them",
        "",
        "![CPU per certificate on the busiest node, by nodes that are asked](performance-nodes.svg)",
        "",
        "| engine | nodes that are asked | certificates per second here | CPU ms per certificate: active node | standby | standby | of the busiest |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {'built-in' if mount == 'builtin' else 'landfast'} | {width} | {rate:,.0f} | "
          + " | ".join(f"{one:.3f}" for one in used) + f" | {max(used):.3f} |"
          for (mount, width), (rate, used) in figures.items()),
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
