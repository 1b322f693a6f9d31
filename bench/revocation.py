"""What revoking and fetching CRLs costs: measured by bench/run.py beside the built-in engine."""

import base64
import concurrent.futures
import pathlib
import statistics
import subprocess
import tempfile
import time

#: Revocations on the CRL that is fetched: 1.5 MB.
LISTED = 40_000


def cpu(pids):
    """Seconds on a CPU of processes with all their threads, to the nanosecond."""
    # The clock that clock_getcpuclockid(3) names.
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def revoking(server, mounts, clients, count, rounds):
    """Milliseconds of CPU of server and plugin for one revocation, a list for each mount. Mounts alternate."""
    pids = [server.process.pid, *server.plugins()]
    used = {mount: [] for mount in mounts}
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for _ in range(rounds):
            for mount in mounts:
                def issue(number, mount=mount):
                    body = {"common_name": f"host-{number}.example.com", "ttl": "1h"}
                    return server.call("POST", f"{mount}/issue/stored", body)[1]["data"]["serial_number"]

                def revoke(serial, mount=mount):
                    server.call("POST", f"{mount}/revoke", {"serial_number": serial})

                serials = list(pool.map(issue, range(count)))
                before = cpu(pids)
                list(pool.map(revoke, serials))
                used[mount].append(1000 * (cpu(pids) - before) / count)
    return used


def large_crl():
    """A CRL of [`LISTED`] revocations in DER, of an authority of its own: nobody but its reader looks into it."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        folder / "key", "-out", folder / "cert", "-subj", "/CN=large", "-days", "30"], check=True, capture_output=True)
        lines = (f"R\t301231235959Z\t261101000000Z\t{1 << 156 | number:040X}\tunknown\t/CN=x\n" for number in range(LISTED))
        (folder / "index").write_text("".join(lines))
        (folder / "config").write_text(
            f"[ca]\ndefault_ca=one\n[one]\ndatabase={folder}/index\ndefault_md=sha256\ndefault_crl_days=30\n")
        subprocess.run(["openssl", "ca", "-gencrl", "-config", folder / "config", "-keyfile", folder / "key", "-cert", folder / "cert",
                        "-out", folder / "crl"], check=True, capture_output=True)
        return subprocess.run(["openssl", "crl", "-in", folder / "crl", "-outform", "DER"], check=True, capture_output=True).stdout


def store_crl(server, mount, der):
    """Puts a CRL where the mount's own lies. The server needs `raw_storage_endpoint`."""
    uuid = server.call("GET", f"sys/mounts/{mount}")[1]["data"]["uuid"]
    folder = f"sys/raw/logical/{uuid}/crls"
    names = server.call("LIST", folder)[1]["data"]["keys"]
    name = next(name for name in names if name != "config" and not name.endswith("-delta"))
    server.call("PUT", f"{folder}/{name}", {"value": base64.b64encode(der).decode(), "encoding": "base64"})


def ratio(used, builtin, ours):
    """Of the medians."""
    return statistics.median(used[ours]) / statistics.median(used[builtin])
