# SPDX-License-Identifier: Apache-2.0
"""The evidence of a collection: files that are written once, hashed as they come, and recorded at once.

They lie in the evidence folder, or in S3 under the same names; the record of them is in the folder in both cases.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from memir.collect.objects import ObjectStore
from memir.errors import RemoteError, StorageError
from memir.evidence.custody import Manifest
from memir.evidence.records import Scalar

KEEP_FREE = 64 << 20
"""Bytes that are left free on the disk, for the end of the record."""
MAX_STORED = 1 << 50
"""Bytes of a collection in a store: more than any node has."""


class Place(Protocol):
    """Where one file's bytes go: a file here, or an object in a store."""

    def write(self, data: memoryview) -> int:
        """Append some of it; how many bytes. Raises StorageError, or another RemoteError of a store."""
        ...

    def commit(self) -> Mapping[str, Scalar]:
        """All of it is there; what a store says of it."""
        ...

    def stop(self, why: str) -> Mapping[str, Scalar] | None:
        """It cannot be written further; None if what was written is no file now. Raises nothing."""
        ...


class Local:
    """A file of the folder. Raises StorageError if it is there already."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written: {error.strerror}") from error

    def write(self, data: memoryview) -> int:
        """Append; what is written stays."""
        try:
            return os.write(self._fd, data)
        except OSError as error:
            raise StorageError(f"{self._path}: cannot be written: {error.strerror}") from error

    def commit(self) -> Mapping[str, Scalar]:
        """Sync."""
        os.fsync(self._fd)
        os.close(self._fd)
        return {}

    def stop(self, why: str) -> Mapping[str, Scalar]:
        """What is written stays."""
        del why
        return self.commit()


class File:
    """One file; write to it, then close it: its size and SHA-256 are recorded. name: in the folder."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self.name = folder, name
        self._digest = hashlib.sha256()
        self._failed = self._closed = False
        self.size = 0
        self._place: Place = folder.place(name)

    def write(self, data: bytes) -> int:
        """Append. Raises StorageError when the disk or --max-size is full, RemoteError of a store."""
        self._folder.take(len(data))
        left = memoryview(data)
        while left:
            try:
                done = self._place.write(left)
            except RemoteError:
                self._failed = True
                raise
            self._digest.update(left[:done])
            self.size += done
            left = left[done:]
        return len(data)

    def close(self) -> str:
        """Sync or store, record, and give the SHA-256 in hex. Raises RemoteError where a store refuses."""
        if not self._closed:
            self._closed = True
            stored = self._place.stop("it could not be written further") if self._failed else self._place.commit()
            if stored is not None:
                self._folder.record(self.name, self.size, self._digest.hexdigest(), stored)
        return self._digest.hexdigest()


class Folder:
    """EVIDENCE with its manifest. limit: bytes that files may have together, 0 for what the disk has room for.

    store: where the files go instead of into the folder; a store has no end of its own.
    """

    def __init__(
        self, path: Path, manifest: Manifest, limit: int = 0, store: ObjectStore | None = None, run_id: str = ""
    ) -> None:
        self.path, self.manifest = path, manifest
        self._store, self._run_id = store, run_id
        room = max(0, shutil.disk_usage(path).free - KEEP_FREE) if store is None else MAX_STORED
        self.limit, self.why = min((limit or room, "--max-size"), (room, "the space that is free here"))
        self.where = str(path) if store is None else store.where
        self.size = 0
        self.names: list[str] = []

    def take(self, count: int) -> None:
        """Reckon with `count` bytes more. Raises StorageError beyond the limit."""
        if self.size + count > self.limit:
            raise StorageError(f"{self.where}: more than {self.limit:,} bytes ({self.why}): what arrived is kept")
        self.size += count

    def place(self, name: str) -> Place:
        """Where a file's bytes go."""
        if self._store is None:
            return Local(self.path / name)
        return self._store.open(self._run_id, name, self._begun)

    def _begun(self, where: str, upload_id: str, part_size: int) -> None:
        self.manifest.add("capture", where=where, ram_bytes=0, upload_id=upload_id, part_size=part_size)

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

    def record(self, name: str, size: int, sha256: str, stored: Mapping[str, Scalar]) -> None:
        """Write a file's hash into the manifest. stored: what a store says of it."""
        self.manifest.add("file", name=name, size=size, sha256=sha256, stored=dict(stored))
        self.names.append(name)
