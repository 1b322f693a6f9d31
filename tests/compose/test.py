"""Brings the development stack up, takes parts of it away, and looks whether it
comes back: `minimal` and `ha`; runs the commands of docs/compose.md, the same stack
as plain processes, and looks at the image. Run by run.sh, which builds the images."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import yaml
from image import image
from stack import ENGINE, FOLDER, ROOT, Stack, composer, eventually, run

# What the server holds that a second run of init could change.
STATE = (
    ("list", "pki/issuers"),
    ("read", "pki/roles/hybrid-node"),
    ("read", "sys/mounts"),
    ("read", "sys/auth"),
    ("list", "sys/policies/acl"),
    ("read", "auth/approle/role/node-1/role-id"),
    ("list", "auth/approle/role/node-1/secret-id"),
    ("read", "auth/approle/role/node-1"),
)


def told(text):
    print(f"compose: {text}", flush=True)


def up(stack):
    """Starts everything; the seconds until the node has its session."""
    start = time.monotonic()
    stack("up", "-d")
    key = eventually("the node has its session", stack.session, 120)
    seconds = time.monotonic() - start
    assert stack.ended("enrol") == 0 and "new key and certificate" in stack.log("enrol"), stack.log("enrol")
    assert key.startswith("ASIALAB"), key
    return seconds


def nobody_is_root(stack):
    for container in stack.containers()["containers"]:
        described = json.loads(run(ENGINE, "inspect", container))[0]
        host = described["HostConfig"]
        name = described["Name"]
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"], name
        assert host["Memory"] > 0 and host["NanoCpus"] > 0 and host["PidsLimit"], name
        for bindings in (host["PortBindings"] or {}).values():
            assert all(binding["HostIp"] == "127.0.0.1" for binding in bindings), (name, bindings)
        if described["State"]["Running"]:
            lines = run(ENGINE, "top", container, "-eo", "pid,uid").splitlines()[1:]
            users = {line.split()[1] for line in lines}
            assert users and "0" not in users, (name, users)


def what_init_made(stack):
    def held(command):
        answer = stack.bao(*command)
        # Around the data of `read` stand the ids of the request.
        return answer["data"] if command[0] == "read" else answer

    return json.dumps({" ".join(command): held(command) for command in STATE}, sort_keys=True)


def init_again(stack):
    """A second `up` changes nothing, and says so."""
    before = what_init_made(stack)
    stack("up", "-d")
    assert stack.changes() == 0, stack.log("init")
    assert what_init_made(stack) == before
    told("init ran again and changed nothing")


def restart_all(stack, servers):
    since = run("date", "+%Y-%m-%dT%H:%M:%S.%NZ", "-u").strip()
    start = time.monotonic()
    stack("restart")
    for server in servers:
        eventually(f"{server} unseals by itself", lambda: stack.unsealed(server), 120)
    eventually("the node has a new session", lambda: stack.session(since), 120)
    assert stack.changes() == 0, stack.log("init")
    stack.renew()
    told(f"everything was restarted, unsealed by itself and went on after {time.monotonic() - start:.0f} s")


def public(stack, path):
    """What strangers get; None while they get nothing."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['FRONT_PORT']}/{path}", timeout=10) as answer:
            return answer.read()
    except OSError:
        return None


def gone(stack):
    stack("down", "-v")
    left = stack.containers()
    assert not any(left.values()), left
    told("`down -v` left nothing")


def minimal():
    with Stack("minimal") as stack:
        told(f"minimal: {up(stack):.1f} s from `up` to the node's session")
        nobody_is_root(stack)
        assert stack.changes() > 0
        init_again(stack)
        stack.renew()
        told("the node renewed")

        crl = eventually("the front has a CRL", lambda: public(stack, "crl"), 30)
        run(ENGINE, "kill", stack.container("server"))
        assert public(stack, "crl") == crl
        stack("up", "-d")
        eventually("the server unseals by itself", stack.unsealed, 60)
        stack.renew()
        told("the server was killed, its CRL stayed there for everybody, it came back unsealed, and the node renewed")

        restart_all(stack, ["server"])
        gone(stack)


