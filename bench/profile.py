#!/usr/bin/env python3
"""Shows where the time of the engine goes: by function, and by wake-ups.

Three questions that the ratios of bench/run.py leave open. Which functions use the
plugin's CPU (Linux `perf`, so the binary must have its symbols), how often
the host and the plugin are woken for one request of a single client, which is
most of what a request costs where the processors sleep in between, and how
the longest waits of many clients differ from run to run. Writes
docs/performance-profile.md.

    make profile            builds a binary with symbols, then takes about a minute
    bench/profile.py --binary target/profile/release/landfast --quick
"""

import collections
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from run import Server, arguments_of, build_load, load, machine, written

#: What a function's name says about its purpose; the first that fits counts.
PURPOSES = [
    ("RSA arithmetic (AWS-LC)", r"rsaz|RSA|extract_multiplier|sqrx8x|mulx|beeu|mod_inverse|bn_|BN_|montx?_|amm52|words52"),
    ("P-256 arithmetic (AWS-LC)", r"nistz256|ecp_|ec_|EC_|ecdsa|ECDSA|p256"),
    ("hashing and TLS records", r"sha\d|aes|gcm|ghash|rustls"),
    ("kernel", r"\[k\]"),
    ("memory", r"malloc|free|memmove|memset|memcmp|memcpy|realloc|unlink_chunk|calloc|_int_"),
    ("landfast", r"landfast|<der::|const_oid|spki"),
    ("HTTP/2 and gRPC", r"h2::|hyper|tonic|prost|http::|bytes::|slab|tower"),
    ("runtime", r"tokio|epoll|futures|mio::"),
    ("JSON, base64", r"serde|base64|itoa"),
]
#: name, operation, type of the CA key, clients
CASES = [
    ("issue P-256 under P-256, 16 clients", "issue", "ec", 16),
    ("issue P-256 under P-256, 1 client", "issue", "ec", 1),
    ("sign P-256 under RSA-2048, 16 clients", "sign", "rsa", 16),
]


