# SPDX-License-Identifier: Apache-2.0
"""python -m release.oci_image ROOT WHEEL -o IMAGE.tar: an OCI image of a Debian root with memir, without a registry.

    debootstrap --variant=minbase --include=python3,ca-certificates trixie ROOT
    python -m release.oci_image ROOT dist/memir-0.1.0-py3-none-any.whl -o memir.tar
    ctr -n k8s.io images import memir.tar

ROOT is changed: memir and what it needs go to ROOT/opt/memir (pip, for ROOT's own Python and processor), and
ROOT/usr/local/bin/memir starts it. The image is an OCI layout in a tar (https://github.com/opencontainers/image-spec
v1.1) with one layer. The same ROOT gives the same bytes: entries are sorted and dated by SOURCE_DATE_EPOCH. What no
run reads stays out of it: manuals, translations, headers, tests of the dependencies; licences stay. --zstd packs the
layer with zstd, which containerd (1.5 and later), podman and skopeo read: smaller, and unpacked in less time.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import re
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

from release.build import ROOT, epoch

_START = """#!/bin/sh
PYTHONPATH=/opt/memir PYTHONDONTWRITEBYTECODE=1 exec python3 -m memir "$@"
"""
_NOT_IN_IT = (
    "dev/", "proc/", "sys/", "run/", "tmp/", "var/cache/", "var/log/", "var/lib/apt/lists/", "usr/share/man/",
    "usr/share/info/", "usr/share/locale/", "usr/share/i18n/", "usr/share/lintian/", "usr/share/doc-base/",
    "usr/share/bash-completion/",
)  # fmt: skip
_OF_WHEELS_NOT = re.compile(
    r"opt/memir/(?:bin/|(?:.+/)?(?:tests?|include)/|.+\.(?:pyi|pxd|pyx|pxi|h|hpp|a|cmake)$)"
)  # scripts, tests, headers
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def install(root: Path, wheel: Path) -> None:
    """memir and its dependencies at the tested versions, for the Python in the root, from wheels alone."""
    found = (path.name for path in (root / "usr/bin").glob("python3.*"))
    pythons = sorted(name for name in found if re.fullmatch(r"python3\.\d+", name))
    if not pythons:
        raise SystemExit(f"{root}: no Python 3: debootstrap --include=python3")
    version = pythons[-1].removeprefix("python")
    machine = platform.machine()
    tags = [f"manylinux_2_{minor}_{machine}" for minor in (36, 34, 31, 28, 27, 17)] + [f"manylinux2014_{machine}"]
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile",
            "--upgrade", "--only-binary", ":all:", "--implementation", "cp", "--python-version", version,
            *(word for tag in tags for word in ("--platform", tag)),
            "--target", root / "opt/memir", "-c", ROOT / "constraints.txt", wheel,
        ],
        check=True,
    )  # fmt: skip
    start = root / "usr/local/bin/memir"
    start.parent.mkdir(parents=True, exist_ok=True)
    start.write_text(_START)
    start.chmod(0o755)


def kept(name: str) -> bool:
    """Whether a path of the root goes into the image. Of Debian's documentation the licences do (and links to them)."""
    if name.startswith("usr/share/doc/") and name.count("/") > 3:
        return name.endswith("/copyright")
    return not name.startswith(_NOT_IN_IT) and "__pycache__" not in name.split("/") and not _OF_WHEELS_NOT.match(name)


def layer(root: Path, date: int) -> bytes:
    """The root, as far as kept() says, as one uncompressed tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if not kept(name) or path.is_socket():
                continue
            info = archive.gettarinfo(path, name)
            info.mtime, info.uname, info.gname = min(int(info.mtime), date), "", ""
            if info.isfile():
                with path.open("rb") as file:
                    archive.addfile(info, file)
            else:
                archive.addfile(info)
    return out.getvalue()


def blob(data: bytes, media: str) -> tuple[dict[str, Any], tuple[str, bytes]]:
    """A descriptor, and the entry of the layout that it describes."""
    digest = hashlib.sha256(data).hexdigest()
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}, (f"blobs/sha256/{digest}", data)


def _json(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def layout(tar: bytes, date: int, tag: str, machine: str, zstd: bool = False) -> bytes:
    """The OCI layout as a tar. tar: the layer. machine: as the kernel names it. zstd: packed so, not with gzip."""
    layer_data = zstandard.compress(tar, 6) if zstd else gzip.compress(tar, 6, mtime=date)
    packed, entry_layer = blob(layer_data, f"{_LAYER}+{'zstd' if zstd else 'gzip'}")
    created = datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        "created": created, "architecture": _MACHINES[machine], "os": "linux",
        "config": {
            "Entrypoint": ["/usr/local/bin/memir"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": {"org.opencontainers.image.title": "memir", "org.opencontainers.image.licenses": "Apache-2.0"},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
        "history": [{"created": created, "created_by": "release.oci_image"}],
    }  # fmt: skip
    about, entry_config = blob(_json(config), "application/vnd.oci.image.config.v1+json")
    manifest = {
        "schemaVersion": 2, "mediaType": _MANIFEST, "config": about, "layers": [packed],
    }  # fmt: skip
    top, entry_manifest = blob(_json(manifest), _MANIFEST)
    top["annotations"] = {
        "org.opencontainers.image.ref.name": tag, "io.containerd.image.name": f"localhost/memir:{tag}",
    }  # fmt: skip
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [top]}
    version = ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    entries = [entry_layer, entry_config, entry_manifest, ("index.json", _json(index)), version]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(entries):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), date, 0o644
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="an OCI image of a Debian root with memir in it")
    parser.add_argument("root", type=Path)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("memir.tar"))
    parser.add_argument("--zstd", action="store_true", help="pack the layer with zstd instead of gzip")
    given = parser.parse_args()
    os.umask(0o022)
    install(given.root, given.wheel)
    tag = given.wheel.name.split("-")[1]
    written = layout(layer(given.root, epoch()), epoch(), tag, platform.machine(), given.zstd)
    given.output.write_bytes(written)
    sys.stdout.write(f"{hashlib.sha256(written).hexdigest()}  {given.output}\n")
