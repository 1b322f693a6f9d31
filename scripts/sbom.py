#!/usr/bin/env python3
"""Writes what landfast is built of, as CycloneDX 1.6: every crate in the binary,
its version, licence and checksum, and which needs which. The same lock file gives
the same file: no time, no machine. A second file gets the licence texts that
these crates carry, as their licences ask of who gives the binary on.

    scripts/sbom.py target/landfast.cdx.json [target/THIRD-PARTY-LICENSES.txt]
"""

import json
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"
# Ids of the SPDX list, put together by its operators.
EXPRESSION = re.compile(r"[A-Za-z0-9.+()\- ]+")
#: Files with a licence or a notice, in a crate's folder or one below, where crates keep what they bring of others.
LICENCE = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE)([-._].*)?", re.IGNORECASE)


def metadata():
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def linked():
    """What is linked into the binary, each crate with what it needs, the binary
    first: by cargo's own account, which knows the features that are on. Macros,
    build scripts and tests are not in it."""
    command = ["cargo", "tree", "--locked", "--package", "landfast", "--edges", "normal,no-proc-macro", "--target", TARGET,
               "--prefix", "depth", "--format", " {p}"]
    needs, above = {}, []
    for line in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        depth, name, version = line.split()[:3]
        crate = (name, version.removeprefix("v"))
        del above[int(depth):]
        if above:
            needs[above[-1]].add(crate)
        needs.setdefault(crate, set())
        above.append(crate)
    return needs


def component(package, checksum):
    reference = f"pkg:cargo/{package['name']}@{package['version']}"
    found = {"type": "library", "bom-ref": reference, "name": package["name"], "version": package["version"], "purl": reference}
    if package["description"]:
        found["description"] = " ".join(package["description"].split())
    # Old crates write `MIT/Apache-2.0`.
    licence = (package["license"] or "").replace("/", " OR ")
    if EXPRESSION.fullmatch(licence):
        found["licenses"] = [{"expression": licence}]
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return found


def licences(packages):
    """The texts, each once, under the crates that carry it."""
    carriers, without = {}, []
    for package in sorted(packages, key=lambda package: (package["name"], package["version"])):
        folder = Path(package["manifest_path"]).parent
        texts = {
            path.read_text(errors="replace").strip().replace("\r\n", "\n")
            for pattern in ("*", "*/*")
            for path in sorted(folder.glob(pattern))
            if LICENCE.fullmatch(path.name) and path.is_file()
        }
        name = f"{package['name']} {package['version']}"
        for text in texts:
            carriers.setdefault(text, []).append(name)
        if not texts:
            without.append(f"{name}: {package['license']}")
    parts = [
        "What landfast is built of, with the licence texts and notices that each part carries. Rust's standard library is in it too:\n"
        "MIT OR Apache-2.0, https://github.com/rust-lang/rust/blob/master/COPYRIGHT\n"
    ]
    for text, names in sorted(carriers.items(), key=lambda item: (item[1], item[0])):
        parts.append(f"{'=' * 80}\n{', '.join(names)}\n{'=' * 80}\n\n{text}\n")
    if without:
        parts.append(f"{'=' * 80}\nThese carry no text; their licences by SPDX id:\n{'=' * 80}\n\n" + "\n".join(without) + "\n")
    return "\n".join(parts)


def main():
    needs = linked()
    root = next(iter(needs))
    packages = {(package["name"], package["version"]): package for package in metadata()["packages"]}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}
    all_of = {crate: component(packages[crate], checksums[crate]) for crate in needs}
    reference = {crate: entry["bom-ref"] for crate, entry in all_of.items()}
    components = sorted((all_of[crate] for crate in needs if crate != root), key=lambda entry: entry["bom-ref"])
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {**all_of[root], "type": "application"},
            "tools": {"components": [{"type": "application", "name": "landfast scripts/sbom.py"}]},
        },
        "components": components,
        "dependencies": sorted(
            ({"ref": reference[crate], "dependsOn": sorted(reference[need] for need in needs[crate])} for crate in needs),
            key=lambda entry: entry["ref"],
        ),
    }
    # Named by its content, so that the same content has the same name.
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1) + "\n")
    if len(sys.argv) == 3:
        # Those of other people: ours has the licence beside it.
        Path(sys.argv[2]).write_text(licences(packages[crate] for crate in needs if packages[crate]["source"]))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main()
