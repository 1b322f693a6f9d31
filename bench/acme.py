#!/usr/bin/env python3
"""Measures ACME beside the built-in engine: certificates from new-order to the download, validated by http-01 on loopback.

Both engines are mounted in one server. One run of bench/pkiload alternates between them; its clients answer the challenges on port 80
of 127.0.0.1, so that the port has to be free and the right to listen there is needed. Exit code 1 beyond a budget.

    bench/acme.py [--certificates 300] [--storage raft] [--output docs/performance-acme.md]
"""

import argparse
import pathlib
import sys

from run import ROOT, Server, build_load, load, machine

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landfast", default=str(ROOT / "target/release/landfast"))
    parser.add_argument("--bao", default=str(ROOT / ".tools/openbao/2.7.2/bao"))
    parser.add_argument("--storage", choices=("dev", "raft"), default="raft")
    parser.add_argument("--certificates", type=int, default=300, help="for each engine in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", help="the page to write")
    arguments = parser.parse_args()
    build_load()
    rows, figures = [], []

    def row(figure, value, limit, most=True):
        met = value <= limit if most else value >= limit
        rows.append(f"| {figure} | {'≤' if most else '≥'} {limit} | {value:.2f} | {'yes' if met else '**no**'} |")
        print(f"{'ok  ' if met else 'OVER'} {figure}: {value:.2f} (budget {limit})", flush=True)
        return met

    met = True
    with Server(arguments.bao, arguments.landfast, storage=arguments.storage) as server:
        if arguments.storage == "raft":
            server.initialise()
        server.register()
        version = server.call("GET", "sys/health")[1]["version"]
        for mount, kind in zip(MOUNTS, ("pki", "landfast")):
            server.mount(mount, kind, "ec")
            serve_acme(server, mount)
        targets = [word for mount in MOUNTS for word in ("--target", f"{mount}={server.url(mount)}")]
        for clients in (1, 8):
            report = load("--op", "acme", "-c", str(clients), "-n", str(arguments.certificates), "--rounds", str(arguments.rounds),
                          "--warmup", "10", "--pid", str(server.process.pid), *targets)
            ours = report["targets"][1]["ratio_to_first"]
            met &= row(f"CPU of server and plugin for a certificate ÷ built-in, clients: {clients}", ours["cpu"]["median"], 0.6)
            met &= row(f"certificates a second ÷ built-in, clients: {clients}", ours["rps"]["median"], 1.5, most=False)
            for target in report["targets"]:
                name = "landfast" if target["target"] == "ours" else "built-in"
                used = target["cpu_ms_per_1000"]["median"] / 1000
                parts = ", ".join(f"{process} {value / 1000:.2f}" for process, value in target["cpu_ms_per_1000_by_process"].items())
                figures.append(f"| {name} | {clients} | {target['rps']['median']:.0f} | {target['latency_ms']['p50']:.1f} "
                               f"| {target['latency_ms']['p99']:.1f} | {used:.2f} | {parts} |")
                print(figures[-1], flush=True)
    if arguments.output:
        pathlib.Path(arguments.output).write_text("\n".join(page(arguments, version, rows, figures)))
        print(f"written: {arguments.output}")
    return 0 if met else 1


def page(arguments, version, rows, figures):
    return [
        "# Performance of ACME",
        "",
        f"Made by `bench/acme.py --output docs/performance-acme.md`. One certificate is a whole order of RFC 8555, from `new-order` to the",
        f"download, validated by http-01 on loopback. Storage: {arguments.storage}.",
        "",
        f"{machine(version)}; server, plugin and client share them.",
        "",
        "| figure | budget | measured | met |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        "| engine | clients | certificates/s | p50 ms | p99 ms | CPU ms per certificate | by process |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *figures,
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
