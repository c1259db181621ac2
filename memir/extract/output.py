# SPDX-License-Identifier: Apache-2.0
"""The folder that something is extracted into: new files alone, a manifest at the end also when the disk is full."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from memir.errors import OutputError, UsageError

MANIFEST = "manifest.json"
_ROOM = ".room-for-the-manifest"
_BLOCK = 1 << 20


class Output:
    """A folder that is new or empty. Use it with `with output.kept(...)`, so that what was written is listed."""

    def __init__(self, folder: Path) -> None:
        """UsageError if the folder has something in it, OutputError if it cannot be made."""
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise UsageError(f"{folder}: is not empty; give a folder that is new or empty")
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error

    def path(self, name: str) -> Path:
        """Where a file below the folder goes; the folders above it are made. name: as memir.extract.place makes it."""
        if name.partition("/")[0] in (MANIFEST, _ROOM):  # a pod may be called so
            name = f"{name.partition('/')[0]}~/{name.partition('/')[2]}"
        path = self.folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def write(self, name: str, data: Iterable[bytes]) -> str:
        """Write a new file of mode 600; gives its SHA-256. One that could not be written whole is removed."""
        digest = hashlib.sha256()
        with self.writing(name, self.open(name)) as file:
            for part in data:
                file.write(part)
                digest.update(part)
        return digest.hexdigest()

    def open(self, name: str) -> IO[bytes]:
        """A new file of mode 600, for writing(); FileExistsError if it is there."""
        return open(self.path(name), "xb", opener=lambda where, flags: os.open(where, flags, 0o600))

    @contextlib.contextmanager
    def writing(self, name: str, opened: IO[bytes]) -> Iterator[IO[bytes]]:
        """Close a file of open() behind the block; remove it if writing fails, so that no torn file is left."""
        try:
            with opened:
                yield opened
        except OSError:
            (self.folder / name).unlink()
            raise

    def release(self) -> None:
        """Give back the room that is set aside for the manifest, so that what is open can be ended."""
        (self.folder / _ROOM).unlink(missing_ok=True)

    @contextlib.contextmanager
    def kept(self, done: list[Any], total: int, document: Mapping[str, Any], entries: str) -> Iterator[None]:
        """Write the manifest when the block ends: `document`, and `done`, the list that it fills, as `entries`.

        Room for the manifest is set aside before. If the folder cannot be written on, what is done is kept and listed,
        and OutputError says how much of `total` that is.
        """
        stopped: OSError | None = None
        try:
            self._set_aside(_BLOCK + 2048 * total)
            yield
        except OSError as error:
            stopped = error
        except BaseException:  # interrupted: what is done is listed
            with contextlib.suppress(OSError):
                self._list({**document, "stopped": "interrupted", entries: done})
            raise
        why = stopped and (stopped.strerror or str(stopped))
        try:
            self._list({**document, **({"stopped": why} if why else {}), entries: done})
        except OSError as error:
            what = error.strerror or error
            raise OutputError(f"{self.folder}: cannot be written: {what}; it is not whole") from error
        if stopped is not None:
            raise OutputError(
                f"{self.folder}: cannot be written on: {why}; {len(done)} of {total} are done, kept and listed in "
                f"{MANIFEST}: make room, and extract into a new folder"
            ) from stopped

    def _list(self, document: Mapping[str, Any]) -> None:
        self.release()
        with (self.folder / MANIFEST).open("x") as file:
            file.write(json.dumps(document, indent=1, default=plain) + "\n")

    def _set_aside(self, size: int) -> None:
        with (self.folder / _ROOM).open("xb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, min(size, 1 << 28))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plain(value: Any) -> Any:
    """What JSON has no type for: times in ISO 8601, sets as lists, the rest as text."""
    isoformat = getattr(value, "isoformat", None)
    if isoformat:
        return isoformat()
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
