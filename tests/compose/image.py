"""The image landfast: the same to the byte when it is built again, what it says of
itself, and that OpenBao fetches it from a registry and runs it as a plugin."""

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import tomllib
import urllib.request
from pathlib import Path

from stack import ENGINE, ROOT, eventually, free_ports, run

IMAGES = Path(os.environ.get("IMAGES_DIR", ROOT / "target" / "images"))
LAYOUT = IMAGES / "landfast.tar"
BAO = ROOT / ".tools" / "openbao" / "2.7.2" / "bao"


class Layout:
    """An OCI image layout in a file."""

    def __init__(self, path):
        with tarfile.open(path) as archive:
            self.files = {entry.name: archive.extractfile(entry).read() for entry in archive.getmembers()}
        self.digest = json.loads(self.files["index.json"])["manifests"][0]["digest"]
        self.manifest = json.loads(self.blob(self.digest))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))

    def blob(self, digest):
        return self.files["blobs/" + digest.replace(":", "/")]


def again():
    """Built anew from the same binary, elsewhere and later."""
    first = Layout(LAYOUT)
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder) / "context"
        # Neither copied times nor old layers: what an engine takes from there shows.
        shutil.copytree(IMAGES / "context", context, copy_function=shutil.copy)
        arguments = [word for name in ("version", "revision")
                     for word in ("--build-arg", f"{name.upper()}={first.config['config']['Labels'][f'org.opencontainers.image.{name}']}")]
        name = f"landfast-again:{os.getpid()}"
        run(ENGINE, "build", "--no-cache", "--quiet", "--file", str(ROOT / "Containerfile"), "--target", "landfast", "--tag", name, *arguments, str(context))
        try:
            raw = [json.loads(run(ENGINE, "image", "inspect", image))[0]["Id"] for image in (name, "landfast:0.1.0")]
            out = Path(folder) / "again.tar"
            digest = run("python3", str(ROOT / "scripts" / "image-layout.py"), name, str(out)).strip()
        finally:
            run(ENGINE, "rmi", "--force", name)
        assert digest == first.digest, (digest, first.digest)
        assert Layout(out).manifest == first.manifest
    engine = "the engine's own images differ, by the time of the build" if raw[0] != raw[1] else "the engine's own images are equal, too"
    print(f"compose: two builds are one image, {digest} ({engine})", flush=True)


def labels():
    """Not root, one file at the root as entry point, labels, and what it is made of."""
    image = Layout(LAYOUT)
    config = image.config["config"]
    assert config["User"] == "65532:65532" and config["Entrypoint"] == ["/landfast"], config
    for label in ("title", "description", "licenses", "version", "revision"):
        assert config["Labels"][f"org.opencontainers.image.{label}"], label
    found = {}
    for layer in image.manifest["layers"]:
        data = image.blob(layer["digest"])
        assert "sha256:" + hashlib.sha256(data).hexdigest() == layer["digest"]
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            with tarfile.open(fileobj=file) as archive:
                for entry in archive.getmembers():
                    if entry.isreg() and entry.name.startswith(("landfast", "usr/share/doc/landfast/")):
                        found[entry.name] = archive.extractfile(entry).read()
    assert found["landfast"] == (IMAGES / "context" / "landfast").read_bytes()
    materials(json.loads(found["usr/share/doc/landfast/landfast.cdx.json"]))
    print(f"compose: the image has {sum(layer['size'] for layer in image.manifest['layers']) / 1e6:.0f} MB", flush=True)


def materials(bom):
    """Every crate stands in the lock file with this checksum, and everything that one needs is there."""
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    locked = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}
    assert bom["bomFormat"] == "CycloneDX" and bom["specVersion"] == "1.6"
    named = {bom["metadata"]["component"]["bom-ref"]}
    for entry in bom["components"]:
        checksum = entry.get("hashes", [{}])[0].get("content")
        assert locked[entry["name"], entry["version"]] == checksum, entry
        assert entry["licenses"] and entry["purl"] == entry["bom-ref"], entry
        named.add(entry["bom-ref"])
    assert len(named) == len(bom["components"]) + 1
    needs = {edge["ref"]: set(edge["dependsOn"]) for edge in bom["dependencies"]}
    assert set(needs) == named and all(need <= named for need in needs.values())
    names = {entry["name"] for entry in bom["components"]}
    assert {"aws-lc-sys", "rustls", "tokio", "landfast-plugin"} <= names
    # Tests and macros are not in the binary, nor what only features of others would bring.
    assert not {"proptest", "insta", "serde_derive", "ring"} & names


class Registry(http.server.BaseHTTPRequestHandler):
    """Pull, of the OCI Distribution Specification 1.1, for one image."""

    image = None

    def do_GET(self):
        manifest = self.image.manifest["mediaType"]
        try:
            if self.path == "/v2/":
                return self.answer("application/json", b"{}")
            _, kind, name = self.path.rsplit("/", 2)
            if kind == "manifests":
                name = self.image.digest if not name.startswith("sha256:") else name
                return self.answer(manifest, self.image.blob(name), name)
            return self.answer("application/octet-stream", self.image.blob(name), name)
        except KeyError:
            self.send_error(404)

    do_HEAD = do_GET

    def answer(self, kind, content, digest=None):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def plugin():
    """OpenBao fetches the very image and runs what is in it. Its client speaks plain
    HTTP to a loopback address, as all of its kind: nothing is switched off for that."""
    Registry.image = Layout(LAYOUT)
    registry = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        plugins = Path(folder) / "plugins"
        plugins.mkdir(mode=0o755)
        config = Path(folder) / "server.hcl"
        config.write_text(f"""
plugin_directory         = "{plugins}"
plugin_auto_download     = true
plugin_auto_register     = true
plugin_download_behavior = "fail"
plugin_download_max_size = 2000000000
plugin "secret" "landfast" {{
  image = "127.0.0.1:{registry.server_port}/landfast:v0.1.0@{Registry.image.digest}"
}}
""")
        environment = {"HOME": folder, "PATH": os.environ["PATH"], "BAO_ADDR": address, "BAO_TOKEN": "root", "BAO_FORMAT": "json"}
        with open(Path(folder) / "log", "w+") as log:
            server = subprocess.Popen(
                [BAO, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{port}", f"-config={config}"],
                stdout=log, stderr=log, env=environment)
            try:
                bao = lambda *command: run(str(BAO), *command, env=environment)

                def ready():
                    assert server.poll() is None, Path(log.name).read_text()
                    return bao("read", "sys/health")

                eventually("the server fetched the plugin and came up", ready, 90)
                bao("secrets", "enable", "-path=pki", "landfast")
                mount = json.loads(bao("read", "sys/mounts/pki"))["data"]
                assert mount["running_plugin_version"] == "v0.1.0", mount
                bao("write", "pki/root/generate/internal", "common_name=From an image", "key_type=ec")
                # What runs is the binary of the image, and no other: the server has nothing else.
                (file,) = (file for file in plugins.rglob("*") if file.is_file() and not file.is_symlink())
                assert file.read_bytes() == (IMAGES / "context" / "landfast").read_bytes(), file
            finally:
                server.terminate()
                server.wait(30)
                registry.shutdown()
    print("compose: OpenBao fetched the image from a registry by its digest, and runs it", flush=True)


def image():
    labels()
    again()
    plugin()
