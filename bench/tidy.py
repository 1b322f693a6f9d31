#!/usr/bin/env python3
"""Measures tidying beside the built-in engine, on raft storage: half of the stored certificates are past their end.

CPU of server and plugin together, ours ÷ the built-in's, what issuing waits meanwhile, and the plugin's memory. Exit code 1 beyond a budget.

    make bench               this too
    bench/tidy.py --quick    few of them, for a look; writes no page
"""

import sys
import threading
import time

from revocation import cpu
from run import Server, arguments_of, build_load, load, machine, table, written

MOUNTS = ("theirs", "ours")
PLAN = {"tidy_cert_store": True, "tidy_revoked_certs": True, "safety_buffer": "1s"}


def issue(server, mounts, role, clients, requests):
    """The report on each mount of as many certificates."""
    targets = [word for mount in mounts for word in ("--target", f"{mount}={server.url(mount)}")]
    return load("--calibrate", "--verify", "0", "--op", "issue", "--role", role, "--token", server.token, "-c", str(clients),
                "-n", str(requests), "--rounds", "1", "--max-seconds", "3000", "--pid", str(server.process.pid), *targets)["targets"]


def fill(server, mounts, count):
    """Half of `count` certificates of each mount live on, half end at once."""
    for role in ("short", "stored"):
        issue(server, mounts, role, 16, count // 2)
    time.sleep(5)


def tidied(server, mount, out=None):
    """CPU seconds, seconds and MiB of the plugin at most of a run, and how many certificates went."""
    pids = [server.process.pid, *server.plugins()]
    before, began, most = cpu(pids), time.perf_counter(), server.plugin_rss()
    server.call("POST", f"{mount}/tidy", PLAN)
    while True:
        status = server.call("GET", f"{mount}/tidy-status")[1]["data"]
        if status["state"] not in ("Running", "Cancelling"):
            break
        most = max(most, server.plugin_rss())
        time.sleep(0.2)
    found = (cpu(pids) - before, time.perf_counter() - began, most, status["cert_store_deleted_count"])
    if status["state"] != "Finished":
        raise SystemExit(f"{mount}: {status['state']}: {status['error']}")
    if out is not None:
        out.append(found)
    return found


def issuing(server, mount):
    """p99 of issuing with four clients, in milliseconds."""
    return issue(server, (mount,), "nostore", 4, 3000)[0]["latency_ms"]["p99"]


def main():
    arguments, row, rows = arguments_of(__doc__, "docs/performance-tidy.md", certificates=("stored in a mount of each engine", 200_000, 4_000))
    build_load()
    with Server(arguments.bao, arguments.binary, storage="raft") as server:
        server.initialise()
        server.register()
        server.mount("theirs", "pki", "ec")
        server.mount("ours", "landfast", "ec")
        version = server.call("GET", "sys/health")[1]["version"]
        for mount in MOUNTS:
            server.call("POST", f"{mount}/roles/short", {"allow_any_name": True, "key_type": "ec", "ttl": "2s", "max_ttl": "2s"})
        fill(server, MOUNTS, arguments.certificates)
        memory = server.plugin_rss()
        used, again = {}, {}
        for mount in MOUNTS:
            used[mount] = tidied(server, mount)
            seconds, took, most, gone = used[mount]
            print(f"      {mount}: {gone} deleted in {took:.1f} s, {seconds:.1f} s of CPU", flush=True)
            again[mount] = tidied(server, mount)
        if used["theirs"][3] != used["ours"][3]:
            raise SystemExit("not the same number of certificates went")
        row("CPU of tidying ÷ built-in, server and plugin", 0.4, used["ours"][0] / used["theirs"][0])
        row("the same for a run that finds nothing to delete", 0.4, again["ours"][0] / again["theirs"][0])
        row("memory of the plugin before, MiB", None, memory, digits=1)
        row("memory of the plugin at most, during a run, MiB", None, used["ours"][2], digits=1)
        row("memory of the plugin after, MiB", None, server.plugin_rss(), digits=1)

        for mount in MOUNTS:
            fill(server, (mount,), arguments.certificates)
            idle = issuing(server, mount)
            runs = []
            run = threading.Thread(target=tidied, args=(server, mount, runs))
            run.start()
            meanwhile = issuing(server, mount)
            if not run.is_alive():
                print(f"      {mount}: the run was over before the load was: take more certificates", flush=True)
            run.join()
            if not runs:
                raise SystemExit(f"{mount}: the run failed")
            what = f"p99 of issuing while {'landfast' if mount == 'ours' else 'the built-in engine'} tidies ÷ p99 before ({idle:.1f} ms)"
            row(what, 1.5 if mount == "ours" else None, meanwhile / idle)
    return written(arguments, rows, page(arguments.certificates, rows, version, used))


def page(certificates, rows, version, used):
    return [
        "# Performance of tidying",
        "",
        f"Made by `make bench`. Raft on disk; {certificates:,} certificates in a mount of each engine, half of them past their end.",
        "",
        f"{machine(version)}; server, plugin and client share them.",
        "",
        *table(rows, "performance-tidy.svg"),
        "",
        "## Figures behind them",
        "",
        "| engine | deleted | seconds | CPU seconds |",
        "| --- | --- | --- | --- |",
        *(f"| {'built-in' if mount == 'theirs' else 'landfast'} | {gone:,} | {took:.1f} | {seconds:.1f} |"
          for mount, (seconds, took, _, gone) in used.items()),
        "",
        "Two thirds of the seconds of landfast are rest: it leaves the server to others for twice as long as each write took.",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
