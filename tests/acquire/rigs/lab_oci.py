"""A container image of one layer, as `ctr images import` takes it (a docker-archive): busybox and names for it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

NAME = "registry.example/lab/busybox:1"
FOLDERS = ("bin", "dev", "etc", "proc", "sys", "tmp")


def oci_archive(busybox: Path, applets: Sequence[str]) -> bytes:
    """The archive. It is the same for the same program, so that an id made from it is too."""
    layer = _tar(
        [_folder(name) for name in FOLDERS]
        + [(_entry("bin/busybox", 0o755), busybox.read_bytes())]
        + [(_entry("etc/passwd", 0o644), b"root:x:0:0:root:/:/bin/sh\napp:x:1000:1000:app:/:/bin/sh\n")]
        + [_link(f"bin/{name}", "busybox") for name in applets]
    )
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }).encode()  # fmt: skip
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [NAME], "Layers": ["layer.tar"]}]).encode()
    files = ((name, config), ("layer.tar", layer), ("manifest.json", manifest))
    return _tar([(_entry(path, 0o644), data) for path, data in files])


def _entry(name: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    return entry


def _folder(name: str) -> tuple[tarfile.TarInfo, bytes]:
    entry = _entry(name, 0o1777 if name == "tmp" else 0o755)
    entry.type = tarfile.DIRTYPE
    return entry, b""


def _link(name: str, to: str) -> tuple[tarfile.TarInfo, bytes]:
    entry = _entry(name, 0o777)
    entry.type, entry.linkname = tarfile.SYMTYPE, to
    return entry, b""


def _tar(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for entry, data in entries:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()
