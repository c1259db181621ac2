# SPDX-License-Identifier: Apache-2.0
"""Open an image of any format. Formats are told by content, never by the file's name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from memir.errors import ImageFormatError, UsageError
from memir.image.layout import MAX_PHYSICAL, Layout, Segment
from memir.image.memory import PhysicalMemory
from memir.image.remote import ObjectReader, open_remote
from memir.image.source import MappedFile, Source, read

Progress = Callable[[str, int, int], None]
MIN_RAW = 1 << 20
"""Bytes: a raw file smaller than this is no node's RAM, whatever it is."""

_ZSTD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"
_HEAD = 16
_MAX_DEPTH = 3  # a packed image in a tar archive that is packed: more is no honest file
_VMWARE = (
    "the state of a suspended or snapshotted VMware machine (vmss, vmsn)",
    "give memir the .vmem file beside it; where there is none, the RAM is inside, in a form memir does not read",
)
_CRIU = (
    "a CRIU checkpoint's file: one container's state, not a node's RAM",
    "take the node's RAM with `memir acquire`",
)
# magics long enough not to be the first bytes of RAM by chance: (what it is, what to do)
_FOREIGN = {
    b"DISKDUMP": ("a diskdump, of a kernel before kdump", "crash reads it; memir reads kernels from 5.10 on"),
    b"PAGEDU64": ("a Windows crash dump", "memir reads Linux nodes"),
    b"PAGEDUMP": ("a Windows crash dump", "memir reads Linux nodes"),
    b"QFI\xfb": ("a qcow2 disk image", "memir needs RAM, not a disk"),
    b"LibvirtQemudSave": ("a libvirt save file", "take the RAM with `virsh dump --memory-only` instead"),
    b"QEVM": (
        "a QEMU migration stream (a snapshot's or a save file's state), whose pages stand in no order",
        "take the RAM with `dump-guest-memory FILE` in the machine's monitor: a stored stream can be loaded for that "
        "into a paused machine of the same kind (`-S -incoming`)",
    ),
    b"\xd0\xbe\xd2\xbe": _VMWARE,
    b"\xd1\xbe\xd2\xbe": _VMWARE,
    b"\xd2\xbe\xd2\xbe": _VMWARE,
    b"EVF\x09\x0d\x0a\xff\0": (
        "an EnCase image (E01)",
        "export the raw bytes with the tool that made it, and give memir those if they are RAM and no disk",
    ),
    b"EVF2\x0d\x0a\x81\0": ("an EnCase image (Ex01)", "export the raw bytes with the tool that made it"),
    b"\x19\x43\x56\x54": _CRIU,
    b"\x40\x59\x10\x55": _CRIU,
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it first, with `7z x FILE`"),
}


def open_image(
    path: str | Path,
    *,
    allow_truncated: bool = False,
    cache: Path | None = None,
    progress: Progress | None = None,
    base: int | None = None,
    reader: ObjectReader | None = None,
) -> PhysicalMemory:
    """The physical memory in an image file, or in an object that `reader` reads (memir.aws.image for s3://).

    cache: folder for unpacked images and scratch files; if None, XDG's cache folder for the one and the system's
    temporary folder for the other. base: physical address of a raw file's first byte. progress(what, done, total),
    in bytes of the file, is called while an image is unpacked.

    Raises the ImageError that says what is wrong and at which offset, UsageError for a base that does not fit.
    """
    source: Source
    if str(path).startswith("s3://"):
        if reader is None:
            raise UsageError(f"{path}: open it with memir.aws.image.open_image, which reads from S3")
        source = open_remote(reader, cache)
    else:
        source = _file(Path(path), cache)
    try:
        layout = _layout(source, allow_truncated, cache, progress, base)
        try:
            return PhysicalMemory(layout)
        except BaseException:
            layout.data.close()
            raise
    except BaseException:
        source.close()
        raise


