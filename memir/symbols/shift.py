# SPDX-License-Identifier: Apache-2.0
"""Where a kernel's image lies in a raw file whose offsets are not physical addresses, by what VMCOREINFO says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from memir.errors import AbsentMemoryError
from memir.image.memory import PhysicalMemory
from memir.symbols import vmcoreinfo
from memir.symbols.anchors import ADDRESS_MASK
from memir.symbols.vmcoreinfo import VmcoreInfo

_RELEASE = re.compile(rb"OSRELEASE=[ -~]{1,64}\n")
_MAX_SHIFTS = 16  # candidates that are tried: processes keep copies of utsname, each looks like one
_OVERLAP = 4096  # a page: longer than any pattern looked for, so that none is cut by a view's end
_X86_START_KERNEL_MAP = 0xFFFF_FFFF_8000_0000
_NAME_OFFSETS = (0, 4)  # of utsname in uts_namespace: 5.11 (9a56493f6942) moved the reference count behind it


def shifts(memory: PhysicalMemory) -> Iterator[int]:
    """Differences (physical address minus offset) that a VMCOREINFO and a utsname of one kernel agree on.

    The smallest first; a page table must lie where swapper_pg_dir then is. memory: a raw file, offsets as addresses.
    """
    tried: set[int] = set()
    for info in _infos(memory):
        uts = info.symbols.get("init_uts_ns")
        delta = _image_delta(info)
        if uts is None or delta is None:
            continue
        pa = (uts - delta) & ADDRESS_MASK
        pattern = re.compile(rb"Linux\0{60}[^\0]{0,64}\0{1,65}" + re.escape(info.release.encode()) + rb"\0")
        places = [place for place, _ in matches(memory, pattern)]
        wanted = sorted({pa + name - place for place in places for name in _NAME_OFFSETS}, key=abs)
        for shift in wanted:
            if shift not in tried and len(tried) < _MAX_SHIFTS and _has_tables(memory, info, delta, shift):
                tried.add(shift)
                yield shift


def _infos(memory: PhysicalMemory) -> Iterator[VmcoreInfo]:
    """VMCOREINFO texts at any offset."""
    for place, _ in matches(memory, _RELEASE):
        info = vmcoreinfo.parse(memory.read_partial(place, 4096)[0], place)
        if info.release and "swapper_pg_dir" in info.symbols:
            yield info


def _image_delta(info: VmcoreInfo) -> int | None:
    if "kimage_voffset" in info.numbers:
        return info.numbers["kimage_voffset"]
    if "phys_base" in info.numbers:
        return (_X86_START_KERNEL_MAP - info.numbers["phys_base"]) & ADDRESS_MASK
    return None


def _has_tables(memory: PhysicalMemory, info: VmcoreInfo, delta: int, shift: int) -> bool:
    """Whether a page table lies where swapper_pg_dir must be: some entries present, most of them empty."""
    table = ((info.symbols["swapper_pg_dir"] - delta) & ADDRESS_MASK) - shift
    try:
        words = np.frombuffer(memory.read(table, 4096), "<u8") if table >= 0 else np.zeros(0, np.uint64)
    except AbsentMemoryError:
        return False
    present = (words & np.uint64(1)) != 0
    return bool(present.any()) and bool((words[~present] == 0).all())


def matches(memory: PhysicalMemory, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) of every match in the file, those across two views included."""
    tail, after = b"", 0
    for start, view in memory.views(skip_zeros=True):
        if tail and start == after:
            edge = tail + view[:_OVERLAP].tobytes()
            for match in pattern.finditer(edge):
                if match.start() < len(tail) < match.end():
                    yield start - len(tail) + match.start(), match.group()
        for match in pattern.finditer(view.data):
            yield start + match.start(), bytes(match.group())
        tail, after = view[-_OVERLAP:].tobytes(), start + len(view)
