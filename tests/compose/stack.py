"""The development stack, driven as a person drives it: by docker compose."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "vault-config" / "compose"
ENGINE = os.environ.get("ENGINE", "docker")


def run(*command, check=True, **options):
    """The output of a command. Shows what went wrong, if anything did."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def composer():
    """`docker compose` where there is one, else docker-compose."""
    new = subprocess.run([ENGINE, "compose", "version"], capture_output=True).returncode == 0
    return [ENGINE, "compose"] if new else ["docker-compose"]


def free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def eventually(what, look, seconds=60):
    """What `look` gives, as soon as that is something; it may fail until then."""
    end, trouble = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except (AssertionError, KeyError, ValueError) as error:
            trouble = error
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}" + (f"\n{trouble}" if trouble else ""))


class Stack:
    """One project, on ports of its own, so that it may run beside another."""

    PORTS = ("SERVER_PORT", "SERVER_2_PORT", "SERVER_3_PORT", "LAB_PORT", "FRONT_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")

    def __init__(self, name, profiles=(), files=("compose.yaml",)):
        self.name = f"landfast-test-{name}-{os.getpid()}"
        self.ports = dict(zip(self.PORTS, free_ports(len(self.PORTS))))
        self.environment = {**os.environ, **{name: str(port) for name, port in self.ports.items()}}
        # The oldest docker-compose takes profiles before the command only.
        self.compose = [*composer(), "-p", self.name]
        self.compose += [word for file in files for word in ("-f", str(FOLDER / file))]
        self.compose += [word for profile in profiles for word in ("--profile", profile)]

    def __call__(self, *command, **options):
        return run(*self.compose, *command, env=self.environment, **options)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self("ps", check=False))
            for service in ("init", "server", "server-2", "server-3", "lab", "enrol", "renew", "node"):
                print(self("logs", "--no-color", "--tail", "25", service, check=False))
        self("down", "-v", "--remove-orphans", check=False)

    def container(self, service):
        """The id of a service's container, running or not."""
        found = run(ENGINE, "ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}",
                    "--filter", f"label=com.docker.compose.service={service}").split()
        assert len(found) == 1, f"{service}: {found}"
        return found[0]

    def containers(self):
        """All that this project has left, by kind."""
        label = f"label=com.docker.compose.project={self.name}"
        return {
            "containers": run(ENGINE, "ps", "-aq", "--filter", label).split(),
            "volumes": run(ENGINE, "volume", "ls", "-q", "--filter", label).split(),
            "networks": run(ENGINE, "network", "ls", "-q", "--filter", label).split(),
        }

    def log(self, service, since=None):
        """What a service wrote, both streams."""
        after = ["--since", since] if since else []
        done = subprocess.run([ENGINE, "logs", *after, self.container(service)], capture_output=True, text=True)
        return done.stdout + done.stderr

    def ended(self, service):
        """The exit code of a service that runs once, when it has ended."""
        state = json.loads(run(ENGINE, "inspect", self.container(service)))[0]["State"]
        return None if state["Running"] else state["ExitCode"]

    def changes(self):
        """How much the last run of init changed."""
        def last():
            assert self.ended("init") == 0, self.log("init")
            return re.findall(r"^init: (\d+) changes$", self.log("init"), re.MULTILINE)
        return int(eventually("init ends", last)[-1])

    def bao(self, *command, server="server", check=True):
        """`bao` in a server's container, as root of OpenBao; the answer as JSON, unless
        the command may fail (`check`)."""
        volume = f"{self.name}_operator"
        done = json.loads(run(ENGINE, "run", "--rm", "--network", "none", "--read-only", "-v", f"{volume}:/keys:ro",
                              "landfast-openbao:0.1.0", "-c", "cat /keys/init.json"))
        # The token on standard input: arguments are for everybody to read.
        script = 'read -r BAO_TOKEN; export BAO_TOKEN BAO_FORMAT=json; exec bao "$@"'
        out = run(ENGINE, "exec", "-i", self.container(server), "sh", "-c", script, "sh", *command,
                  input=done["root_token"] + "\n", check=check)
        return json.loads(out) if check else None

    def unsealed(self, server="server"):
        return subprocess.run([ENGINE, "exec", self.container(server), "bao", "status"], capture_output=True).returncode == 0

    def session(self, since=None):
        """The access key of the node's latest session."""
        found = re.findall(r"session (ASIA\w+) in profile default", self.log("node", since))
        return found[-1] if found else None

    def serial(self):
        """The serial number of the node's certificate."""
        text = run(ENGINE, "exec", self.container("renew"), "/landfast", "read-certificate-data",
                   "--certificate", "/etc/iam/pki/server.pem")
        return json.loads(text)["serialNumber"]

    def renew(self):
        """The node renews now."""
        before = self.serial()
        run(ENGINE, "kill", "--signal", "HUP", self.container("renew"))
        return eventually("the node renews", lambda: self.serial() != before and self.serial(), 90)
