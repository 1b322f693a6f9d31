#!/usr/bin/env python3
"""Measures ML-DSA-65 beside the server's built-in pki engine: certificates for new keys, under a CA with such a key.

Both engines are mounted in one server, and one run of pkiload alternates between them. Writes docs/performance-quantum.md. Exit code 1
if a budget is not met.

    make bench                this too
    bench/quantum.py --quick  fewer and shorter rounds, for a look; writes no page
"""

import sys

from run import Server, arguments_of, build_load, machine, pkiload, spread, table, written

PAIR = ("builtin", "ours")
#: Usages that both engines put in: without it the built-in's has those for encryption too, which no ML-DSA key has.
ROLE = {"allow_any_name": True, "no_store": True, "key_usage": "DigitalSignature"}


def main():
    arguments, row, rows = arguments_of(__doc__, "docs/performance-quantum.md", requests=("of each engine in each round", 2000, 200),
                                        rounds=("of each kind of key and number of clients", 7, 3))
    build_load()
    with Server(arguments.bao, arguments.binary) as server:
        server.register()
        version = server.call("GET", "sys/health")[1]["version"]
        for path, kind in zip(PAIR, ("pki", "landfast")):
            server.mount(path, kind, "mldsa", 65)
            server.call("POST", f"{path}/roles/quantum", {**ROLE, "key_type": "mldsa", "key_bits": 65})
            server.call("POST", f"{path}/roles/classic", {**ROLE, "key_type": "ec"})
        runs = {(name, clients): pkiload(server, PAIR, role, clients=clients, requests=arguments.requests, rounds=arguments.rounds,
                                         extra=["--calibrate-ml-dsa"])
                for name, role in (("ML-DSA-65", "quantum"), ("P-256", "classic")) for clients in (16, 1)}
    floors = [run["mldsa65_keygen_and_sign_us"] for run in runs.values()]
    for clients, cpu, bare in ((16, 0.6, 2), (1, None, None)):
        run = runs["ML-DSA-65", clients]
        plugin = run["ours"]["cpu_ms_per_1000_by_process"]["landfast"]
        row(f"host + plugin CPU per ML-DSA-65 issue ÷ built-in, clients: {clients}", cpu, run["ours"]["ratio_to_first"]["cpu"]["median"])
        row(f"plugin CPU per ML-DSA-65 issue ÷ bare key generation and signature (aws-lc-rs), clients: {clients}", bare, plugin / min(floors))
    steady = max(floors) / min(floors)
    if steady > 1.15:
        print(f"warning: this machine's speed moved by {100 * (steady - 1):.0f} % during the run: measure again")
    return written(arguments, rows, page(rows, version, runs, floors))


def figures(key, clients, run):
    for who in PAIR:
        target = run[who]
        used, latency = target["cpu_ms_per_1000"], target["latency_ms"]
        parts = ", ".join(f"{process} {value / 1000:.3f}" for process, value in target["cpu_ms_per_1000_by_process"].items() if value >= 0.5)
        yield (f"| {key} | {clients} | {'built-in' if who == 'builtin' else 'landfast'} | {target['rps']['median']:,.0f} "
               f"| {latency['p50']:.2f} | {latency['p99']:.2f} | {used['median'] / 1000:.3f} | {parts} |")


def page(rows, version, runs, floors):
    return [
        "# Performance of ML-DSA",
        "",
        "Made by `make bench`. The built-in `pki` engine and landfast are mounted in one server, each with an ML-DSA-65 root; one run of",
        "`bench/pkiload` alternates between them. Certificates are not stored, and some of each are verified. Only the ratios carry over to other",
        "machines.",
        "",
        f"{machine(version)}; server, plugin and client share them.",
        f"Bare ML-DSA-65 key generation and signature (aws-lc-rs): {spread(floors)} µs during the run.",
        "",
        *table(rows, "performance-quantum.svg"),
        "",
        "## Figures behind them",
        "",
        "The key is the certificate's; the CA signs with ML-DSA-65 in each row.",
        "",
        "| key | clients | engine | req/s | p50 ms | p99 ms | CPU ms per request | by process |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(line for (key, clients), run in runs.items() for line in figures(key, clients, run)),
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
