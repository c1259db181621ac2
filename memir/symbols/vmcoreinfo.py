# SPDX-License-Identifier: Apache-2.0
"""The VMCOREINFO text that the kernel keeps for crash dumps: one page of KEY=VALUE lines.

Written by crash_save_vmcoreinfo_init() (kernel/vmcore_info.c, before 6.9 kernel/crash_core.c) at the start of a page
of its own. Found by looking at the first words of every page, so no byte pattern search is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memir.errors import AbsentMemoryError
from memir.image.memory import PhysicalMemory

_FIRST_WORD = np.uint64(int.from_bytes(b"OSRELEAS", "little"))
_PAGE = 4096
_EARLY = 96 << 20  # only time depends on it: the rest is looked through afterwards
_ZONE = 1 << 32  # ZONE_DMA32 ends and ZONE_NORMAL begins here
_LINE = re.compile(rb"^(?:([A-Z]+)\(([^()]{1,64})\)|([A-Za-z_][A-Za-z0-9_.-]{0,64}))=([ -~]{0,128})$")


@dataclass(frozen=True)
class VmcoreInfo:
    """One parsed copy.

    address: physical address of the page it was found in.
    plain: KEY=VALUE lines. symbols, numbers: SYMBOL(x)= and NUMBER(x)= lines as integers modulo 2**64.
    """

    address: int
    plain: dict[str, str]
    symbols: dict[str, int]
    numbers: dict[str, int]

    @property
    def release(self) -> str:
        """Kernel release as `uname -r` prints it."""
        return self.plain.get("OSRELEASE", "")

    @property
    def build_id(self) -> str | None:
        """GNU build id in hexadecimal, where the kernel writes it (5.9 on)."""
        return self.plain.get("BUILD-ID") or None

    @property
    def kernel_offset(self) -> int | None:
        """KASLR shift of the kernel image's virtual addresses, in bytes."""
        value = self.plain.get("KERNELOFFSET")
        return _integer(value, 16) if value is not None else None


def _integer(text: str, base: int) -> int | None:
    try:
        return int(text, 0 if text.startswith("0x") else base) & (2**64 - 1)
    except ValueError:
        return None


def parse(text: bytes, address: int) -> VmcoreInfo:
    """Parse the bytes up to the first NUL; lines that are not of the form are left out (the page may be torn)."""
    plain: dict[str, str] = {}
    symbols: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for line in text.split(b"\0", 1)[0].splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        call, name, key, value = (
            part.decode("ascii", "replace") if part is not None else "" for part in match.groups()
        )
        if key:
            plain[key] = value
        elif call in ("SYMBOL", "NUMBER"):
            number = _integer(value, 16 if call == "SYMBOL" else 10)
            if number is not None:
                (symbols if call == "SYMBOL" else numbers)[name] = number
    return VmcoreInfo(address, plain, symbols, numbers)


def _windows(memory: PhysicalMemory) -> Iterator[tuple[int, int]]:
    """Where to look first: the page is allocated early in boot, near the start of a memory zone; then everywhere."""
    for part in memory.ranges:
        yield part.start, min(part.end, part.start + _EARLY)
        if part.start < _ZONE < part.end:
            yield _ZONE, min(part.end, _ZONE + _EARLY)
    yield 0, memory.end


def find(memory: PhysicalMemory) -> Iterator[VmcoreInfo]:
    """Every VMCOREINFO page of the image, likeliest places first; a guest's or an old kernel's may be among them."""
    seen: set[int] = set()
    for low, high in _windows(memory):
        for pa, view in memory.views(lo=low, hi=high, skip_zeros=True):
            for address in _candidates(pa, view):
                if address in seen:
                    continue
                seen.add(address)
                try:
                    info = parse(memory.read(address, _PAGE), address)
                except AbsentMemoryError:
                    continue
                if info.release and "swapper_pg_dir" in info.symbols:
                    yield info


def _candidates(pa: int, view: NDArray[np.uint8]) -> list[int]:
    """Addresses of the pages in a view that begin as VMCOREINFO does."""
    skip = -pa % _PAGE
    pages = (len(view) - skip) // _PAGE
    if pages <= 0:
        return []
    first = np.ndarray((pages,), "<u8", view, skip, (_PAGE,))
    return [pa + skip + int(page) * _PAGE for page in np.flatnonzero(first == _FIRST_WORD)]
