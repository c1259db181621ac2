# SPDX-License-Identifier: Apache-2.0
"""Files of logs: those of folders, and their bytes, unpacked as they are read."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from memir.errors import LogsError

MAX_FILES = 100_000  # ends a folder that was given by mistake, as /
RECORD = "fetch.json"
_RECORD = b'{\n "written_by": "memir fetch-logs"'
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 20
_WINDOW = 1 << 27  # what `zstd --long` writes by default; a frame that asks for more is refused


@dataclass(frozen=True, slots=True)
class Renamed:
    """A log that lies elsewhere than where it is from. path: the file; name: by which rows and gaps name it."""

    path: Path
    name: str


LogPath = str | Path | Renamed
"""A file or folder of logs."""


def log_files(paths: Sequence[LogPath]) -> list[Path]:
    """The files named, and every file in folders and below them, sorted, each once. Links in folders are not followed.

    LogsError for a path that is not there, a folder without files or with more than MAX_FILES.
    """
    files: dict[Path, None] = {}
    for path in (each.path if isinstance(each, Renamed) else Path(each) for each in paths):
        if not path.is_dir():
            if not path.exists():
                raise LogsError(f"{path}: there is no such file or folder: --logs takes files and folders of logs")
            files[path] = None
            continue
        inside: list[Path] = []
        try:
            for file in path.rglob("*"):
                if not file.is_symlink() and file.is_file() and not _is_record(file):
                    inside.append(file)
                if len(inside) > MAX_FILES:
                    raise LogsError(f"{path}: more than {MAX_FILES} files: give the folder of the logs alone")
        except OSError as error:
            raise LogsError(f"{path}: {error.strerror or error}") from error
        if not inside:
            raise LogsError(f"{path}: no file in it: give the folder that the logs were copied to")
        files |= dict.fromkeys(sorted(inside))
    return list(files)


def _is_record(file: Path) -> bool:
    """Whether it is what `memir fetch-logs` writes of itself beside the logs, by its first words."""
    if file.name != RECORD:
        return False
    with file.open("rb") as opened:
        return opened.read(len(_RECORD)) == _RECORD


class Stream:
    """The unpacked bytes of a file in blocks; gzip and zstd by their magic, several members after each other too.

    sha256: of the file as it lies there, after the last block. torn: why its end could not be unpacked, None if it was.
    """

    def __init__(self, path: Path) -> None:
        """path: a file; LogsError if it cannot be opened."""
        self.path = path
        self.torn: str | None = None
        self._hash = hashlib.sha256()
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise LogsError(f"{path}: cannot be read: {error.strerror or error}") from error

    @property
    def sha256(self) -> str:
        """Hex digits, of what was read so far."""
        return self._hash.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        """Blocks, none empty. LogsError if the file cannot be read on."""
        with self._file:
            first = self._read()
            if first.startswith(_GZIP):
                yield from self._gzip(first)
            elif first.startswith(_ZSTD):
                yield from self._zstd(first)
            else:
                while first:
                    yield first
                    first = self._read()

    def _read(self) -> bytes:
        try:
            block = self._file.read(_BLOCK)
        except OSError as error:
            raise LogsError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        self._hash.update(block)
        return block

    def _gzip(self, block: bytes) -> Iterator[bytes]:
        unpacker = zlib.decompressobj(wbits=31)
        while block:
            try:
                data = unpacker.decompress(block, _BLOCK * 4)
            except zlib.error as error:
                self.torn = f"not whole gzip: {error}"
                while self._read():  # the hash is of the whole file
                    pass
                return
            if data:
                yield data
            block = unpacker.unconsumed_tail
            if unpacker.eof:
                # what follows the last member may be padding, as tape and object stores leave it
                block = unpacker.unused_data.lstrip(b"\0") or self._read().lstrip(b"\0")
                unpacker = zlib.decompressobj(wbits=31)
            elif not block:
                block = self._read()
                if not block:
                    self.torn = "not whole gzip: its end is missing"

    def _zstd(self, block: bytes) -> Iterator[bytes]:
        import zstandard

        unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
        while block:
            try:
                data = unpacker.decompress(block)
            except zstandard.ZstdError as error:
                self.torn = f"not whole zstd: {error}"
                while self._read():
                    pass
                return
            if data:
                yield data
            block = self._read()
            if unpacker.eof:
                block = unpacker.unused_data + block
                unpacker = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
            elif not block:
                self.torn = "not whole zstd: its end is missing"
