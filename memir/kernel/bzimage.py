# SPDX-License-Identifier: Apache-2.0
"""A kernel as it lies in /boot: the x86 boot protocol's bzImage, and the ELF file that is packed in it.

https://docs.kernel.org/arch/x86/boot.html: setup sectors, then the protected-mode code, in which `payload_offset` and
`payload_length` (protocol 2.08) name the packed vmlinux. Behind all but gzip stands its unpacked length (size_append,
scripts/Makefile.lib).
"""

from __future__ import annotations

import io
import lzma
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

from memir.errors import SymbolsError

_MOST_PACKED, MOST = 256 << 20, 512 << 20
"""Bytes of a bzImage, and of the kernel in it: many times what distributions have."""
_CORE = b"\4\0"  # ET_CORE: an image of RAM
_LZ4_MAGIC, _LZ4_BLOCK = 0x184C2102, 8 << 20  # lz4 -l, lib/decompress_unlz4.c
_OTHERS = {b"BZh": "bzip2", b"\x5d\0\0": "lzma", b"\x89LZO": "lzo"}
_HINT = "give the build's vmlinuz (/boot/vmlinuz-RELEASE of the node) or vmlinux"


@dataclass(frozen=True)
class KernelFile:
    """The ELF file of a kernel. handle: file that it is in, from its start to `size`. path: as it was given."""

    path: Path
    handle: io.BufferedIOBase
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """So many bytes. SymbolsError where the file ends before."""
        if not 0 <= offset <= offset + size <= self.size:
            raise SymbolsError(f"{self.path}: {size} bytes at {offset:#x} lie behind its end: a damaged copy; {_HINT}")
        self.handle.seek(offset)
        data = self.handle.read(size)
        if len(data) != size:
            raise SymbolsError(f"{self.path}: cannot be read at {offset:#x}: a damaged copy; {_HINT}")
        return data


def is_kernel(path: Path) -> bool:
    """Whether it begins as a vmlinuz or an ELF file that is no core dump; False for what cannot be read, too."""
    try:
        with path.open("rb") as handle:
            head = handle.read(0x206)
    except OSError:
        return False
    return head[0x202:] == b"HdrS" or (head[:4] == b"\x7fELF" and head[16:18] != _CORE)


def open_kernel(path: Path) -> KernelFile:
    """The ELF file in a vmlinuz, or a vmlinux itself. SymbolsError for anything else, OSError's too."""
    try:
        handle = path.open("rb")
        size = os.fstat(handle.fileno()).st_size
        head = handle.read(0x250)
        if head[:4] == b"\x7fELF":
            return KernelFile(path, handle, size)
        with handle:
            if head[0x202:0x206] != b"HdrS":
                raise SymbolsError(f"{path}: {_other(head)}; {_HINT}")
            if size > _MOST_PACKED:
                raise SymbolsError(f"{path}: {size} bytes are more than any kernel; {_HINT}")
            handle.seek(0)
            packed = handle.read(_MOST_PACKED)
    except OSError as error:
        raise SymbolsError(f"{path}: cannot be read: {error.strerror or error}; {_HINT}") from error
    data = unpacked(packed, path)
    return KernelFile(path, io.BytesIO(data), len(data))


def unpacked(image: bytes, path: Path) -> bytes:
    """The ELF file in a bzImage. SymbolsError if it is cut, damaged, or packed in a way that is not read."""
    payload = _payload(image, path)
    try:
        data = _unpack(payload)
    except (lzma.LZMAError, zlib.error, EOFError, ValueError, MemoryError) as error:
        raise SymbolsError(f"{path}: the kernel packed in it cannot be unpacked ({error}); {_HINT}") from error
    if data is None:
        kind = next((name for magic, name in _OTHERS.items() if payload.startswith(magic)), "something unknown")
        raise SymbolsError(f"{path}: packed with {kind}, which is not read; unpack it with the kernel's "
                           "scripts/extract-vmlinux and give the vmlinux")  # fmt: skip
    if len(data) != int.from_bytes(payload[-4:], "little") or data[:4] != b"\x7fELF":
        raise SymbolsError(f"{path}: what is packed in it is not a whole kernel: a damaged copy; {_HINT}")
    return data


def _payload(image: bytes, path: Path) -> bytes:
    """The packed kernel, and the length behind it."""
    start = ((image[0x1F1] or 4) + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")
    size = int.from_bytes(image[0x24C:0x250], "little")
    if int.from_bytes(image[0x206:0x208], "little") < 0x208 or not size or start + size > len(image):
        raise SymbolsError(f"{path}: {len(image)} bytes, less than its header promises: a damaged copy; {_HINT}")
    return image[start : start + size]


def _unpack(payload: bytes) -> bytes | None:
    """Up to MOST bytes; None for a packing that is not known. ValueError and the libraries' own for damaged ones."""
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=512 << 20).decompress(payload, MOST)
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(31).decompress(payload, MOST)
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        return _zstd(payload)
    if int.from_bytes(payload[:4], "little") == _LZ4_MAGIC:
        return _lz4(payload[4:-4])
    return None


def _zstd(payload: bytes) -> bytes:
    import zstandard

    try:
        limited = zstandard.ZstdDecompressor(max_window_size=1 << 28)
        with limited.stream_reader(payload, read_across_frames=False) as stream:
            return bytes(stream.read(MOST))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def _lz4(blocks: bytes) -> bytes:
    """Blocks behind their packed lengths."""
    import lz4.block  # type: ignore[import-untyped]  # the package has no types

    parts, place, total = [], 0, 0
    while place + 4 <= len(blocks):
        size = int.from_bytes(blocks[place : place + 4], "little")
        place += 4
        if size == _LZ4_MAGIC:
            continue
        if not 0 < size <= len(blocks) - place or total > MOST:
            raise ValueError(f"block of {size} bytes at {place}")
        try:
            part = lz4.block.decompress(blocks[place : place + size], uncompressed_size=_LZ4_BLOCK)
        except lz4.block.LZ4BlockError as error:
            raise ValueError(str(error)) from error
        parts.append(bytes(part))
        total += len(part)
        place += size
    return b"".join(parts)


def _other(head: bytes) -> str:
    if head[0x38:0x3C] == b"ARM\x64" or head[:2] == b"\x1f\x8b" or head[4:8] == b"zimg":
        return "no x86-64 kernel (arm64's Image?): only the text of x86-64 kernels is compared"
    return "no kernel"
