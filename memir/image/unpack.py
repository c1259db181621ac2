"""Images inside zstd or gzip, unpacked once into a cache folder.

The unpacked file is sparse, written under a temporary name and renamed, so concurrent runs see whole files only. A
record beside it holds the source's identity and the SHA-256 of what was written; a file that is no longer the one that
was written is hashed again before it is used.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from memir.errors import ImageError, ImageFormatError, TruncatedImageError
from memir.image import zstd
from memir.image.source import MappedFile

Progress = Callable[[str, int, int], None]
_STEP = 4 << 20
_HOLE = 1 << 16


def unpacked(source: MappedFile, container: str, folder: Path, allow_truncated: bool, progress: Progress | None) -> tuple[Path, int]:
    """(path of the unpacked file, 1 if the source was cut short else 0).

    ImageFormatError for damaged data, TruncatedImageError for a cut source unless it is allowed, ImageError when the
    cache folder is full or cannot be written; nothing half-written stays.
    """
    key = hashlib.blake2b(f"{Path(source.name).resolve()}|{source.identity()}|{allow_truncated}".encode(), digest_size=16).hexdigest()
    target, record_path = folder / f"{key}.image", folder / f"{key}.json"
    record = _record(record_path)
    if record is not None and _intact(target, record, record_path):
        return target, int(record["truncated"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f"{key}.")
    except OSError as error:
        raise ImageError(f"{folder}: cannot be written: {error.strerror}; choose another folder with --cache") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            digest, size, cut = _write(source, container, out, allow_truncated, progress)
        temporary.chmod(0o644)
        temporary.replace(target)
        _save(record_path, {"source": source.name, "size": size, "sha256": digest, "truncated": cut, "stamp": _stamp(target)})
    except OSError as error:
        temporary.unlink(missing_ok=True)
        why = "no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror)
        raise ImageError(f"{folder}: unpacking {source.name}: {why}; choose another folder with --cache") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target, cut


def _write(
    source: MappedFile, container: str, out: IO[bytes], allow_truncated: bool, progress: Progress | None
) -> tuple[str, int, int]:
    digest, size, cut = hashlib.sha256(), 0, 0
    pieces = _zstd_pieces(source, allow_truncated) if container == "zstd" else _gzip_pieces(source)
    try:
        for done, piece in pieces:
            source.check()
            digest.update(piece)
            _write_sparse(out, piece)
            size += len(piece)
            if progress is not None:
                progress("unpacking", done, source.size)
    except TruncatedImageError:
        if not allow_truncated:
            raise
        cut = 1
    if progress is not None:
        progress("unpacking", source.size, source.size)
    out.truncate(size)
    return digest.hexdigest(), size, cut


def _write_sparse(out: IO[bytes], piece: bytes) -> None:
    """Write a piece, leaving holes where it is zero."""
    for at in range(0, len(piece), _HOLE):
        part = piece[at : at + _HOLE]
        if part.count(0) == len(part):
            out.seek(len(part), os.SEEK_CUR)
        else:
            out.write(part)


def _zstd_pieces(source: MappedFile, allow_truncated: bool) -> Iterator[tuple[int, bytes]]:
    import zstandard

    if not allow_truncated:
        zstd.frames(source)  # says where a cut or damaged file ends before anything is unpacked
    unpack = zstandard.ZstdDecompressor(max_window_size=1 << zstd.WINDOW_LOG_MAX)
    with Path(source.name).open("rb") as raw, unpack.stream_reader(raw, read_across_frames=True) as reader:
        try:
            while piece := reader.read(_STEP):
                yield raw.tell(), piece
        except zstandard.ZstdError as error:
            raise ImageFormatError(f"{source.name}: zstd data near offset {raw.tell():#x} is damaged: {error}") from error
    if allow_truncated:
        zstd.frames(source)


def _gzip_pieces(source: MappedFile) -> Iterator[tuple[int, bytes]]:
    with Path(source.name).open("rb") as raw, gzip.GzipFile(fileobj=raw) as reader:
        try:
            while piece := reader.read(_STEP):
                yield raw.tell(), piece
        except EOFError as error:
            raise TruncatedImageError(f"{source.name}: the gzip data is cut off at {source.size:#x}") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise ImageFormatError(f"{source.name}: gzip data near offset {raw.tell():#x} is damaged: {error}") from error


def _record(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    wanted = {"size": int, "sha256": str, "truncated": int, "stamp": list}
    good = isinstance(record, dict) and all(isinstance(record.get(key), kind) for key, kind in wanted.items())
    return record if good else None


def _intact(target: Path, record: dict[str, Any], record_path: Path) -> bool:
    """Whether the cached file is the one that was written: by its stamp, else by its hash."""
    try:
        stamp = _stamp(target)
        if stamp == record["stamp"]:
            return True
        if stamp[0] != record["size"]:
            return False
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return False
    if digest != record["sha256"]:
        return False
    _save(record_path, record | {"stamp": stamp})
    return True


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def _save(path: Path, record: dict[str, Any]) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        json.dump(record, file)
    Path(name).replace(path)
