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
from pathlib import Path
from typing import IO, Protocol, cast

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.behind import Behind, after_zeros
from memir.image.listing import looks_like_image
from memir.image.source import Source, SourceReader, read

STEP = 4 << 20
_MAX_MEMORY = 1 << 30  # of xz's dictionary: level 9 takes 64 MiB
_MAX_MEMBERS = 10_000  # an archive of an image has a handful of files
_SMALLEST, _SMALLEST_PACKED = 1 << 20, 1 << 16  # bytes of a member that may be an image
_SNAPPY_START = b"\xff\x06\x00\x00sNaPpY"
_SNAPPY_CHUNK = 4 + 76490  # bytes: a checksum, and 64 KiB of what does not pack
_SNAPPY_PADDING = 0xFE
_TAR_AT = 257
_ZIP_END = b"PK\5\6"
_ZIP_TAIL = 2 << 20  # bytes from the end where a zip's end record is looked for

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


def pieces(source: Source, container: str, behind: Behind) -> Iterator[bytes]:
    """The unpacked bytes, in order, no piece longer than a few MiB.

    behind: counts what follows the packed data. ImageFormatError for damaged data or an archive without one image,
    TruncatedImageError where the file ends early.
    """
    reader = SourceReader(source)
    kinds: dict[str, Callable[[], Iterator[bytes]]] = {
        "xz": lambda: _streams(
            source, reader, behind, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY)
        ),
        "bzip2": lambda: _streams(source, reader, behind, bz2.BZ2Decompressor),
        "lz4": lambda: _streams(source, reader, behind, _lz4),
        "snappy": lambda: _snappy(source, behind),
        "zip": lambda: _zip(source, behind),
        "tar": lambda: _tar(source, reader, behind),
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


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_MEMORY)


def _lz4() -> _Decoder:
    import lz4.frame  # type: ignore[import-untyped]  # the package has no types

    return cast("_Decoder", lz4.frame.LZ4FrameDecompressor())


def _streams(source: Source, reader: SourceReader, behind: Behind, decoder: Callable[[], _Decoder]) -> Iterator[bytes]:
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
        if pending and behind.begins_no_part(reader.tell() - len(pending)):
            return


def _snappy(source: Source, behind: Behind) -> Iterator[bytes]:
    """All chunks. Of the kinds that the format keeps for later, none is written: where one seems to begin, data end."""
    import cramjam

    offset = 0
    while offset < source.size:
        head = read(source, offset, min(len(_SNAPPY_START), source.size - offset))
        length = int.from_bytes(head[1:4], "little")
        if offset and not _begins_snappy(head, length):
            behind.leave_out(offset)
            return
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
        offset += 4 + length


def _begins_snappy(head: bytes, length: int) -> bool:
    """Whether a chunk begins with these bytes, cut off by the end of the file or not."""
    if head[0] in (0, 1):
        return len(head) < 4 or 5 <= length <= _SNAPPY_CHUNK
    return head[0] == _SNAPPY_PADDING or _SNAPPY_START.startswith(head)


def _zip(source: Source, behind: Behind) -> Iterator[bytes]:
    end = _zip_end(source)
    if end < source.size:
        behind.leave_out(end)
    with zipfile.ZipFile(cast("IO[bytes]", SourceReader(source, end))) as archive:
        # not is_dir(): before Python 3.12 it fails on a member without a name
        sizes = {entry.filename: entry.file_size for entry in archive.infolist() if not entry.filename.endswith("/")}
        name = _member(source, sizes, "zip")
        try:
            with archive.open(name) as member:
                yield from _all(member)
        except (RuntimeError, EOFError) as error:  # RuntimeError: encrypted
            raise ImageFormatError(f"{source.name}: its member {name!r} cannot be read: {error}") from error


def _zip_end(source: Source) -> int:
    """Where the last end record of a zip ends, with its comment: what zipfile looks for in the last 64 KiB alone."""
    first = max(source.size - _ZIP_TAIL, 0)
    tail = read(source, first, source.size - first)
    where = tail.rfind(_ZIP_END)
    while where >= 0:
        record = tail[where : where + 22]
        end = first + where + 22 + int.from_bytes(record[20:22], "little")
        directory = int.from_bytes(record[12:16], "little")
        if len(record) == 22 and end <= source.size and directory <= first + where:
            return end
        where = tail.rfind(_ZIP_END, 0, where)
    return source.size


def _tar(source: Source, reader: SourceReader, behind: Behind) -> Iterator[bytes]:
    with tarfile.open(fileobj=cast("IO[bytes]", reader), mode="r:") as archive:
        members, is_cut = _tar_members(source, archive)
        rest = after_zeros(source, archive.offset)
        if rest < source.size and not is_cut:
            behind.leave_out(rest)
        if any(name.endswith(("checkpoint/inventory.img", "checkpoint/pages-1.img")) for name in members):
            raise ImageFormatError(
                f"{source.name} is a checkpoint of one container (CRIU), not a node's RAM: {_first(source.name)}`memir"
                " analyze` and `memir hunt` read it; take the node's RAM with `memir acquire`"
            )
        chosen = members[_member(source, {name: member.size for name, member in members.items()}, "tar")]
        end = chosen.offset_data + chosen.size
        if not chosen.issparse():
            yield from _all(cast("IO[bytes]", SourceReader(source, min(end, source.size), chosen.offset_data)))
            if end > source.size:
                raise _cut(source)
            return
        content = archive.extractfile(chosen)
        assert content is not None
        try:
            yield from _all(content)
        except tarfile.ReadError as error:
            raise _cut(source) from error


def _first(name: str) -> str:
    """What is done to a packed checkpoint before it is read: it is not read in its place, as an image is."""
    path = name.removesuffix(" (unpacked)")
    if path == name:
        return ""
    how = f" (`zstd -d {shlex.quote(path)}`)" if Path(path).suffix == ".zst" else ""
    return f"unpack it{how}, then "


def _tar_members(source: Source, archive: tarfile.TarFile) -> tuple[dict[str, tarfile.TarInfo], bool]:
    """(regular files by name, whether the end of the file cuts off the last member)."""
    members: dict[str, tarfile.TarInfo] = {}
    try:
        for member in archive:
            if member.isreg():
                members[member.name] = member
            if len(members) > _MAX_MEMBERS:
                raise ImageFormatError(
                    f"{source.name}: a tar archive of more than {_MAX_MEMBERS} files, not of an image"
                )
    except tarfile.ReadError:
        if not members or archive.offset <= source.size:
            raise
        return members, True
    return members, False


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