def switches(pid):
    """How often the threads of a process waited so far."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.M)[1])
    return total


def run_load(server, mount, op, clients, requests):
    return load("--op", op, "--role", "nostore", "--token", server.token, "-c", str(clients), "-n", str(requests),
                "--pid", str(server.process.pid), "--target", f"{mount}={server.url(mount)}")["targets"][0]


def shares(data):
    """Percent of the samples by purpose, and the first few functions."""
    report = subprocess.run(["perf", "report", "-i", data, "--no-children", "--stdio", "-g", "none", "--sort", "sym"],
                            capture_output=True, text=True)
    if report.returncode != 0:
        raise SystemExit(f"perf cannot read what it recorded, try again: {report.stderr}")
    found, functions = collections.Counter(), []
    for percent, name in re.findall(r"^\s*([\d.]+)%\s+(.*\S)", report.stdout, re.M):
        purpose = next((purpose for purpose, names in PURPOSES if re.search(names, name)), "other")
        found[purpose] += float(percent)
        functions.append((float(percent), name.split("] ", 1)[-1]))
    return found, functions[:4]


def profile(server, mount, op, clients, requests):
    [plugin] = server.plugins()
    run_load(server, mount, op, clients, 200)
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/perf.data"
        perf = subprocess.Popen(["perf", "record", "-F", "4999", "-o", data, "-p", str(plugin)],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        if perf.poll() is not None:
            raise SystemExit(f"perf cannot watch the plugin: {perf.stderr.read()}")
        target = run_load(server, mount, op, clients, requests)
        perf.send_signal(signal.SIGINT)
        perf.wait()
        found, functions = shares(data)
    if not functions or all(name.startswith("0x") for _, name in functions):
        raise SystemExit("the binary has no symbols: build it by `make profile`")
    return target["cpu_ms_per_1000_by_process"], found, functions


def wakes(server, mount, requests):
    """Waits per request of one client: the server's, and the plugins'."""
    run_load(server, mount, "issue", 1, 100)
    pids = [server.process.pid, *server.plugins()]
    before = [switches(pid) for pid in pids]
    run_load(server, mount, "issue", 1, requests)
    counts = [(switches(pid) - was) / (requests + 50) for pid, was in zip(pids, before)]
    return counts[0], sum(counts[1:])


def tails(server, runs, requests):
    """The 99th percentile of latency in ms at 16 clients, by engine and run."""
    found = {"builtin": [], "ours-ec": []}
    for _ in range(runs):
        for mount, times in found.items():
            times.append(run_load(server, mount, "issue", 16, requests)["latency_ms"]["p99"])
    return found


def main():
    arguments, _, _ = arguments_of(__doc__, "docs/performance-profile.md")
    if not shutil.which("perf"):
        raise SystemExit("this needs Linux perf (Debian: linux-perf)")
    build_load()
    requests = 600 if arguments.quick else 6000
    lines = []
    with Server(arguments.bao, arguments.binary) as server:
        server.register()
        for path, kind, key in (("builtin", "pki", "ec"), ("ours-ec", "landfast", "ec"), ("ours-rsa", "landfast", "rsa")):
            server.mount(path, kind, key)
        version = server.call("GET", "sys/health")[1]["version"]
        for name, op, key, clients in CASES:
            used, found, functions = profile(server, f"ours-{key}", op, clients, requests if clients > 1 else requests // 2)
            lines += [f"## {name[0].upper()}{name[1:]}", "",
                      f"CPU per certificate: host {used['bao'] / 1000:.3f} ms, plugin {used['landfast'] / 1000:.3f} ms. "
                      "Of the plugin's:", "", "| purpose | share | ms |", "| --- | --- | --- |"]
            lines += [f"| {purpose} | {share:.0f} % | {share * used['landfast'] / 1e5:.3f} |"
                      for purpose, share in found.most_common() if share >= 0.5]
            lines += ["", "First functions: " + ", ".join(f"`{name}` {share:.0f} %" for share, name in functions) + ".", ""]
            print("\n".join(lines[-(len(found) + 8):]))
            if clients > 1 and op == "issue":
                share = 100 * used["bao"] / (used["bao"] + used["landfast"])
        waits = tails(server, 5, requests // 3)
        counted = {mount: wakes(server, mount, requests // 3) for mount in ("builtin", "ours-ec")}
    (alone, _), (host, plugin) = counted["builtin"], counted["ours-ec"]
    text = (f"The threads of the host wait {alone:.1f} times for a request to the built-in engine; to landfast {host:.1f} times, and the "
            f"plugin {plugin:.1f} times.")
    print(text)
    listed = {mount: ", ".join(f"{time:.0f}" for time in times) for mount, times in waits.items()}
    tail = (f"With 16 clients both processors are always busy, so a request's time is its wait for them, and of the CPU that it waits for {share:.0f} % "
            f"is the host's. In five runs in turn, the 99th percentile was {listed['builtin']} ms with the built-in engine and "
            f"{listed['ours-ec']} ms with landfast.")
    print(tail)
    return written(arguments, [], page(version, lines, text, tail))


def page(version, lines, text, tail):
    return [
        "# Where the time goes", "",
        "Made by `make profile`. The ratios are in [performance.md](performance.md); this page says what they consist of.", "",
        f"{machine(version)}; server, plugin and client share them.", "", *lines,
        "## Wake-ups, 1 client", "", text, "",
        "An OpenBao host makes three calls for a request that writes: it asks which path's rules apply, whether the entry exists, and",
        "then for the answer. Each wakes the plugin and then the host. A processor that sleeps in between makes that dear, and the more so",
        "on a virtual machine; beside other work, or with more clients, it sleeps less. So the ratio at one client says more about",
        "the machine than the others do.", "",
        "## Longest waits, 16 clients", "", tail, "",
        "The built-in engine's tail is that of the host's garbage collector and scheduler under its arithmetic, which differs much from",
        "machine to machine; that of landfast is what the host alone leaves.", ""]


if __name__ == "__main__":
    sys.exit(main())
