# SPDX-License-Identifier: Apache-2.0
"""mkoci.py OUT NAME COMMAND LAYER...: a container image (docker-archive) from plain directories."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import sys
import tarfile
from pathlib import Path

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MADE = "2026-01-01T00:00:00Z"


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Owner and time are nobody's: the same directory gives the same image."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 1700000000
    return entry


def _layer(folder: Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for entry in sorted(folder.iterdir()):
            archive.add(entry, arcname=entry.name, filter=_plain)
    return out.getvalue()


def make(out: Path, name: str, command: str, folders: list[Path]) -> None:
    """Write the archive; `ctr images import` and `docker load` read it."""
    layers = [_layer(folder) for folder in folders]
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": MADE,
        "config": {"Cmd": shlex.split(command), "Env": [PATH]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers]},
        "history": [{"created": MADE, "created_by": folder.name} for folder in folders],
    }).encode()  # fmt: skip
    ident = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": ident, "RepoTags": [name], "Layers": names}]).encode()
    with tarfile.open(out, "w") as archive:
        for path, data in ((ident, config), *zip(names, layers, strict=True), ("manifest.json", manifest)):
            entry = _plain(tarfile.TarInfo(path))
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


if __name__ == "__main__":
    target, tag, words, *given = sys.argv[1:]
    make(Path(target), tag, words, [Path(one) for one in given])
