# SPDX-License-Identifier: Apache-2.0
"""The evidence folder.

::

    EVIDENCE/
      image.lime | image.avml     the RAM; image.*.partial when it is not whole; not there when it is in S3
      context/                    what the node said: iomem, version, kallsyms, btf/, before/, after/ ...
      cluster/                    the Kubernetes API snapshot, with --cluster
      manifest.jsonl              what happened, hash-chained (custody.py)
      manifest.sig                Ed25519 signature over the manifest's end, with --sign-key
      manifest.tsr                RFC 3161 time stamp over the manifest's end, with --timestamp-url
      receipt.json                the summary: status, image, tool, node, what was left, what is missing

The folder may come from anyone. Nothing in it is followed: a symbolic link anywhere in it is refused, as are devices
and FIFOs, and every file is read to a bound.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from memir.errors import CustodyError

MANIFEST, SIGNATURE, TIMESTAMP = "manifest.jsonl", "manifest.sig", "manifest.tsr"
RECEIPT = "receipt.json"
CONTEXT = "context"
CLUSTER = "cluster"
IMAGE = "image"
SUFFIX: Mapping[str, str] = {"lime": ".lime", "avml": ".avml"}
PARTIAL = ".partial"
MAX_MANIFEST = 256 << 20
"""Bytes: 10,000 parts and 10,000 files need 5 MiB."""
MAX_ENTRIES = 20_000
"""Files and folders in an evidence folder: a run makes some hundred."""


def is_evidence(path: Path) -> bool:
    """Whether a path is an evidence folder: a folder with a manifest that is a file, not a link."""
    try:
        return path.is_dir() and stat.S_ISREG((path / MANIFEST).lstat().st_mode)
    except OSError:
        return False


def inside(folder: Path, name: str) -> Path | None:
    """The path of a recorded name, None if it leads out of the folder or through a symbolic link."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part in {"..", "."} for part in parts) or "\0" in name:
        return None
    path = folder
    for part in parts:
        path /= part
        if path.is_symlink():
            return None
    return path


def open_file(folder: Path, name: str) -> int:
    """A descriptor of a regular file of the folder. FileNotFoundError; CustodyError for a link, device or FIFO."""
    path = inside(folder, name)
    if path is None:
        raise CustodyError(f"{folder / name} is a link or leads out of the folder: refused")
    try:
        # not blocking: a FIFO that was put here would otherwise be waited for
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CustodyError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CustodyError(f"{path} is no regular file: refused")
    return descriptor


def read_file(folder: Path, name: str, limit: int) -> bytes:
    """The content of a small file. FileNotFoundError; CustodyError for what is no file or is larger than `limit`."""
    with os.fdopen(open_file(folder, name), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise CustodyError(f"{folder / name} is larger than {limit:,} bytes: that is not memir's")
    return data


def read_manifest(folder: Path) -> bytes:
    """The manifest's bytes. Raises CustodyError when there is none."""
    try:
        return read_file(folder, MANIFEST, MAX_MANIFEST)
    except FileNotFoundError as error:
        raise CustodyError(f"{folder} is no evidence folder: it has no {MANIFEST}") from error


def entries(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, kind) of everything below the folder, in order of names; kind is file, folder, link or other.

    Nothing is followed. Raises CustodyError for more than MAX_ENTRIES.
    """
    count = 0
    waiting = [folder]
    while waiting:
        for entry in sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name):
            count += 1
            if count > MAX_ENTRIES:
                raise CustodyError(f"{folder} holds more than {MAX_ENTRIES:,} files: this is no evidence of one run")
            mode = entry.stat(follow_symlinks=False).st_mode
            kind = (
                "link" if stat.S_ISLNK(mode) else "folder" if stat.S_ISDIR(mode)
                else "file" if stat.S_ISREG(mode) else "other"
            )  # fmt: skip
            if kind == "folder":
                waiting.append(Path(entry.path))
            yield Path(entry.path).relative_to(folder).as_posix(), kind


def cluster_of(folder: Path) -> Path | None:
    """The Kubernetes API snapshot's folder, if one was taken. CustodyError if it is a link or no folder."""
    path = folder / CLUSTER
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(mode):
        raise CustodyError(f"{path} is no folder but a link or file, which no run of memir's makes: refused")
    for name, kind in entries(path):
        if kind not in {"file", "folder"}:
            raise CustodyError(f"{path / name} is a link or device, which no run of memir's makes: refused")
    return path


def require_private(folder: Path) -> None:
    """Raises CustodyError, with the chmod that helps, if others can read a folder that is to hold RAM."""
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        raise CustodyError(
            f"{folder} can be read by others (mode {mode:o}), and RAM holds every secret of the node: "
            f"`chmod 700 {shlex.quote(str(folder))}`"
        )
