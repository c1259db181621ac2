"""Open an image of any format. Formats are told by content, never by the file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from memir.errors import ImageFormatError, UsageError
from memir.image.memory import Layout, PhysicalMemory, Segment
from memir.image.source import LazyFile, MappedFile, Source, read

Progress = Callable[[str, int, int], None]
MIN_RAW = 1 << 20
"""Bytes: a raw file smaller than this is no node's RAM, whatever it is."""

_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"


def open_image(
    path: str | Path,
    *,
    allow_truncated: bool = False,
    cache: Path | None = None,
    progress: Progress | None = None,
    base: int | None = None,
) -> PhysicalMemory:
    """The physical memory in an image file or in an s3:// object.

    cache: folder for unpacked images and scratch files, the system's temporary folder if None. base: physical address
    of a raw file's first byte. Raises the ImageError that says what is wrong and at which offset.
    """
    source: Source
    if str(path).startswith("s3://"):
        from memir.image.s3 import open_object

        source = open_object(str(path), cache)
    else:
        source = MappedFile(Path(path))
    try:
        return PhysicalMemory(_layout(source, allow_truncated, cache, progress, base))
    except BaseException:
        source.close()
        raise


def _layout(source: Source, allow_truncated: bool, cache: Path | None, progress: Progress | None, base: int | None) -> Layout:
    container = _container(source)
    if container is None:
        return _inner(source, allow_truncated, cache, base)
    inner: Source | None = None
    missing = 0
    if container == "zstd":
        from memir.image import zstd

        inner = zstd.seekable(source, cache)
    if inner is None:
        if isinstance(source, LazyFile):
            raise UsageError(f"{source.name}: a whole object in {container} cannot be read by ranges: copy it here, or store it in seekable zstd")
        from memir.image.unpack import unpacked

        assert isinstance(source, MappedFile)
        folder = cache / "images" if cache is not None else Path("/tmp/memir")  # noqa: S108  (only without a cache folder)
        target, missing = unpacked(source, container, folder, allow_truncated, progress)
        inner = MappedFile(target)
    found = _inner(inner, allow_truncated, cache, base)
    return Layout(
        found.format, found.segments, found.data, source, container, found.missing or missing, found.holes_may_be_zero, found.notes
    )


def _container(source: Source) -> str | None:
    start = read(source, 0, min(4, source.size))
    if start == _ZSTD or (len(start) == 4 and int.from_bytes(start, "little") & 0xFFFFFFF0 == 0x184D2A50):
        return "zstd"
    return "gzip" if start[:3] == _GZIP else None


def _inner(source: Source, allow_truncated: bool, cache: Path | None, base: int | None) -> Layout:
    start = read(source, 0, min(4, source.size))
    if start == b"\x7fELF":
        from memir.image import elf

        return elf.read_layout(source, allow_truncated)
    if start in (b"EMiL", b"AVML"):
        return _records(source, start == b"AVML", allow_truncated, cache)
    if source.size < MIN_RAW:
        raise ImageFormatError(f"{source.name}: {source.size} bytes that begin with {start!r}: no format memir knows, and too small for raw RAM")
    return Layout("raw", [Segment(base or 0, source.size, 0)], source, source)


def _records(source: Source, compressed: bool, allow_truncated: bool, cache: Path | None) -> Layout:
    from memir.image import avml, lime

    if not compressed:
        try:
            segments, missing = lime.lime_segments(source, allow_truncated)
            if all(not compressed_record for compressed_record in _compressed_among(source, segments)):
                return Layout("LiME", segments, source, source, missing=missing, holes_may_be_zero=True)
        except ImageFormatError:
            # a later record of version 2, or damage: the reader of both says which
            pass
    return avml.read_layout(source, allow_truncated, cache)


def _compressed_among(source: Source, segments: list[Segment]) -> list[bool]:
    return [read(source, one.offset - 32, 4) == b"AVML" for one in segments]
