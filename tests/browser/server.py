"""A development server with landfast registered in the place of its own `pki`, gone when the test ends."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = "root-of-the-test"
POLICY = 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }'


class Server:
    """The server; a context manager."""

    def __init__(self, binary, landfast, folder):
        self.folder = folder
        self.version = "v" + run(landfast, "--version").split()[1]
        self.release = run(binary, "version").split()[1]
        plugins = folder / "plugins"
        plugins.mkdir()
        shutil.copy(landfast, plugins / "landfast")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        config = folder / "server.json"
        config.write_text(json.dumps({"ui": True, "plugin_directory": str(plugins)}))
        self.log_file = folder / "server.log"
        with self.log_file.open("w") as log:
            self.process = subprocess.Popen(
                [binary, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT}",
                 f"-dev-listen-address=127.0.0.1:{port}", f"-config={config}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | {"HOME": str(folder)},
            )
        try:
            self.prepare(plugins / "landfast")
        except BaseException:
            self.__exit__()
            raise

    def prepare(self, plugin):
        """Waits for the server, registers the plugin and makes the token of the person at the browser."""
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.call("GET", "sys/health")["sealed"] is False:
                    break
            except (OSError, urllib.error.URLError):
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the server did not start:\n{self.log()}")
            time.sleep(0.1)
        digest = hashlib.sha256(plugin.read_bytes()).hexdigest()
        self.call("POST", "sys/plugins/catalog/secret/pki",
                  {"sha256": digest, "command": "landfast", "version": self.version})
        self.call("POST", "sys/policies/acl/person", {"policy": POLICY})
        # The console forgets a root token with the page; one that ends is kept.
        token = self.call("POST", "auth/token/create-orphan", {"policies": ["person"], "ttl": "8h"})
        self.person = token["auth"]["client_token"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def call(self, method, path, body=None):
        """One request as root; what came back as JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}/v1/{path}", data, {"X-Vault-Token": ROOT}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else {}

    def csr(self, name):
        """A certificate request by openssl."""
        return run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", os.devnull, "-subj", f"/CN={name}")

    def log(self):
        """What the server has logged."""
        return self.log_file.read_text(errors="replace")


def run(*command):
    """What a program prints."""
    return subprocess.run(command, check=True, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