def _file(path: Path, cache: Path | None) -> Source:
    from memir.image.split import JoinedFile, parts_of

    parts = parts_of(path)
    return JoinedFile(parts, cache) if parts else MappedFile(path)


def _layout(
    source: Source,
    allow_truncated: bool,
    cache: Path | None,
    progress: Progress | None,
    base: int | None,
    depth: int = 0,
) -> Layout:
    container = _container(source) if depth < _MAX_DEPTH else None
    if container is None:
        return _inner(source, allow_truncated, cache, base)
    inner: Source | None = None
    missing = behind = 0
    if container == "zstd":
        from memir.image import zstd

        inner = zstd.seekable(source, cache, workers=0 if source.lazy is None else 8)
    if inner is None:
        from memir.image.unpack import unpacked

        target, missing, behind = unpacked(source, container, _cache(cache) / "images", allow_truncated, progress)
        # an offset in a message is one in the unpacked bytes; the copy's own path would mean nothing to the reader
        inner = MappedFile(target, f"{source.name} (unpacked)")
    try:
        layout = _layout(inner, allow_truncated, cache, progress, base, depth + 1)
    except BaseException:
        inner.close()
        raise
    kinds = f"{layout.container} in {container}" if layout.container else container
    left_out = (f"{behind} bytes behind the {container} data are left out: they are none of it",) if behind else ()
    return dataclasses.replace(
        layout,
        original=source,
        container=kinds,
        missing=layout.missing or missing,
        repairs=(*layout.repairs, *left_out),
    )


def _cache(cache: Path | None) -> Path:
    """The folder given, else XDG's: never a shared one, as RAM holds secrets and what is found there is trusted."""
    return cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memir"


def _container(source: Source) -> str | None:
    from memir.image import zstd

    start = read(source, 0, min(4, source.size))
    if start == _ZSTD or (len(start) == 4 and zstd.is_skippable(int.from_bytes(start, "little"))):
        return "zstd"
    from memir.image import streams

    return "gzip" if start[:3] == _GZIP else streams.container_of(source)


def _no_base(source: Source, base: int | None) -> None:
    if base is not None:
        raise UsageError(f"{source.name}: the base address is for raw images; this one says its addresses itself")


def _inner(source: Source, allow_truncated: bool, cache: Path | None, base: int | None) -> Layout:
    start = read(source, 0, min(_HEAD, source.size))
    if start[:4] in (b"\x7fELF", b"EMiL", b"AVML"):
        _no_base(source, base)
        if start[:4] == b"\x7fELF":
            from memir.image import elf

            return elf.read_layout(source, allow_truncated)
        from memir.image import lime
        from memir.image.lemon import without_failed

        return without_failed(lime.read_layout(source, allow_truncated, cache))
    if start.startswith(b"KDUMP   "):
        from memir.image import kdump

        return kdump.read_layout(source, allow_truncated, cache)
    if start == b"makedumpfile\0\0\0\0":
        from memir.image import flattened, kdump

        inner, missing = flattened.restored(source, cache, allow_truncated)
        layout = kdump.read_layout(inner, allow_truncated, cache)
        return dataclasses.replace(layout, original=source, container="flattened", missing=layout.missing or missing)
    for magic, (what, advice) in _FOREIGN.items():
        if start.startswith(magic):
            raise ImageFormatError(f"{source.name} is {what}: {advice}")
    if source.size < MIN_RAW:
        raise ImageFormatError(
            f"{source.name}: {source.size} bytes that begin with {start!r}: no format memir knows, "
            "and too small for raw RAM"
        )
    first = base or 0
    if not 0 <= first <= MAX_PHYSICAL - source.size:
        raise UsageError(f"{source.name}: {source.size} bytes of RAM cannot begin at {first:#x}")
    from memir.image.lemon import without_failed

    return without_failed(Layout("raw", [Segment(first, source.size, 0)], source, source))