def ha():
    servers = ["server", "server-2", "server-3"]
    with Stack("ha", ["ha"]) as stack:
        told(f"ha: {up(stack):.1f} s from `up` to the node's session")

        def voters():
            peers = stack.bao("operator", "raft", "list-peers", server=alive[0])["data"]["config"]["servers"]
            return sorted(peer["node_id"] for peer in peers if peer["voter"])

        alive = servers
        eventually("three voters", lambda: voters() == sorted(servers), 90)
        nobody_is_root(stack)
        init_again(stack)

        leader = stack.bao("read", "sys/leader")["data"]["leader_address"]
        active = re.fullmatch(r"https://(.*):8200", leader)[1]
        alive = [server for server in servers if server != active]
        run(ENGINE, "kill", stack.container(active))
        start = time.monotonic()
        stack.renew()
        told(f"the active server, {active}, was killed, and the node renewed through the others after {time.monotonic() - start:.0f} s")
        stack("up", "-d")
        eventually(f"{active} unseals by itself", lambda: stack.unsealed(active), 60)
        assert stack.changes() == 0, stack.log("init")

        restart_all(stack, servers)
        eventually("three voters", lambda: voters() == sorted(servers), 90)
        gone(stack)


def observe():
    """Prometheus has numbers for every query of the dashboard, and its alarms go off."""
    board = json.loads((FOLDER / "observe" / "grafana" / "dashboards" / "landfast.json").read_text())
    with Stack("observe", ["observe"]) as stack:
        # Without Grafana, which no Debian package has.
        stack("up", "-d", "node", "prometheus", "node-exporter")

        def ask(path, **query):
            address = f"http://127.0.0.1:{stack.ports['PROMETHEUS_PORT']}/api/v1/{path}?{urllib.parse.urlencode(query)}"
            try:
                with urllib.request.urlopen(address, timeout=10) as answer:
                    return json.load(answer)["data"]
            except urllib.error.URLError as error:
                raise AssertionError(f"{path}: {error}") from error

        def firing():
            return {alert["labels"]["alertname"] for alert in ask("alerts")["alerts"] if alert["state"] == "firing"}

        targets = lambda: {target["labels"]["job"]: target["health"] for target in ask("targets")["activeTargets"]}
        eventually("servers and nodes answer", lambda: targets() == {"openbao": "up", "pki": "up", "node": "up"})
        queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
        for query in queries:
            eventually(query, lambda: ask("query", query=query)["result"], 90)
        rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
        assert rules and all(rule["health"] == "ok" for rule in rules), rules
        # A rule for what nobody counts would never go off.
        eventually("no alarm", lambda: not firing())
        told(f"the dashboard's {len(queries)} queries have numbers, and none of {len(rules)} alarms is on")

        run(ENGINE, "kill", stack.container("kms"))
        # A snapshot's sums are wrapped by the seal.
        stack.bao("operator", "raft", "snapshot", "save", "/tmp/snapshot", check=False)
        eventually("SealFails goes off", lambda: "SealFails" in firing(), 90)
        run(ENGINE, "kill", stack.container("server"))
        eventually("NoActiveServer goes off", lambda: "NoActiveServer" in firing(), 90)
        told("without AWS KMS and without a server, alarms went off")
        gone(stack)


def vault():
    """The variant on Vault with OpenBao in Vault's place, whose image has a `vault`, too:
    seal by the unseal server, registration in the catalogue."""
    run(ENGINE, "tag", "landfast-openbao:0.1.0", "landfast-vault:0.1.0")
    try:
        with Stack("vault", files=("compose.yaml", "compose.vault.yaml")) as stack:
            up(stack)
            assert stack.bao("status")["type"] == "transit"
            assert "init: plugin landfast" in stack.log("init")
            stack("restart", "server", "unseal")
            eventually("the server unseals by itself", stack.unsealed, 60)
            gone(stack)
    finally:
        run(ENGINE, "rmi", "landfast-vault:0.1.0")
    told("the variant on Vault came up with OpenBao in Vault's place, sealed by the unseal server")


