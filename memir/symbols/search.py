# SPDX-License-Identifier: Apache-2.0
"""Searches over the whole of RAM, for images whose kernel does not say where its own parts are."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memir.errors import AbsentMemoryError, BtfError
from memir.image.memory import PhysicalMemory
from memir.symbols import btf
from memir.symbols.anchors import ADDRESS_MASK
from memir.symbols.btf import BtfTypes
from memir.symbols.table import Symbols
from memir.symbols.types import KernelTypes

IMAGE_SPAN = 96 << 20
"""Bytes: no cloud kernel's image, text to bss, is longer."""

_BTF_MAGIC = np.uint32(int.from_bytes(b"\x9f\xeb\x01\x00", "little"))
_SWAPPER = np.uint64(int.from_bytes(b"swapper/", "little"))
_BANNER = b"Linux version "


def image_span(memory: PhysicalMemory, pa: int, size: int = IMAGE_SPAN) -> tuple[int, NDArray[np.uint8]]:
    """The bytes of the kernel image around a physical address of its text: (physical address of the first, bytes).

    Ends where the range of RAM ends. AbsentMemoryError if the address itself is not in the image.
    """
    for part in memory.ranges:
        if part.start <= pa < part.end:
            low = max(part.start, (pa & ~0x1FFFFF) - (2 << 20))
            high = min(part.end, low + size)
            view = next(iter(memory.views(1 << 40, low, high)), None)
            if view is not None and view[0] == low and len(view[1]) == high - low:
                return view  # no copy: it may be a tenth of a small image
            return low, np.frombuffer(memory.read_partial(low, high - low)[0], np.uint8)
    raise AbsentMemoryError(f"{memory.path}: the kernel's text at physical address {pa:#x} is not in the image")


def _windows(memory: PhysicalMemory, near: int | None) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Views of RAM: those around `near` first, then all."""
    if near is not None:
        yield from memory.views(lo=max(0, (near & ~0x1FFFFF) - (2 << 20)), hi=near + IMAGE_SPAN, skip_zeros=True)
    yield from memory.views(skip_zeros=True)


def _words(view: NDArray[np.uint8], dtype: str, offset: int) -> NDArray[np.uint64]:
    size = np.dtype(dtype).itemsize
    return np.ndarray((max(0, (len(view) - offset) // size),), dtype, view, offset)


def btf_between(memory: PhysicalMemory, symbols: Symbols, delta: int) -> BtfTypes | None:
    """The kernel's own BTF where the symbols put it, to which modules' types refer; None if not readable."""
    start, stop = symbols.get("__start_BTF"), symbols.get("__stop_BTF")
    if start is None or stop is None or not 0 < stop - start < 64 << 20:
        return None
    try:
        return btf.parse(memory.read((start - delta) & ADDRESS_MASK, stop - start))
    except (AbsentMemoryError, BtfError):
        return None


def find_btf(memory: PhysicalMemory, near: int | None) -> BtfTypes | None:
    """The kernel's BTF by its magic, checked to hold task_struct; None if there is none that parses."""
    tried: set[int] = set()
    for pa, view in _windows(memory, near):
        skip = -pa % 4
        for word in np.flatnonzero(_words(view, "<u4", skip) == _BTF_MAGIC):
            address = pa + skip + 4 * int(word)
            if address in tried:
                continue
            tried.add(address)
            try:
                size = btf.find_btf_header_ok(memory.read(address, 64))
                if size is None or size[1] < 1 << 19:
                    continue
                types = btf.parse(memory.read(address, size[1]))
            except (BtfError, AbsentMemoryError):
                continue
            if types.struct("task_struct") is not None:
                return types
    return None


def find_init_tasks(memory: PhysicalMemory, types: KernelTypes, near: int | None) -> Iterator[tuple[int, int]]:
    """(virtual, physical) address of every task "swapper/0" that names itself as leader and parent."""
    comm = types.offset("task_struct", "comm")
    selves = [types.offset("task_struct", name) for name in ("group_leader", "real_parent", "parent")]
    seen: set[int] = set()
    for pa, view in _windows(memory, near):
        skip = (comm - pa) % 8
        for word in np.flatnonzero(_words(view, "<u8", skip) == _SWAPPER):
            task = pa + skip + 8 * int(word) - comm
            if task in seen or task < 0:
                continue
            seen.add(task)
            try:
                if memory.read(task + comm + 8, 2) != b"0\0":
                    continue
                pointers = {int.from_bytes(memory.read(task + offset, 8), "little") for offset in selves}
            except AbsentMemoryError:
                continue
            va = pointers.pop()
            if not pointers and va >> 47 == 0x1FFFF and (va - task) & 0xFFF == 0:
                yield va, task


def find_banner(memory: PhysicalMemory, symbols: Symbols, delta: int, release: str, text: int) -> str | None:
    """The text of linux_banner, by its symbol or by its words in the kernel image; None if it is not readable."""
    known = symbols.get("linux_banner")
    if known is not None:
        banner = _banner_at(memory, (known - delta) & ADDRESS_MASK, release)
        if banner is not None:
            return banner
    try:
        low, span = image_span(memory, (text - delta) & ADDRESS_MASK)
    except AbsentMemoryError:
        return None
    unnumbered = None
    for match in re.finditer(re.escape(_BANNER + release.encode()), span.data):
        banner = _banner_at(memory, low + match.start(), release)
        if banner is not None and re.search("#[0-9]", banner):
            return banner
        if banner is not None and "#" in banner:
            unnumbered = unnumbered or banner  # 6.1 (2df8220cc511) on: a weak copy is left behind the real one
    return unnumbered


def _banner_at(memory: PhysicalMemory, pa: int, release: str) -> str | None:
    try:
        raw = memory.read(pa, 1024)
    except AbsentMemoryError:
        return None
    text = raw.split(b"\0", 1)[0]
    if not text.startswith(_BANNER + release.encode()) or not text.endswith(b"\n"):
        return None
    return text.decode("utf-8", "backslashreplace").rstrip("\n")
