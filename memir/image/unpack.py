# SPDX-License-Identifier: Apache-2.0
"""Images inside zstd, gzip and what streams.py knows, unpacked once into a cache folder.

The unpacked file is sparse, written under a temporary name and renamed, so concurrent runs see whole files only; a
lock lets the second run wait for the first. A record beside it holds the SHA-256 of what was written; a file that is
no longer the one that was written is hashed again before it is used.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from memir.errors import ImageError, ImageFormatError, TruncatedImageError
from memir.image import streams, zstd
from memir.image.behind import Behind
from memir.image.lazy import is_zero
from memir.image.source import Source, SourceReader

Progress = Callable[[str, int, int], None]
_STEP = 4 << 20
AGAIN = "copy the file again, and compare its SHA-256 with that of the place it came from"
_HOLE = 1 << 16  # zeros of this length become a hole: shorter ones would cost more calls than they save


def unpacked(
    source: Source, container: str, folder: Path, allow_truncated: bool, progress: Progress | None
) -> tuple[Path, int, int]:
    """(path of the unpacked file, bytes that a cut source lacks, 1 if it does not say how many, 0 if it is whole, bytes
    behind the packed data that are none and were left out).

    container: "zstd", "gzip" or one of streams.MAGICS. ImageFormatError for damaged data, TruncatedImageError for a
    cut source unless it is allowed, ImageError when the cache folder is full or cannot be written; nothing
    half-written stays.
    """
    key = hashlib.blake2b(f"{source.name}|{source.identity()}".encode(), digest_size=16).hexdigest()
    target, record_path = folder / f"{key}.image", folder / f"{key}.json"
    try:
        record = _record(record_path, allow_truncated)
        if record is not None and target.exists() and _stamp(target) == record["stamp"]:
            # without writing anything: the folder may be read-only by now
            return target, int(record["missing"]), int(record["behind"])
        with _locked(folder, key):
            record = _record(record_path, allow_truncated)
            if record is None or not _intact(target, record, record_path):
                record = _unpack(source, container, target, allow_truncated, progress)
                _save(record_path, record)
    except OSError as error:
        why = "no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else str(error.strerror)
        raise ImageError(
            f"{folder}: cannot hold {source.name} unpacked: {why}; choose another folder with --cache"
        ) from error
    return target, int(record["missing"]), int(record["behind"])


@contextlib.contextmanager
def _locked(folder: Path, key: str) -> Iterator[None]:
    """One process at a time; what an earlier one left behind when it was killed is removed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / f"{key}.lock").open("w") as lock:
        # a file system without locks: both unpack, and each renames a whole file into place
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
            for stale in folder.glob(f"{key}.*.part"):
                stale.unlink(missing_ok=True)
        yield


def _unpack(
    source: Source, container: str, target: Path, allow_truncated: bool, progress: Progress | None
) -> dict[str, Any]:
    # RAM holds secrets: mkstemp makes it readable by its owner alone, and so it stays
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f"{target.stem}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            digest, size, missing, behind = _write(source, container, out, allow_truncated, progress)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return {
        "source": source.name,
        "size": size,
        "sha256": digest,
        "missing": missing,
        "behind": behind,
        "stamp": _stamp(target),
    }


def _write(
    source: Source, container: str, out: IO[bytes], allow_truncated: bool, progress: Progress | None
) -> tuple[str, int, int, int]:
    """(SHA-256 of what was written, its size, bytes missing, bytes left out behind the packed data)."""
    digest, size, missing = hashlib.sha256(), 0, 0
    behind = Behind(source, container, allow_truncated)
    reader = SourceReader(source)
    if container == "zstd":
        pieces = _zstd_pieces(source, reader, behind, allow_truncated)
    elif container == "gzip":
        pieces = _gzip_pieces(source, reader, behind)
    else:
        pieces = streams.pieces(source, container, behind)
    try:
        for piece in pieces:
            source.check()
            digest.update(piece)
            _write_sparse(out, piece)
            size += len(piece)
            if progress is not None:
                progress("unpacking", min(reader.tell(), source.size - 1), source.size)
    except TruncatedImageError:
        if not allow_truncated:
            raise
        missing = max(_promised(source, container) - size, 1)
    if behind.is_much:
        missing = 1  # a part of the image, if it was one
    if progress is not None:
        progress("unpacking", source.size, source.size)
    out.truncate(size)
    return digest.hexdigest(), size, missing, behind.size


