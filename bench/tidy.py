#!/usr/bin/env python3
"""Measures tidying beside the built-in engine, on raft storage: half of the stored certificates are past their end.

Prints CPU of server and plugin together, ours ÷ the built-in's, and what issuing waits meanwhile. Exit code 1 beyond the budget.

    bench/tidy.py --landfast target/release/landfast [--certificates 200000]
"""

import argparse
import sys
import threading
import time

from revocation import cpu
from run import ROOT, Server, build_load, load, pkiload

MOUNTS = ("theirs", "ours")
PLAN = {"tidy_cert_store": True, "tidy_revoked_certs": True, "safety_buffer": "1s"}


def fill(server, count):
    """Half of `count` certificates for each mount live on, half end at once."""
    for role in ("short", "stored"):
        pkiload(server, MOUNTS, role, requests=count // 2, rounds=1, checked=0)
    time.sleep(5)


def tidied(server, mount):
    """CPU seconds and seconds of a run, and how many certificates went."""
    pids = [server.process.pid, *server.plugins()]
    before, began = cpu(pids), time.perf_counter()
    server.call("POST", f"{mount}/tidy", PLAN)
    while True:
        status = server.call("GET", f"{mount}/tidy-status")[1]["data"]
        if status["state"] not in ("Running", "Cancelling"):
            break
        time.sleep(0.2)
    if status["state"] != "Finished":
        raise SystemExit(f"{mount}: {status['state']}: {status['error']}")
    return cpu(pids) - before, time.perf_counter() - began, status["cert_store_deleted_count"]


def issuing(server, mount):
    """p99 of issuing with four clients, in milliseconds."""
    report = load("--calibrate", "--verify", "0", "--op", "issue", "--role", "nostore", "--token", server.token, "-c", "4", "-n", "3000",
                  "--rounds", "1", "--pid", str(server.process.pid), "--target", f"{mount}={server.url(mount)}")
    return report["targets"][0]["latency_ms"]["p99"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landfast", default=str(ROOT / "target/release/landfast"))
    parser.add_argument("--bao", default=str(ROOT / ".tools/openbao/2.7.2/bao"))
    parser.add_argument("--certificates", type=int, default=20_000)
    arguments = parser.parse_args()
    build_load()
    late = []

    def row(figure, value, may):
        if value > may:
            late.append(figure)
        print(f"{'ok   ' if value <= may else 'OVER '} {figure}: {value:.2f} (budget {may})", flush=True)

    with Server(arguments.bao, arguments.landfast, storage="raft") as server:
        server.initialise()
        server.register()
        server.mount("theirs", "pki", "ec")
        server.mount("ours", "landfast", "ec")
        for mount in MOUNTS:
            server.call("POST", f"{mount}/roles/short", {"allow_any_name": True, "key_type": "ec", "ttl": "2s", "max_ttl": "2s"})
        fill(server, arguments.certificates)
        used = {}
        for mount in MOUNTS:
            used[mount] = tidied(server, mount)
            seconds, took, gone = used[mount]
            print(f"      {mount}: {gone} deleted in {took:.1f} s, {seconds:.1f} s of CPU", flush=True)
        if used["theirs"][2] != used["ours"][2]:
            raise SystemExit("not the same number of certificates went")
        row("CPU of tidying", used["ours"][0] / used["theirs"][0], 0.4)

        for mount in MOUNTS:
            fill(server, arguments.certificates)
            idle = issuing(server, mount)
            run = threading.Thread(target=tidied, args=(server, mount))
            run.start()
            meanwhile = issuing(server, mount)
            under_way = run.is_alive()
            run.join()
            if not under_way:
                print(f"      {mount}: the run was over before the load was: take more certificates", flush=True)
            what = f"p99 of issuing while {mount} is tidied, beside idle ({idle:.1f} ms)"
            if mount == "ours":
                row(what, meanwhile / idle, 1.5)
            else:
                print(f"      {what}: {meanwhile / idle:.2f}", flush=True)
    sys.exit(1 if late else 0)


if __name__ == "__main__":
    main()
