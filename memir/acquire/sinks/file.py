# SPDX-License-Identifier: Apache-2.0
"""The file sink: the stream becomes a file in the evidence folder.

While it is written it is called NAME.partial; it gets its name only after it was read back from the disk and
every part's SHA-256 is what arrived. The SHA-256 of the whole is taken then, of parts that are known to be right: while
the node waits, each byte is hashed once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from memir.acquire.sinks.base import SinkMeta
from memir.errors import CustodyError, StorageError
from memir.evidence.folder import require_private
from memir.evidence.plan import Check, Step, Trace
from memir.evidence.records import Part, Stored

PART = 64 << 20  # as the least part in S3 (s3/base.py)
RESERVED = 4 << 20
"""Bytes that a run sets aside for the record of its end."""
CHUNK = 4 << 20  # large enough that hashing, not reading, takes the time


class FileSink:
    """Appends to EVIDENCE/NAME.partial."""

    kind = "file"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = str(folder)
        self.path = folder / "image.lime"
        self.size = 0
        self.parts: list[Part] = []
        self._fd = -1
        self._whole = ""
        self._part = hashlib.sha256()
        self._filled = 0

    @property
    def unfinished(self) -> Path:
        """The file's name while it is not known to be whole."""
        return self.path.with_name(self.path.name + ".partial")

    def check(self) -> Sequence[Check]:
        """Writable, empty, and room for the record of the run; for the RAM, `begin` looks when its size is known."""
        return (folder_check(self.folder),)

    def room(self) -> int:
        """Bytes that fit here, what is written of this image included; run.py keeps room for the record of the end."""
        return max(1, shutil.disk_usage(self.folder).free + self.size)

    def steps(self) -> Sequence[Step]:
        """Writing here."""
        return (Step(f"write the image to {self.folder}, sync it, read it back", "controller"),)

    def traces(self) -> Sequence[Trace]:
        """Nothing on the node."""
        return ()

    def begin(self, meta: SinkMeta) -> None:
        """Open the file. Raises StorageError if there is one, or no room for even the packed RAM."""
        self.path = self.folder / meta.name
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            free = shutil.disk_usage(self.folder).free
            if meta.format == "lime" and free < meta.ram_bytes:
                raise StorageError(
                    f"{self.folder} has {free:,} bytes free, the node has {meta.ram_bytes:,} of RAM: "
                    "choose another folder, or --format avml"
                )
            if self.path.exists():
                raise StorageError(f"{self.path} is there already: choose a new folder with -o")
            self._fd = os.open(self.unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise StorageError(f"cannot write to {self.folder}: {error}") from error

    def write(self, data: bytes | memoryview) -> None:
        """Append; each part of 64 MiB has its own SHA-256."""
        view = memoryview(data)
        while view:
            step = view[: PART - self._filled]
            try:
                count = os.write(self._fd, step)
            except OSError as error:
                raise StorageError(
                    f"cannot write {self.unfinished} past {self.size:,} bytes: {error}; what is there is kept"
                ) from error
            self._part.update(step[:count])
            self.size += count
            self._filled += count
            view = view[count:]
            if self._filled == PART:
                self._cut()

    def commit(self) -> Stored:
        """Sync, read back, compare, rename."""
        if self._filled:
            self._cut()
        try:
            os.fsync(self._fd)
            # the pages just written must come from the disk, not from this machine's cache
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(self._fd)
            self._fd = -1
            wrong = self._compare()
            if wrong:
                return self._stored(False, wrong)
            self.unfinished.rename(self.path)
            folder = os.open(self.folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
        except OSError as error:
            raise StorageError(f"cannot finish {self.unfinished}: {error}; what is there is kept") from error
        return self._stored(True, ())

    def partial(self, why: str) -> Stored:
        """Keep the file under its unfinished name; what was lost on the way is found by reading it back."""
        if self._filled:
            self._cut()
        missing = [why]
        if self._fd >= 0:
            try:
                os.fsync(self._fd)
            except OSError as error:
                missing.append(f"the last bytes may not be on the disk: {error}")
            os.close(self._fd)
            self._fd = -1
        if self.path.exists() and not self.unfinished.exists():
            # stopped just after the file got its final name
            self.path.rename(self.unfinished)
        try:
            missing += self._compare()
        except OSError as error:
            missing.append(f"cannot read {self.unfinished} back: {error}")
        return self._stored(False, tuple(missing))

    def record(self, name: str, data: bytes) -> Mapping[str, object]:
        """The evidence folder has the small files already."""
        del name, data
        return {}

    def _cut(self) -> None:
        offset = self.size - self._filled
        self.parts.append(Part(len(self.parts) + 1, offset, self._filled, self._part.hexdigest()))
        self._part, self._filled = hashlib.sha256(), 0

    def _compare(self) -> list[str]:
        wrong = []
        path = self.path if not self.unfinished.exists() else self.unfinished
        if not path.exists():
            return [f"{path} is gone"]
        whole = hashlib.sha256()
        with path.open("rb") as file, ThreadPoolExecutor(1) as beside:
            for part in self.parts:
                left, digest = part.size, hashlib.sha256()
                while left and (chunk := file.read(min(left, CHUNK))):
                    taken = beside.submit(whole.update, chunk)
                    digest.update(chunk)
                    left -= len(chunk)
                    taken.result()
                if left:
                    wrong.append(f"part {part.number} is {left:,} bytes short on the disk")
                elif digest.hexdigest() != part.sha256:
                    wrong.append(f"part {part.number} reads back with another hash")
            if file.read(1):
                wrong.append("the file is longer than what arrived")
        self._whole = whole.hexdigest()
        return wrong

    def _stored(self, complete: bool, missing: Sequence[str]) -> Stored:
        where = str(self.path if complete else self.unfinished)
        resume = "" if complete else "run the same command again with a new folder; this one is kept as it is"
        return Stored(where, self.size, self._whole, tuple(self.parts), complete, tuple(missing), resume)


def folder_check(folder: Path) -> Check:
    """Whether a run can write its evidence there: writable, empty, private, room for its record. Makes nothing."""
    name, parent = "evidence folder", folder
    try:
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir() or not os.access(parent, os.W_OK):
            return Check(name, "fail", f"{parent} cannot be written", "choose another with -o")
        if folder.is_dir() and any(folder.iterdir()):
            return Check(name, "fail", f"{folder} is not empty", "choose a new one with -o")
        if folder.is_dir():
            require_private(folder)
        free = shutil.disk_usage(parent).free
    except CustodyError as error:
        return Check(name, "fail", str(error), f"chmod 700 {folder}")
    except OSError as error:
        return Check(name, "fail", f"{folder}: {error.strerror or error}", "choose another with -o")
    if free < RESERVED:  # /proc and /sys have no bytes at all
        return Check(name, "fail", f"{folder}: no room, {free:,} bytes are free", "choose another with -o")
    return Check(name, "ok", f"{folder}, {free:,} bytes free")
