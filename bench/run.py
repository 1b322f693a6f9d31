#!/usr/bin/env python3
"""Measures landfast beside the server's built-in pki engine.

Both engines are mounted in one server, and every comparison is one run of
pkiload that alternates between them, so that the ratios hold on a machine
whose speed drifts. Writes docs/performance.md: the budgets of the design
beside what was measured. Exit code 1 if a budget is not met.

    make bench              everything, about ten minutes
    bench/run.py --quick    fewer and shorter rounds, for a look; writes no page
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from neighbours import waits
from pool import from_pool
from revocation import large_crl, ratio, revoking, store_crl

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKEN = "root"
#: Octets of an entry on raft: the default of 1 MiB holds a CRL of some 27,000 revocations.
LARGEST = 16 << 20


class Server:
    """A server on free ports of 127.0.0.1, ended with the block."""

    def __init__(self, bao, binary, storage="dev", stanza="", node="one", leader=None):
        self.bao, self.storage, self.stanza, self.node, self.leader = bao, storage, stanza, node, leader
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lf-bench-"))
        (self.dir / "plugins").mkdir()
        shutil.copy(binary, self.dir / "plugins" / "landfast")
        self.token, self.key = TOKEN, None
        self.start()

    def start(self):
        self.launch()
        # A node that joins another may have heard of its cluster already.
        self.wait((200,) if self.storage == "dev" else (503,) if self.key else (501, 503) if self.leader else (501,))

    def launch(self):
        self.port = free_pair()
        config = f'plugin_directory = "{self.dir}/plugins"\n{self.stanza}'
        command = [self.bao, "server", f"-config={self.dir}/server.hcl"]
        if self.storage == "dev":
            command += ["-dev", "-dev-no-store-token", f"-dev-root-token-id={TOKEN}",
                        f"-dev-listen-address=127.0.0.1:{self.port}"]
        else:
            (self.dir / "raft").mkdir(exist_ok=True)
            join = f'retry_join {{\n leader_api_addr = "{self.leader.api()}"\n }}\n' if self.leader else ""
            config += (f'storage "raft" {{\n path = "{self.dir}/raft"\n node_id = "{self.node}"\n max_entry_size = {LARGEST}\n{join}}}\n'
                       f'listener "tcp" {{\n address = "127.0.0.1:{self.port}"\n tls_disable = true\n}}\n'
                       f'api_addr = "http://127.0.0.1:{self.port}"\n'
                       f'cluster_addr = "https://127.0.0.1:{self.port + 1}"\n')
        (self.dir / "server.hcl").write_text(config)
        self.log = open(self.dir / "server.log", "a")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=self.dir,
                                        env=dict(os.environ, HOME=str(self.dir)))

    def api(self):
        return f"http://127.0.0.1:{self.port}"

    def wait(self, statuses, limit=30):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if self.call("GET", "sys/health", check=False)[0] in statuses:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        raise SystemExit(f"the server is not ready: {(self.dir / 'server.log').read_text()[-2000:]}")

    def initialise(self):
        answer = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})[1]
        self.key, self.token = answer["keys"][0], answer["root_token"]
        self.unseal()

    def unseal(self):
        """Answers the milliseconds from the last key share to an active server."""
        started = time.perf_counter()
        self.call("PUT", "sys/unseal", {"key": self.key})
        self.wait((200,))
        return 1000 * (time.perf_counter() - started)

    def call(self, method, path, body=None, check=True):
        request = urllib.request.Request(
            self.url(path), method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": self.token, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            if check:
                raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}")
            return error.code, None
        except OSError:
            if check:
                raise
            return None, None

    def register(self, name="landfast"):
        digest = hashlib.sha256((self.dir / "plugins" / name).read_bytes()).hexdigest()
        self.call("PUT", f"sys/plugins/catalog/secret/{name}", {"sha256": digest, "command": name})

    def mount(self, path, kind, key, bits=0):
        self.call("POST", f"sys/mounts/{path}", {"type": kind, "config": {"max_lease_ttl": "87600h"}})
        self.call("POST", f"{path}/root/generate/internal",
                  {"common_name": path, "key_type": key, "key_bits": bits, "ttl": "8760h"})
        for name, no_store in (("nostore", True), ("stored", False)):
            self.call("POST", f"{path}/roles/{name}", {
                "allow_any_name": True, "key_type": "ec", "key_bits": 256, "no_store": no_store})

    def url(self, path):
        return f"{self.api()}/v1/{path}"

    def plugins(self):
        """The pids of the plugins' processes: a server has no other children."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                rest = (entry / "stat").read_text().rsplit(")", 1)[1]
            except OSError:
                continue
            if int(rest.split()[1]) == self.process.pid:
                found.append(int(entry.name))
        return found

    def plugin_rss(self):
        """MiB of the plugin's processes."""
        total = 0.0
        for pid in self.plugins():
            try:
                total += rss(pid)
            except (OSError, StopIteration):
                pass
        return total

    def end(self):
        stop(self.process)
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        shutil.rmtree(self.dir, ignore_errors=True)


