# SPDX-License-Identifier: Apache-2.0
"""The evidence folder of a collection: files that are written once, hashed as they come, and recorded at once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from memir.errors import StorageError
from memir.evidence.custody import Manifest

KEEP_FREE = 64 << 20
"""Bytes that are left free on the disk, for the end of the record."""


class File:
    """One file of the folder; write to it, then close it: its size and SHA-256 are recorded."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self.name = folder, name
        self._digest = hashlib.sha256()
        self.size = 0
        path = folder.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from error

    def write(self, data: bytes) -> int:
        """Append. Raises StorageError when the disk or --max-size is full; what is written stays."""
        self._folder.take(len(data))
        done = 0
        try:
            while done < len(data):
                done += os.write(self._fd, data[done:])
        except OSError as error:
            raise StorageError(f"{self._folder.path / self.name}: cannot be written: {error.strerror}") from error
        finally:
            self._digest.update(data[:done])
            self.size += done
        return done

    def close(self) -> str:
        """Sync, record, and give the SHA-256 in hex."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._folder.record(self.name, self.size, self._digest.hexdigest())
        return self._digest.hexdigest()


class Folder:
    """EVIDENCE with its manifest. limit: bytes that files may have together, 0 for what the disk has room for."""

    def __init__(self, path: Path, manifest: Manifest, limit: int = 0) -> None:
        self.path, self.manifest = path, manifest
        room = max(0, shutil.disk_usage(path).free - KEEP_FREE)
        self.limit, self.why = min((limit or room, "--max-size"), (room, "the space that is free here"))
        self.size = 0
        self.names: list[str] = []

    def take(self, count: int) -> None:
        """Reckon with `count` bytes more. Raises StorageError beyond the limit."""
        if self.size + count > self.limit:
            raise StorageError(f"{self.path}: more than {self.limit:,} bytes ({self.why}): what arrived is kept")
        self.size += count

    def open(self, name: str) -> File:
        """A new file. StorageError if it is there already."""
        return File(self, name)

    def add(self, name: str, data: bytes) -> None:
        """A small file."""
        file = self.open(name)
        try:
            file.write(data)
        finally:
            file.close()

    def add_json(self, name: str, document: Any) -> None:
        """A document, for people and programs."""
        self.add(name, json.dumps(document, indent=1, ensure_ascii=True).encode() + b"\n")

    def record(self, name: str, size: int, sha256: str) -> None:
        """Write a file's hash into the manifest."""
        self.manifest.add("file", name=name, size=size, sha256=sha256, stored={})
        self.names.append(name)
