#!/usr/bin/env python3
"""Makes an image the same to the byte, whoever built it and when.

    scripts/image-layout.py IMAGE OUT.tar

Reads IMAGE from the engine (`docker save`), and writes an OCI image layout that
`docker load` takes, too. What an engine adds by itself goes: the time of the build,
the builder's own fields, times and owners' names of files, the order of files. What
remains is given by the Containerfile and its context. SOURCE_DATE_EPOCH is the
time of everything (default: the last commit's). Prints the manifest's digest, by which
a registry and OpenBao name the image.
"""

import datetime
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENGINE = os.environ.get("ENGINE", "docker")
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def epoch():
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or subprocess.check_output(["git", "log", "-1", "--format=%ct"], cwd=ROOT))


def compact(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(data, time):
    """The same files, in the order of their names, none newer than the commit."""
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as source, tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as sink:
        for entry in sorted(source.getmembers(), key=lambda entry: entry.name):
            entry.mtime = min(int(entry.mtime), time)
            entry.uname = entry.gname = ""
            entry.pax_headers = {name: value for name, value in entry.pax_headers.items() if name.startswith("SCHILY.xattr.")}
            sink.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
    return out.getvalue()


def read(image):
    """Configuration and layers of an image of the engine."""
    with subprocess.Popen([ENGINE, "save", image], stdout=subprocess.PIPE) as saved:
        whole = io.BytesIO(saved.stdout.read())
    if saved.returncode:
        sys.exit(saved.returncode)
    with tarfile.open(fileobj=whole) as archive:
        (entry,) = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(entry["Config"]))
        return config, [archive.extractfile(name).read() for name in entry["Layers"]]


def plain(config, layers, time):
    """The configuration as the specification has it, and nothing of the builder."""
    stamp = datetime.datetime.fromtimestamp(time, datetime.UTC if hasattr(datetime, "UTC") else datetime.timezone.utc)
    stamp = stamp.strftime("%Y-%m-%dT%H:%M:%SZ")
    known = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")
    run = {key: config["config"][key] for key in known if config["config"].get(key)}
    history = [
        {key: value for key, value in {**step, "created": stamp}.items() if key in ("created", "created_by", "empty_layer")}
        for step in config["history"]
    ]
    return {
        "created": stamp,
        "architecture": config["architecture"],
        "os": config["os"],
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]},
        "history": history,
    }


def main(image, out):
    time = epoch()
    config, layers = read(image)
    layers = [layer(data, time) for data in layers]
    config = compact(plain(config, layers, time))

    blobs = {digest(data): data for data in [*layers, config]}
    described = lambda kind, data: {"mediaType": kind, "digest": digest(data), "size": len(data)}
    manifest = compact(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described(CONFIG, config),
            "layers": [described(LAYER, data) for data in layers],
        }
    )
    blobs[digest(manifest)] = manifest
    name = {"org.opencontainers.image.ref.name": image, "io.containerd.image.name": f"docker.io/library/{image}"}
    index = compact({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**described(MANIFEST, manifest), "annotations": name}]})
    path = lambda key: "blobs/" + key.replace(":", "/")
    files = {path(key): data for key, data in blobs.items()}
    files["oci-layout"] = compact({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = index
    # What `docker load` of engines before 25 reads.
    files["manifest.json"] = compact(
        [{"Config": path(digest(config)), "RepoTags": [image], "Layers": [path(digest(data)) for data in layers]}]
    )
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as sink:
        for file in sorted(files):
            entry = tarfile.TarInfo(file)
            entry.size, entry.mtime, entry.mode = len(files[file]), time, 0o644
            sink.addfile(entry, io.BytesIO(files[file]))
    print(digest(manifest))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
