# SPDX-License-Identifier: Apache-2.0
"""Packed files other than zstd and gzip, unpacked piece by piece: xz, bzip2, lz4, framed snappy, and archives' members.

Formats: https://tukaani.org/xz/xz-file-format.txt, https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md,
https://github.com/google/snappy/blob/main/framing_format.txt, POSIX pax (tar), PKWARE's APPNOTE (zip).
"""

from __future__ import annotations

import bz2
import lzma
import shlex
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol, cast

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.listing import looks_like_image
from memir.image.source import Source, SourceReader, read

STEP = 4 << 20
_MAX_MEMORY = 1 << 30  # of xz's dictionary: level 9 takes 64 MiB
_MAX_MEMBERS = 10_000  # an archive of an image has a handful of files
_SMALLEST, _SMALLEST_PACKED = 1 << 20, 1 << 16  # bytes of a member that may be an image
_SNAPPY_START = b"\xff\x06\x00\x00sNaPpY"
_TAR_AT = 257

MAGICS = (
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"BZh", "bzip2"),
    (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, _SNAPPY_START, "snappy"),
    (0, b"PK\x03\x04", "zip"),
    (_TAR_AT, b"ustar", "tar"),
)
_BZIP2_BLOCK = b"1AY&SY"


def container_of(source: Source) -> str | None:
    """The kind of packed file or archive by its first bytes; None if it is none of these."""
    start = read(source, 0, min(_TAR_AT + 8, source.size))
    for offset, magic, name in MAGICS:
        if start[offset : offset + len(magic)] == magic and (name != "bzip2" or start[4:10] == _BZIP2_BLOCK):
            return name
    return None


def pieces(source: Source, container: str) -> Iterator[bytes]:
    """The unpacked bytes, in order, no piece longer than a few MiB.

    ImageFormatError for damaged data or an archive without one image, TruncatedImageError where the file ends early.
    """
    reader = SourceReader(source)
    kinds: dict[str, Callable[[], Iterator[bytes]]] = {
        "xz": lambda: _streams(source, reader, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY)),
        "bzip2": lambda: _streams(source, reader, bz2.BZ2Decompressor),
        "lz4": lambda: _streams(source, reader, _lz4),
        "snappy": lambda: _snappy(source),
        "zip": lambda: _zip(source, reader),
        "tar": lambda: _tar(source, reader),
    }
    try:
        yield from kinds[container]()
    except (lzma.LZMAError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ImageFormatError(f"{source.name}: {container} data is damaged or unusual: {error}") from error


class _Decoder(Protocol):
    """What lzma, bz2 and lz4 have in common."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether more output needs more input."""

    @property
    def unused_data(self) -> bytes:
        """What follows the stream."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """At most max_length bytes more."""


def _lz4() -> _Decoder:
    import lz4.frame  # type: ignore[import-untyped]  # the package has no types

    return cast("_Decoder", lz4.frame.LZ4FrameDecompressor())


def _streams(source: Source, reader: SourceReader, decoder: Callable[[], _Decoder]) -> Iterator[bytes]:
    """All streams of a file, one after the other, as xz, bzip2 and lz4 write them when files are joined."""
    pending = reader.read(STEP)
    while pending:
        unpack = decoder()
        while not unpack.eof:
            if not pending and unpack.needs_input:
                pending = reader.read(STEP)
                if not pending:
                    raise _cut(source)
            try:
                piece = unpack.decompress(pending, STEP)
            except (OSError, EOFError, RuntimeError, ValueError) as error:
                raise ImageFormatError(
                    f"{source.name}: packed data before offset {reader.tell():#x} is damaged: {error}"
                ) from error
            pending = b""
            if piece:
                yield piece
        # padding between and after streams is zeros
        pending = (unpack.unused_data or b"").lstrip(b"\0")
        while not pending and (more := reader.read(STEP)):
            pending = more.lstrip(b"\0")


def _snappy(source: Source) -> Iterator[bytes]:
    import cramjam

    offset = 0
    while offset < source.size:
        head = read(source, offset, min(4, source.size - offset))
        length = int.from_bytes(head[1:4], "little")
        if len(head) < 4 or offset + 4 + length > source.size:
            raise _cut(source)
        if head[0] in (0, 1):
            chunk = read(source, offset, 4 + length)
            try:
                yield bytes(cramjam.snappy.decompress(_SNAPPY_START + chunk))
            except cramjam.DecompressionError as error:
                raise ImageFormatError(
                    f"{source.name}: snappy chunk at offset {offset:#x} is damaged: {error}"
                ) from error
        elif 2 <= head[0] <= 0x7F:
            raise ImageFormatError(
                f"{source.name}: snappy chunk at offset {offset:#x} has the reserved type {head[0]:#04x}"
            )
        offset += 4 + length


def _zip(source: Source, reader: SourceReader) -> Iterator[bytes]:
    with zipfile.ZipFile(cast("IO[bytes]", reader)) as archive:
        # not is_dir(): before Python 3.12 it fails on a member without a name
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.filename.endswith("/")}
        name = _member(source, sizes, "zip")
        try:
            with archive.open(name) as member:
                yield from _all(member)
        except (RuntimeError, EOFError) as error:  # RuntimeError: encrypted
            raise ImageFormatError(f"{source.name}: its member {name!r} cannot be read: {error}") from error


def _tar(source: Source, reader: SourceReader) -> Iterator[bytes]:
    with tarfile.open(fileobj=cast("IO[bytes]", reader), mode="r:") as archive:
        members: dict[str, tarfile.TarInfo] = {}
        for member in archive:
            if member.isreg():
                members[member.name] = member
            if len(members) > _MAX_MEMBERS:
                raise ImageFormatError(
                    f"{source.name}: a tar archive of more than {_MAX_MEMBERS} files, not of an image"
                )
        if any(name.endswith(("checkpoint/inventory.img", "checkpoint/pages-1.img")) for name in members):
            raise ImageFormatError(
                f"{source.name} is a checkpoint of one container (CRIU), not a node's RAM: take the node's RAM with "
                "`memir acquire`"
            )
        chosen = members[_member(source, {name: member.size for name, member in members.items()}, "tar")]
        content = archive.extractfile(chosen)
        assert content is not None
        try:
            yield from _all(content)
        except tarfile.ReadError as error:
            raise _cut(source) from error


def _member(source: Source, sizes: dict[str, int], kind: str) -> str:
    """The one member that is an image: by its name, else by being the only large one."""
    large = [name for name, size in sizes.items() if size >= _SMALLEST]
    named = [name for name, size in sizes.items() if size >= _SMALLEST_PACKED and looks_like_image(name)]
    for choice in (named, large):
        if len(choice) == 1:
            return choice[0]
    listed = ", ".join(repr(name) for name in (named or large)[:5]) or "no file of 1 MiB or more"
    archive = shlex.quote(source.name)
    unpack = f"`tar -xf {archive} MEMBER`" if kind == "tar" else f"`unzip {archive} MEMBER`"
    raise ImageFormatError(f"{source.name}: a {kind} archive with {listed}: unpack the image you mean with {unpack}")


def _all(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(STEP):
        yield piece


def _cut(source: Source) -> TruncatedImageError:
    return TruncatedImageError(
        f"{source.name}: the packed data is cut off by the end of the file ({source.size} bytes): copy the file again, "
        "or read what is there with --allow-truncated"
    )
