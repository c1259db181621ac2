# SPDX-License-Identifier: Apache-2.0
"""lib/buildid.c: the build id of the kernel itself."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_SHA1 = 20  # BUILD_ID_SIZE_MAX: what the linker's default makes, and all that vmlinux_build_id holds
_MAX_NOTES = 1 << 16  # a kernel's notes have a few hundred bytes; more is not the section
_NT_GNU_BUILD_ID = 3


def build_id(kernel: Kernel) -> str | None:
    """Build id in hex; None and a gap where the image does not hold it.

    `vmlinux_build_id` (since 5.14, "buildid: stash away kernels build ID on init"), else the ELF notes between
    `__start_notes` and `__stop_notes`, else what VMCOREINFO says.
    """
    known = _stashed(kernel) or _from_notes(kernel) or kernel.anchors.build_id
    if known is None:
        kernel.gaps.add("build id", "vmlinux_build_id, __start_notes", "not readable")
    return known


def _stashed(kernel: Kernel) -> str | None:
    address = kernel.symbols.get("vmlinux_build_id")
    if address is None:
        return None
    raw, ok = kernel.read_bytes(u64(address), _SHA1)
    return raw[0].tobytes().hex() if ok[0] and raw[0].any() else None


def _from_notes(kernel: Kernel) -> str | None:
    start, stop = kernel.symbols.get("__start_notes"), kernel.symbols.get("__stop_notes")
    if start is None or stop is None or not 0 < stop - start <= _MAX_NOTES:
        return None
    raw, ok = kernel.read_bytes(u64(start), stop - start)
    return gnu_build_id(raw[0].tobytes()) if ok[0] else None


def gnu_build_id(notes: bytes) -> str | None:
    """The GNU build id in ELF notes (Elf64_Nhdr: name size, descriptor size, type; each padded to 4 bytes)."""
    place = 0
    while place + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from("<III", notes, place)
        name = place + 12
        content = name + (name_size + 3 & ~3)
        if content + size > len(notes):
            return None
        if kind == _NT_GNU_BUILD_ID and notes[name : name + name_size] == b"GNU\0" and size:
            return notes[content : content + size].hex()
        place = content + (size + 3 & ~3)
    return None
