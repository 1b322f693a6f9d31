#!/usr/bin/env python3
"""Measures ACME beside the built-in engine: certificates from new-order to the download, validated by http-01 on loopback.

Both engines are mounted in one server. One run of bench/pkiload alternates between them; its clients answer the challenges on port 80
of 127.0.0.1, so that the port has to be free and the right to listen there is needed. Exit code 1 beyond a budget.

    make bench               this too
    bench/acme.py --quick    fewer of them, for a look; writes no page
"""

import sys

from run import Server, arguments_of, build_load, load, machine, table, written

MOUNTS = ("theirs", "ours")
HEADERS = ["Last-Modified", "Location", "Replay-Nonce", "Link", "Retry-After"]


def serve_acme(server, mount):
    """Turns ACME on, validating on loopback."""
    server.call("POST", f"sys/mounts/{mount}/tune", {"allowed_response_headers": HEADERS, "passthrough_request_headers": ["If-Modified-Since"]})
    server.call("POST", f"{mount}/config/cluster", {"path": server.url(mount), "aia_path": server.url(mount)})
    server.call("POST", f"{mount}/config/acme", {"enabled": True, "eab_policy": "not-required"})
    if mount == "ours":
        server.call("POST", f"{mount}/config/acme-validation", {"networks": ["127.0.0.1/32"]})


def main():
    arguments, row, rows = arguments_of(__doc__, "docs/performance-acme.md", certificates=("for each engine in each round", 300, 40),
                                        rounds=("of each number of clients", 5, 2))
    build_load()
    figures = []
    with Server(arguments.bao, arguments.binary, storage="raft") as server:
        server.initialise()
        server.register()
        version = server.call("GET", "sys/health")[1]["version"]
        for mount, kind in zip(MOUNTS, ("pki", "landfast")):
            server.mount(mount, kind, "ec")
            serve_acme(server, mount)
        targets = [word for mount in MOUNTS for word in ("--target", f"{mount}={server.url(mount)}")]
        for clients, cpu, rate in ((8, 0.6, 1.5), (1, None, None)):
            report = load("--op", "acme", "-c", str(clients), "-n", str(arguments.certificates), "--rounds", str(arguments.rounds),
                          "--warmup", "10", "--pid", str(server.process.pid), *targets)
            ours = report["targets"][1]["ratio_to_first"]
            row(f"CPU of server and plugin for a certificate ÷ built-in, clients: {clients}", cpu, ours["cpu"]["median"])
            row(f"certificates a second ÷ built-in, clients: {clients}", rate, ours["rps"]["median"], least=True)
            for target in report["targets"]:
                name = "landfast" if target["target"] == "ours" else "built-in"
                used = target["cpu_ms_per_1000"]["median"] / 1000
                parts = ", ".join(f"{process} {value / 1000:.2f}" for process, value in target["cpu_ms_per_1000_by_process"].items())
                figures.append(f"| {name} | {clients} | {target['rps']['median']:.0f} | {target['latency_ms']['p50']:.1f} "
                               f"| {target['latency_ms']['p99']:.1f} | {used:.2f} | {parts} |")
                print(figures[-1], flush=True)
    return written(arguments, rows, page(rows, version, figures))


def page(rows, version, figures):
    return [
        "# Performance of ACME",
        "",
        "Made by `make bench`. One certificate is a whole order of RFC 8555, from `new-order` to the download, validated by http-01 on",
        "loopback. Raft on disk.",
        "",
        f"{machine(version)}; server, plugin and client share them.",
        "",
        *table(rows, "performance-acme.svg"),
        "",
        "With one client each call wakes two processes, which sleep again before the next: that costs more than what they do.",
        "",
        "## Figures behind them",
        "",
        "| engine | clients | certificates/s | p50 ms | p99 ms | CPU ms per certificate | by process |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *figures,
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