def stop(process, limit=10):
    """Ends a process, politely first."""
    process.terminate()
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def rss(pid):
    """MiB of one process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(l for l in status.splitlines() if l.startswith("VmRSS")).split()[1]) / 1024


def free_pair():
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue


def build_load():
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path",
                    str(ROOT / "bench/pkiload/Cargo.toml")], check=True)


def load(*arguments):
    """One run of the load generator, as its JSON says."""
    done = subprocess.run([str(ROOT / "bench/pkiload/target/release/pkiload"), "--json", *arguments],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"pkiload failed: {done.stdout[-3000:]}{done.stderr}")
    return json.loads(done.stdout)


def pkiload(server, pair, role, op="issue", clients=16, requests=3000, rounds=7, extra=(), checked=20):
    builtin, ours = pair
    extra = [*(["--role", role] if role else []), *extra]
    report = load(
        "--calibrate", "--verify", str(checked), "--op", op, "--token", server.token, "-c", str(clients),
        "-n", str(requests), "--rounds", str(rounds), "--pid", str(server.process.pid),
        "--target", f"builtin={server.url(builtin)}", "--target", f"ours={server.url(ours)}", *extra)
    report["builtin"], report["ours"] = report["targets"]
    return report


#: Cookie and protocol by which a host starts a secrets engine, and how the answer begins.
SECRETS_ENGINE = {"VAULT_BACKEND_PLUGIN": "6669da05-b1c8-4f49-97d9-c8e5bed98e20", "PLUGIN_PROTOCOL_VERSIONS": "5"}


def handshakes(binary, runs=21, kind=SECRETS_ENGINE):
    """Milliseconds from exec to the handshake line, and CPU milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        # What a host sends: a self-signed P-521 certificate for localhost.
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521",
                        "-nodes", "-keyout", f"{folder}/key", "-out", f"{folder}/cert", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-days", "2"], check=True, capture_output=True)
        environment = dict(
            os.environ, **kind, PLUGIN_MIN_PORT="10000", PLUGIN_MAX_PORT="25000", PLUGIN_CLIENT_CERT=pathlib.Path(f"{folder}/cert").read_text())
        times, cpu = [], []
        for _ in range(runs):
            started = time.perf_counter()
            process = subprocess.Popen([binary], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            line = process.stdout.readline()
            times.append(1000 * (time.perf_counter() - started))
            process.kill()
            # Ticks of /proc/PID/stat are 10 ms, which is more than a start takes.
            _, _, usage = os.wait4(process.pid, 0)
            process.returncode = -9
            cpu.append(1000 * (usage.ru_utime + usage.ru_stime))
            if not line.startswith(f"1|{kind['PLUGIN_PROTOCOL_VERSIONS']}|unix|".encode()):
                raise SystemExit(f"no handshake: {line[:80]!r}")
    return times, cpu


def starts(bao, binary, runs):
    """Milliseconds from the key share to an active server, by number of mounts."""
    found = {0: [], 1: [], 5: []}
    with Server(bao, binary, "raft") as server:
        server.initialise()
        server.register()
        mounted = 0
        for count in found:
            while mounted < count:
                server.mount(f"m{mounted}", "landfast", "ec")
                mounted += 1
            for _ in range(runs):
                server.end()
                server.start()
                found[count].append(server.unseal())
    return {count: statistics.median(times) for count, times in found.items()}


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def arguments_of(doc, page, **counts):
    """What every measurement takes, a function that holds a figure against its budget, and its table's rows.

    Each of `counts` is an option of this measurement: what it counts, how many there are usually, and how many with --quick.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bao", default=os.environ.get("BAO_BIN") or os.environ.get("VAULT_BIN")
                        or str(ROOT / ".tools/openbao/2.7.2/bao"))
    parser.add_argument("--binary", default=str(ROOT / "target/release/landfast"))
    parser.add_argument("--output", default=str(ROOT / page), help="the page to write")
    parser.add_argument("--quick", action="store_true", help="less of everything, for a look; writes no page")
    for name, (what, usual, quick) in counts.items():
        parser.add_argument(f"--{name}", type=int, help=f"{what} ({usual:,}, with --quick {quick:,})")
    arguments = parser.parse_args()
    for name, (_, usual, quick) in counts.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, quick if arguments.quick else usual)
    for what, path in (("server", arguments.bao), ("binary", arguments.binary)):
        if not os.access(path, os.X_OK):
            raise SystemExit(f"no {what} at {path}: run `make tools build`, or set BAO_BIN")
    rows = []

    def row(figure, budget, value, unit="", digits=2, least=False):
        """A budget is the most that a figure may be, or the least; None where there is none."""
        if budget is None:
            rows.append((figure, "", f"{value:.{digits}f}{unit}", ""))
            print(f"     {figure}: {value:.{digits}f}{unit}", flush=True)
            return
        met = value >= budget if least else value <= budget
        rows.append((figure, f"{'≥' if least else '≤'} {budget}{unit}", f"{value:.{digits}f}{unit}", "yes" if met else "**no**"))
        print(f"{'ok  ' if met else 'OVER'} {figure}: {value:.{digits}f}{unit} (budget {budget}{unit})", flush=True)

    return arguments, row, rows


def written(arguments, rows, lines):
    """Writes the page, unless the run was for a look. The exit code: 1 where a budget is not met."""
    if not arguments.quick:
        pathlib.Path(arguments.output).write_text("\n".join(lines))
        print(f"written: {arguments.output}")
    return int(any(line[3] == "**no**" for line in rows))


def machine(version):
    """What was measured on which machine, without the full stop."""
    model = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown")
    return f"OpenBao {version}, {datetime.date.today()}, {os.cpu_count()} CPUs ({model}), Linux {platform.release()}"


def table(rows, picture):
    """The rows as Markdown; bench/plots.py draws the picture from them."""
    return ["## Budgets", "", f"![How much of each budget is used]({picture})", "", "| figure | budget | measured | met |", "| --- | --- | --- | --- |",
            *(f"| {' | '.join(line)} |" for line in rows)]


def main():
    arguments, row, rows = arguments_of(__doc__, "docs/performance.md")
    build_load()
    quick = arguments.quick
    rounds, requests, total = (3, 600, 6000) if quick else (7, 3000, 100_000)
    times, cpu = handshakes(arguments.binary, 5 if quick else 21)
    row("exec to handshake line, ms, median", 10, statistics.median(times), digits=1)

    with Server(arguments.bao, arguments.binary, stanza="raw_storage_endpoint = true\n") as server:
        server.register()
        for path, kind, key in (("builtin", "pki", "ec"), ("ours", "landfast", "ec"),
                                ("builtin-rsa", "pki", "rsa"), ("ours-rsa", "landfast", "rsa")):
            server.mount(path, kind, key)
        version = server.call("GET", "sys/health")[1]["version"]
        ec, rsa = ("builtin", "ours"), ("builtin-rsa", "ours-rsa")
        at16 = pkiload(server, ec, "nostore", requests=requests, rounds=rounds)
        at1 = pkiload(server, ec, "nostore", clients=1, requests=requests // 3, rounds=rounds)
        signed = pkiload(server, rsa, "nostore", op="sign", requests=requests // 2, rounds=rounds)
        floors = [run["p256_keygen_and_sign_us"] for run in (at16, at1, signed)]
        plugin = at16["ours"]["cpu_ms_per_1000_by_process"]["landfast"]
        row("plugin CPU per P-256 issue ÷ bare key generation and signature (ring), 16 clients", 4, plugin / floors[0])
        row("host + plugin CPU per P-256 issue without storing ÷ built-in, 16 clients", 0.85,
            at16["ours"]["ratio_to_first"]["cpu"]["median"])
        row("p50 at 1 client ÷ built-in", 1.6, at1["ours"]["ratio_to_first"]["p50"]["median"])
        row("p99 at 16 clients ÷ built-in", 0.4, at16["ours"]["latency_ms"]["p99"] / at16["builtin"]["latency_ms"]["p99"])
        row("sign a P-256 request under an RSA-2048 CA, total CPU ÷ built-in, 16 clients", 0.5,
            signed["ours"]["ratio_to_first"]["cpu"]["median"])

        ahead = from_pool(server, *rsa)
        row("p50 of an RSA-2048 issue from keys made ahead ÷ built-in, 1 client", 0.1, ahead[2])

        for mount in ("builtin-crl", "ours-crl"):
            server.mount(mount, "landfast" if mount.startswith("ours") else "pki", "ec")
        der = large_crl()
        for mount in ("builtin-crl", "ours-crl"):
            store_crl(server, mount, der)
        server.call("PUT", "sys/plugins/reload/backend", {"mounts": ["ours-crl/"]})
        fetched = pkiload(server, ("builtin-crl/crl", "ours-crl/crl"), None, op="get", requests=requests // 20, rounds=rounds, checked=0)
        row(f"fetch a CRL of {len(der) / 1e6:.1f} MB, total CPU ÷ built-in, 16 clients", 2,
            fetched["ours"]["ratio_to_first"]["cpu"]["median"])

        # Stored certificates make the dev server's heap grow, so they come last.
        revoked = {clients: revoking(server, ec, clients, requests // 20, rounds) for clients in (1, 16)}
        for clients, used in revoked.items():
            print(f"     revoke, total CPU ÷ built-in, {clients} at a time: {ratio(used, *ec):.2f} (no budget yet)", flush=True)
        stored = pkiload(server, ec, "stored", requests=requests // 3, rounds=rounds)
        bounded = ["--max-seconds", "300"]
        before = server.plugin_rss()
        pkiload(server, ("ours", "ours"), "nostore", requests=total // 4, rounds=1, extra=bounded)
        half = server.plugin_rss()
        pkiload(server, ("ours", "ours"), "nostore", requests=total // 4, rounds=1, extra=bounded)
        after = server.plugin_rss()
        row(f"plugin RSS after {total:,} more certificates, MiB", 20, after, digits=1)
        row("growth of it over the last half, MiB", 1, after - half)

    # A server of its own: what misbehaves leaves much behind.
    with Server(arguments.bao, arguments.binary) as server:
        server.register()
        waited = waits(server, load, {"builtin": "pki", "ours": "landfast"}, 2 if quick else 8)
        row("longest wait while another mount's client misbehaves, ms", 50, max(waited["ours"].values()), digits=1)
        print(f"     built-in: {max(waited['builtin'].values()):.1f} ms")

    at = starts(arguments.bao, arguments.binary, 3 if quick else 7)
    row("time to active that five mounts add ÷ that one adds", 2, (at[5] - at[0]) / max(at[1] - at[0], 0.1))

    steady = max(floors) / min(floors)
    if steady > 1.15:
        print(f"warning: this machine's speed moved by {100 * (steady - 1):.0f} % during the run: measure again")
    return written(arguments, rows, page(rows, version, floors, times, cpu, at16, at1, signed, stored, fetched, revoked, waited, ahead,
                                         (before, half, after), at, total))


def page(rows, version, floors, times, cpu, at16, at1, signed, stored, fetched, revoked, waited, ahead, rss, at, total):
    def figures(name, run, who):
        target = run[who]
        latency, used = target["latency_ms"], target["cpu_ms_per_1000"]
        processes = ", ".join(f"{process} {value / 1000:.3f}" for process, value
                              in target["cpu_ms_per_1000_by_process"].items() if value >= 0.5)
        return (f"| {name} | {'built-in' if who == 'builtin' else 'landfast'} | {target['rps']['median']:,.0f} "
                f"| {latency['p50']:.2f} | {latency['p99']:.2f} | {used['median'] / 1000:.3f} "
                f"[{used['min'] / 1000:.3f}-{used['max'] / 1000:.3f}] | {processes} |")

    steady = 100 * (max(floors) / min(floors) - 1)
    return [
        "# Performance",
        "",
        "Made by `make bench`. The built-in `pki` engine and landfast are mounted in one server; every comparison is one",
        "run of `bench/pkiload` that alternates between them. Only the ratios carry over to other machines.",
        "",
        f"{machine(version)}; server, plugin and client share them.",
        f"Bare P-256 key generation and signature (ring): {min(floors):.1f} to {max(floors):.1f} µs during the run"
        f"{'' if steady <= 15 else ' (**the machine was not steady: measure again**)'}.",
        "",
        *table(rows, "performance.svg"),
        "",
        "The storage calls of a warm issue are counted exactly, without a clock, by a test of the `plugin` crate: none",
        "without storing, one write with.",
        "",
        "## Figures behind them",
        "",
        "![CPU per request beside the built-in engine](performance-requests.svg)",
        "",
        "| run | engine | req/s | p50 ms | p99 ms | CPU ms per request [min-max] | by process |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, run in (("issue P-256, not stored, 16 clients", at16), ("issue P-256, not stored, 1 client", at1),
                      ("sign P-256 under RSA-2048, 16 clients", signed), ("issue P-256, stored, 16 clients", stored),
                      ("fetch a CRL of 1.5 MB, 16 clients", fetched)):
        lines += [figures(name, run, "builtin"), figures(name, run, "ours")]
    lines += [
        "",
        "CPU ms for one revocation of a certificate that was just issued, its CRL built anew and stored, server and plugin together:",
        "",
        "| clients | built-in | landfast | ratio |",
        "| --- | --- | --- | --- |",
        *(f"| {clients} | {' | '.join(spread(used[mount], 2) for mount in used)} | {ratio(used, 'builtin', 'ours'):.2f} |"
          for clients, used in revoked.items()),
        "",
        "Longest wait, in ms, of somebody who reads the CA certificate of a mount every 2 ms, while a client of another mount sends this",
        "without a pause:",
        "",
        "| what | built-in | landfast |",
        "| --- | --- | --- |",
        *(f"| {what} | {waited['builtin'][what]:.1f} | {waited['ours'][what]:.1f} |" for what in waited["ours"]),
    ]
    lines += [
        "",
        f"RSA-2048 issue, one client: built-in {spread(ahead[0])} ms, landfast with `config/key-pool` {spread(ahead[1])} ms.",
        "",
        f"Exec to handshake: {spread(times)} ms, CPU {statistics.mean(cpu):.1f} ms, over {len(times)} starts. "
        "Why it is not 30 ms more: SECURITY.md, \"Randomness\".",
        "",
        f"Plugin memory: {rss[0]:.1f} MiB before the last {total:,} certificates, {rss[1]:.1f} MiB at half, {rss[2]:.1f} MiB after.",
        "",
        f"Key share to active server (raft on disk, median): {at[0]:.0f} ms without a mount, {at[1]:.0f} ms with one, "
        f"{at[5]:.0f} ms with five.",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
