#!/usr/bin/env python3
"""Measures tidying beside the built-in engine, on raft storage: half of the stored certificates are past their end.

Prints CPU of server and plugin together, ours ÷ the built-in's, what issuing waits meanwhile, and the plugin's memory; with --output it writes
docs/performance-tidy.md, say. Exit code 1 beyond the budget.

    bench/tidy.py --landfast target/release/landfast [--certificates 200000]
"""

import argparse
import pathlib
import sys
import threading
import time

from revocation import cpu
from run import ROOT, Server, build_load, load, machine

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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landfast", default=str(ROOT / "target/release/landfast"))
    parser.add_argument("--bao", default=str(ROOT / ".tools/openbao/2.7.2/bao"))
    parser.add_argument("--certificates", type=int, default=200_000)
    parser.add_argument("--output", help="the page to write")
    arguments = parser.parse_args()
    build_load()
    rows = []

    def row(figure, value, budget=None):
        rows.append((figure, value, budget))
        late = budget is not None and value > budget
        print(f"{'OVER ' if late else 'ok   '} {figure}: {value:.2f}" + (f" (budget {budget})" if budget else ""), flush=True)

    with Server(arguments.bao, arguments.landfast, storage="raft") as server:
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
        row("CPU of tidying ÷ built-in, server and plugin", used["ours"][0] / used["theirs"][0], 0.4)
        row("the same for a run that finds nothing to delete", again["ours"][0] / again["theirs"][0], 0.4)
        row("memory of the plugin before, MiB", memory)
        row("memory of the plugin at most, during a run, MiB", used["ours"][2])
        row("memory of the plugin after, MiB", server.plugin_rss())

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
            row(what, meanwhile / idle, 1.5 if mount == "ours" else None)
    if arguments.output:
        page(arguments.output, version, arguments.certificates, rows, used)
        print(f"written: {arguments.output}")
    return int(any(budget is not None and value > budget for _, value, budget in rows))


def page(path, version, certificates, rows, used):
    def met(value, budget):
        return ("", "") if budget is None else (f"≤ {budget}", "yes" if value <= budget else "**no**")

    lines = [
        "# Performance of tidying",
        "",
        f"Made by `bench/tidy.py --certificates {certificates} --output docs/performance-tidy.md`. Raft on disk; {certificates:,} certificates in a mount of each",
        "engine, half of them past their end.",
        "",
        f"{machine(version)}; server, plugin and client share them.",
        "",
        "| figure | budget | measured | met |",
        "| --- | --- | --- | --- |",
        *(f"| {figure} | {met(value, budget)[0]} | {value:.2f} | {met(value, budget)[1]} |" for figure, value, budget in rows),
        "",
        "| engine | deleted | seconds | CPU seconds |",
        "| --- | --- | --- | --- |",
        *(f"| {'built-in' if mount == 'theirs' else 'landfast'} | {gone:,} | {took:.1f} | {seconds:.1f} |"
          for mount, (seconds, took, _, gone) in used.items()),
        "",
        "The seconds of landfast are half a rest: it leaves the server to others for as long as each write took.",
        "",
    ]
    pathlib.Path(path).write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
