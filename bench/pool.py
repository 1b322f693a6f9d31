"""What issuing under a role with RSA keys takes, from keys made ahead: measured by bench/run.py beside the built-in engine."""

import statistics
import time
import urllib.request

#: Keys that are kept ready, and certificates of each measurement.
KEPT = 60


def ready(server, mount):
    """RSA-2048 keys that the mount has ready."""
    request = urllib.request.Request(server.url(f"{mount}/metrics"), headers={"X-Vault-Token": server.token})
    with urllib.request.urlopen(request, timeout=60) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("landfast_pki_key_pool_ready{") and '"2048"' in line:
                return float(line.rsplit(" ", 1)[1])
    raise SystemExit(f"{mount}/metrics does not tell how many keys are ready")


def from_pool(server, builtin, ours):
    """Milliseconds of each `issue` of an RSA-2048 key, one client: the built-in engine's, and ours while the pool lasts."""
    role = {"allow_any_name": True, "key_type": "rsa", "key_bits": 2048, "no_store": True}
    for mount in (builtin, ours):
        server.call("POST", f"{mount}/roles/rsa", role)
    server.call("POST", f"{ours}/config/key-pool", {"rsa_2048": KEPT})
    taken = {}
    for mount in (builtin, ours):
        end = time.monotonic() + 300
        while mount == ours and ready(server, ours) < KEPT:
            if time.monotonic() > end:
                raise SystemExit("the pool was not filled within five minutes")
            time.sleep(0.2)
        times = taken[mount] = []
        # Fewer than are ready: more are made only when the process is idle.
        for number in range(KEPT // 2):
            began = time.perf_counter()
            server.call("POST", f"{mount}/issue/rsa", {"common_name": f"host-{number}.example.com", "ttl": "1h"})
            times.append(1000 * (time.perf_counter() - began))
    server.call("POST", f"{ours}/config/key-pool", {"rsa_2048": 0})
    return taken[builtin], taken[ours], statistics.median(taken[ours]) / statistics.median(taken[builtin])
