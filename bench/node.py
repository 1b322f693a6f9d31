#!/usr/bin/env python3
"""Measures what landfast costs on a node.

A real server signs the node's certificates, and `landfast lab` stands in for
AWS. Writes docs/performance-node.md: the budgets of the design beside what was
measured. Exit code 1 if a budget is not met.

    make bench               with the rest, half a minute
    bench/node.py --quick    fewer rounds, for a look; writes no page
"""

import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from run import ROOT, Server, arguments_of, machine, spread, table, written

NODE = "node-1"
# What every Linux with glibc has: the loader, libc and the parts of it that are files of their own.
LIBC = {"linux-vdso.so.1", "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libgcc_s.so.1"}


def milliseconds(command, environment, runs):
    """Wall-clock and CPU milliseconds of a command, from fork to its end."""
    times, cpu = [], []
    for _ in range(runs):
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, said = process.stdout.read(), process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        times.append(1000 * (time.perf_counter() - started))
        cpu.append(1000 * (used.ru_utime + used.ru_stime))
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        process.stderr.close()
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {said.decode()}")
        if not out:
            raise SystemExit(f"{' '.join(command)} printed nothing")
    return times, cpu


def libraries(binary):
    """The shared libraries that the binary wants, by name."""
    done = subprocess.run(["ldd", binary], capture_output=True, text=True)
    if "not a dynamic executable" in done.stdout + done.stderr or "statically linked" in done.stdout:
        return set()
    if done.returncode != 0:
        raise SystemExit(f"ldd: {done.stderr}")
    found = {pathlib.Path(line.split()[0]).name for line in done.stdout.splitlines() if line.strip()}
    return {name for name in found if not name.startswith("ld-linux")}


def memory(pid):
    """Resident MiB of a process: now, and at its highest."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    field = lambda name: int(re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE).group(1)) / 1024
    return field("VmRSS"), field("VmHWM")


def until(what, probe, limit=60):
    end = time.monotonic() + limit
    while not probe():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {limit} s")
        time.sleep(0.005)


class Lab:
    """A Roles Anywhere that trusts one CA."""

    def __init__(self, binary, anchor):
        self.process = subprocess.Popen([binary, "lab", "--listen", "127.0.0.1:0", "--trust-anchor", anchor],
                                        stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the lab does not start")
        self.ready = json.loads(line)

    def flags(self):
        return ["--endpoint", self.ready["endpoint"], "--trust-anchor-arn", self.ready["trustAnchorArn"],
                "--profile-arn", self.ready["profileArn"], "--role-arn", self.ready["roleArn"],
                "--role-session-name", NODE]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def prepare(server):
    """A CA, a role for the node, and the ways in: answers the CA."""
    server.register()
    server.mount("pki", "landfast", "ec")
    ca = server.call("GET", "pki/cert/ca")[1]["data"]["certificate"]
    server.call("POST", "pki/roles/hybrid-node", {
        "allowed_domains": NODE, "allow_bare_domains": True, "key_type": "any", "key_usage": "DigitalSignature",
        "ttl": "24h", "max_ttl": "72h"})
    return ca


def daemon(command, environment, pair, renewals):
    """Memory of the daemon once it is ready, and after renewals under SIGHUP."""
    with subprocess.Popen([*command, "--daemon"], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            current = pair / ".landfast/current"
            until("the first certificate", current.exists)
            first = memory(process.pid)
            for _ in range(renewals):
                before = os.readlink(current)
                process.send_signal(signal.SIGHUP)
                until("a renewal", lambda: os.readlink(current) != before)
            return first, memory(process.pid)
        finally:
            process.terminate()
            process.wait()


def main():
    arguments, row, rows = arguments_of(__doc__, "docs/performance-node.md")
    binary, quick = arguments.binary, arguments.quick
    runs, renewals = (11, 5) if quick else (101, 20)
    foreign = libraries(binary) - LIBC
    row("shared libraries beyond libc", 0, len(foreign), digits=0)
    if foreign:
        print(f"  {', '.join(sorted(foreign))}")

    with tempfile.TemporaryDirectory(prefix="lf-node-") as folder, Server(arguments.bao, binary) as server:
        folder = pathlib.Path(folder)
        pair = folder / "pki"
        files = ["--certificate", str(pair / "server.pem"), "--private-key", str(pair / "server.key")]
        (folder / "ca.pem").write_text(prepare(server))
        environment = {"HOME": str(folder), "VAULT_ADDR": f"http://127.0.0.1:{server.port}",
                       "VAULT_TOKEN": server.token, "PATH": os.environ["PATH"]}
        version = server.call("GET", "sys/health")[1]["version"]
        bare, _ = milliseconds(["/bin/echo", "x"], environment, runs)
        start, start_cpu = milliseconds([binary, "--version"], environment, runs)
        row("start: `landfast --version` from fork to end, ms, median", 20, statistics.median(start), digits=1)

        renew = [binary, "renew", "--node-name", NODE, *files]
        ready, after = daemon(renew, environment, pair, renewals)
        row("resident memory of `renew --daemon` at its highest, MiB", 15, after[1], digits=1)

        kept, kept_cpu = milliseconds([binary, "enroll", "--node-name", NODE, *files], environment, runs)
        again, _ = milliseconds([*renew, "--now"], environment, max(runs // 5, 3))
        with Lab(binary, str(folder / "ca.pem")) as lab:
            session = [binary, "credential-process", *files, *lab.flags()]
            fresh, fresh_cpu = milliseconds([*session, "--no-cache"], environment, max(runs // 5, 3))
            milliseconds(session, environment, 1)
            cached, cached_cpu = milliseconds(session, environment, runs)
            calls = json.loads(subprocess.run(["curl", "-fsS", f"{lab.ready['endpoint']}/lab/calls"],
                                              check=True, capture_output=True).stdout)
            if len(calls["calls"]) != max(runs // 5, 3) + 1:
                raise SystemExit("the cache was not used")
        row("`credential-process` from the cache, from fork to end, ms, median", 10, statistics.median(cached), digits=1)

    figures = [("`/bin/echo`, for comparison", bare, None), ("`landfast --version`", start, start_cpu),
               ("`enroll`, nothing to do", kept, kept_cpu), ("`credential-process` from the cache", cached, cached_cpu),
               ("`credential-process` with a session from the lab", fresh, fresh_cpu),
               ("`renew --now`, same key", again, None)]
    return written(arguments, rows, [
        "# Performance on a node",
        "",
        "Made by `make bench`. A real server signs the certificates, and `landfast lab` stands in for AWS.",
        "",
        f"{machine(version)}.",
        "",
        *table(rows, "performance-node.svg"),
        "",
        "## Figures behind them",
        "",
        "| command | ms, median [min-max] | CPU ms, median |",
        "| --- | --- | --- |",
        *(f"| {name} | {spread(times)} | {f'{statistics.median(cpu):.1f}' if cpu else ''} |"
          for name, times, cpu in figures),
        "",
        f"Resident memory of the daemon: {ready[0]:.1f} MiB after its first certificate, {after[0]:.1f} MiB after "
        f"{renewals} renewals, {after[1]:.1f} MiB at its highest.",
        "",
        f"Shared libraries: {', '.join(sorted(libraries(binary))) or 'none'}.",
        ""])


if __name__ == "__main__":
    sys.exit(main())