def page():
    """Every `sh` block of the page, in one shell, as a reader pastes them."""
    text = (ROOT / "docs" / "compose.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, "no commands"
    with Stack("page", ["ha"]) as stack:
        # The ports of the page may be taken here.
        script = "\n".join(blocks).replace("https://127.0.0.1:8200/", f"https://127.0.0.1:{stack.ports['SERVER_PORT']}/")
        script = script.replace("http://127.0.0.1:8080/", f"http://127.0.0.1:{stack.ports['FRONT_PORT']}/")
        assert all(str(stack.ports[name]) in script for name in ("SERVER_PORT", "FRONT_PORT"))
        # Where docker has no `compose`, its forerunner does the same.
        if composer() == ["docker-compose"]:
            script = 'docker() { if [ "$1" = compose ]; then shift; docker-compose "$@"; else command docker "$@"; fi; }\n' + script
        environment = {**stack.environment, "COMPOSE_PROJECT_NAME": stack.name}
        done = subprocess.run(["timeout", "300", "bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        left = stack.containers()
        assert not any(left.values()), left
    told(f"the {len(blocks)} blocks of docs/compose.md ran as they stand")


def hardened(name, service):
    """What every service has, whichever file it stands in."""
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
    assert "no-new-privileges:true" in service["security_opt"], name
    assert service["mem_limit"] and service["cpus"] and service["pids_limit"], name
    for forbidden in ("privileged", "network_mode", "pid", "ipc", "cap_add", "devices", "userns_mode"):
        assert forbidden not in service, (name, forbidden)
    assert service.get("user", "").split(":")[0] not in ("root", "0"), name
    # A tag that says which version, and no digest: nobody has seen one here.
    assert re.fullmatch(r"(docker\.io/[a-z-]+/)?[a-z-]+:v?\d+(\.\d+)+", service["image"]), (name, service["image"])
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z_\d]+:-\d+\}:\d+", port), (name, port)
    for volume in service.get("volumes", []):
        source, mode = volume.split(":")[0], volume.split(":")[-1]
        if source.startswith("."):
            place = (FOLDER / source).resolve()
            assert place.exists() and place.is_relative_to(FOLDER.parent) and mode == "ro", (name, volume)


def files():
    """Nothing listens beyond this machine, nobody is root, nothing is secret."""
    services = {}
    for file in ("compose.yaml", "compose.vault.yaml"):
        for name, service in yaml.safe_load((FOLDER / file).read_text())["services"].items():
            services[name] = {**services.get(name, {}), **service}
            hardened(name, services[name])
    # What else there is a parser sees, as it would be run.
    for more in ("compose.podman.yaml", "compose.vault.yaml"):
        run(*composer(), "-f", str(FOLDER / "compose.yaml"), "-f", str(FOLDER / more), "--profile", "ha", "--profile", "observe", "config", "-q")
    for path in [*FOLDER.rglob("*"), ROOT / "Containerfile"]:
        if path.is_file():
            content = path.read_text()
            assert "-----" + "BEGIN" not in content, path
            for word in re.findall(r"[A-Za-z0-9+/=_.-]{20,}", content):
                secret = re.match(r"(hv[sb]\.|[sb]\.[A-Za-z0-9]{20}|AKIA|ASIA)", word)
                digest = re.fullmatch(r"[0-9a-f]{40,}|(?=.*\d)(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/=]{40,}", word)
                assert not secret and not digest, (path, word)
    told("the files hold no secret, and nothing listens beyond loopback")


def processes():
    """`make lab`: the same without containers, with three servers; and it leaves nothing."""
    with tempfile.TemporaryDirectory() as folder:
        # Its own place for temporary files: short, for sockets lie in it.
        environment = {**os.environ, "SERVERS": "3", "TMPDIR": folder, "LANDFAST": os.environ["LANDFAST"]}
        lab = subprocess.Popen([ROOT / "scripts" / "lab.sh"], env=environment, text=True, start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said = []
            for line in lab.stdout:
                said.append(line)
                if line.startswith("Ctrl-C ends it"):
                    break
            else:
                raise AssertionError("".join(said))
            (place,) = Path(folder).iterdir()
            (address,) = re.findall(r"BAO_ADDR=(\S+) ", "".join(said))
            token = json.loads((place / "operator" / "init.json").read_text())["root_token"]
            bao = {"PATH": os.environ["PATH"], "HOME": folder, "BAO_ADDR": address, "BAO_CACERT": str(place / "public" / "ca.pem"),
                   "BAO_TOKEN": token, "BAO_FORMAT": "json"}

            def voters():
                peers = json.loads(run(str(place / "bin" / "bao"), "operator", "raft", "list-peers", env=bao))["data"]["config"]["servers"]
                return sorted(peer["node_id"] for peer in peers if peer["voter"]) == ["server", "server-2", "server-3"]

            eventually("three voters", voters, 90)
            assert "aws_session_token" in (place / "node" / "credentials").read_text()
        finally:
            lab.send_signal(signal.SIGTERM)
            lab.wait(30)
        assert not list(Path(folder).iterdir()), list(Path(folder).iterdir())
        # All of its processes were of its session.
        left = subprocess.run(["pgrep", "--session", str(lab.pid)], capture_output=True, text=True).stdout
        assert not left, left
    told("the same as plain processes, with three servers, came up and left nothing")


if __name__ == "__main__":
    tests = {"files": files, "image": image, "minimal": minimal, "ha": ha, "observe": observe, "vault": vault, "page": page, "processes": processes}
    for name in sys.argv[1:] or tests:
        tests[name]()