def _write_sparse(out: IO[bytes], piece: bytes) -> None:
    """Write a piece, leaving holes where it is zero."""
    for start in range(0, len(piece), _HOLE):
        part = piece[start : start + _HOLE]
        if is_zero(part):
            out.seek(len(part), os.SEEK_CUR)
        else:
            out.write(part)


def _zstd_pieces(source: Source, reader: SourceReader, behind: Behind, allow_truncated: bool) -> Iterator[bytes]:
    """Frame by frame, as the decoder says neither where the file cuts one off nor where data end and others begin."""
    if not allow_truncated and source.lazy is None:
        for _ in zstd.frames(source, behind):  # says where a cut or damaged file ends before anything is unpacked
            pass
    end = 0
    try:
        for frame in zstd.frames(source, behind):
            end = frame.offset + frame.length
            yield from _zstd_frames(source, reader, frame.offset, end)
    except TruncatedImageError:
        if not behind.size:
            yield from _zstd_frames(source, reader, end, source.size)
        raise


def _zstd_frames(source: Source, reader: SourceReader, first: int, end: int) -> Iterator[bytes]:
    """What [first, end) unpacks to. reader: goes along, for who watches."""
    import zstandard

    unpack = zstandard.ZstdDecompressor(max_window_size=1 << zstd.WINDOW_LOG_MAX)
    part = SourceReader(source, end, first)
    with unpack.stream_reader(cast("IO[bytes]", part), read_across_frames=True, closefd=False) as stream:
        try:
            while piece := stream.read(_STEP):
                reader.seek(first + part.tell())
                yield piece
        except zstandard.ZstdError as error:
            raise ImageFormatError(
                f"{source.name}: zstd data near offset {first + part.tell():#x} is damaged: {error}: {AGAIN}"
            ) from error


def _gzip_pieces(source: Source, reader: SourceReader, behind: Behind) -> Iterator[bytes]:
    """All members, one after the other. gzip.GzipFile would throw away the last megabytes before a cut."""
    pending = reader.read(_STEP)
    while pending:
        if behind.begins_no_part(reader.tell() - len(pending)):
            return
        unpack = zlib.decompressobj(31)  # with gzip's header and trailer
        while not unpack.eof:
            pending = pending or reader.read(_STEP)
            try:
                piece = unpack.decompress(pending, _STEP)
            except zlib.error as error:
                offset = reader.tell() - len(pending)
                raise ImageFormatError(
                    f"{source.name}: gzip data after offset {offset:#x} is damaged: {error}: {AGAIN}"
                ) from error
            if not pending and not piece:
                raise TruncatedImageError(
                    f"{source.name}: the gzip data is cut off by the end of the file ({source.size} bytes): "
                    "copy the file again, or read what is there with --allow-truncated"
                )
            pending = unpack.unconsumed_tail
            if piece:
                yield piece
        pending = unpack.unused_data.lstrip(b"\0")  # tapes and some tools pad with zeros
        while not pending and (pending := reader.read(_STEP)):
            pending = pending.lstrip(b"\0")


def _promised(source: Source, container: str) -> int:
    """Bytes that a cut file's frame headers promise; 0 if they do not say."""
    if container != "zstd":
        return 0
    total, offset = 0, 0
    try:
        for frame in zstd.frames(source, Behind(source, container, allow_truncated=True)):
            total, offset = total + max(frame.content, 0), frame.offset + frame.length
    except ImageError:
        return total + max(zstd.content_of(source, offset), 0)
    return total


def _record(path: Path, allow_truncated: bool) -> dict[str, Any] | None:
    """What is known of an unpacked file; None if there is none, or it is of a cut source and that is not allowed."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    wanted = {"size": int, "sha256": str, "missing": int, "behind": int, "stamp": list}
    if not isinstance(record, dict) or not all(isinstance(record.get(key), kind) for key, kind in wanted.items()):
        return None
    return record if allow_truncated or not record["missing"] else None


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
    status = path.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def _save(path: Path, record: dict[str, Any]) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(record, file)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
