# SPDX-License-Identifier: Apache-2.0
"""The memory of one process as an ELF core: core(5), elf(5), pagemap.rst. Nothing is stopped and nothing attached.

What is in RAM or swapped out by the process's own page table (/proc/PID/pagemap) is read from /proc/PID/mem; a page
that was never touched, or of a file that nobody has read, is not made present by us and is not in the core. Regions of
devices (VmFlags io, pf) are left out: to read them may do something. A page that is gone when it is read is zeros, and
its address is in the item's facts.
"""

import os
import re
import struct
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from memir.collect.node.frames import Frames
from memir.collect.node.procfs import read, text

PAGE = 4096
MACHINES = {"x86_64": 62, "aarch64": 183}
PRESENT, SWAPPED = 1 << 63, 1 << 62
LEFT_OUT = ("[vvar]", "[vvar_vclock]", "[vsyscall]")
MAX_REGIONS = 100000
MAX_NAMED = 10000
_HEADER, _PROGRAM = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ([rwxsp-]{4}) ([0-9a-f]+) [0-9a-f]+:[0-9a-f]+ \d+ *(.*)")


class Region(NamedTuple):
    """A region of a process's memory; flags as in an ELF core: 4 read, 2 write, 1 execute."""

    start: int
    end: int
    flags: int
    offset: int
    name: str


def regions(pid: int) -> Tuple[List[Region], int]:
    """The regions that can be read without doing anything, and how many were left out as devices'. OSError."""
    out: List[Region] = []
    devices = 0
    try:
        lines = text(read("/proc/%d/smaps" % pid, 256 << 20)).split("\n")
    except OSError:
        lines = text(read("/proc/%d/maps" % pid, 64 << 20)).split("\n")
    for row in lines:
        match = _MAP.fullmatch(row)
        if match and len(out) < MAX_REGIONS:
            rights = match.group(3)
            flags = (4 if rights[0] == "r" else 0) | (2 if rights[1] == "w" else 0) | (1 if rights[2] == "x" else 0)
            start, end = int(match.group(1), 16), int(match.group(2), 16)
            if match.group(5) not in LEFT_OUT and end <= 1 << 63:
                out.append(Region(start, end, flags, int(match.group(4), 16), match.group(5)))
        elif row.startswith("VmFlags:") and out and {"io", "pf"} & set(row.split()[1:]):
            out.pop()
            devices += 1
    return out, devices


def runs(pid: int, region: Region, page: int) -> Iterator[Tuple[int, int]]:
    """(start, end) of the region's pages that the process has, in RAM or in swap. OSError."""
    with open("/proc/%d/pagemap" % pid, "rb", buffering=0) as file:
        begin = -1
        step = 1 << 16  # pages at once
        for first in range(region.start // page, region.end // page, step):
            count = min(step, region.end // page - first)
            file.seek(first * 8)
            data = file.read(count * 8)
            entries = struct.unpack("<%dQ" % (len(data) // 8), data[: len(data) // 8 * 8])
            for number, entry in enumerate(entries):
                have = bool(entry & (PRESENT | SWAPPED))
                if have and begin < 0:
                    begin = (first + number) * page
                elif not have and begin >= 0:
                    yield begin, (first + number) * page
                    begin = -1
            if len(entries) < count:
                break
        if begin >= 0:
            yield begin, min(region.end, (first + len(entries)) * page)


def headers(machine: int, notes: bytes, segments: List[Tuple[int, int, int]]) -> bytes:
    """All that stands before the first segment's bytes. segments: (start, size, flags)."""
    many = len(segments) + 1
    note = _HEADER.size + _PROGRAM.size * many
    section = (note + len(notes) + 7) & ~7
    extended = many >= 0xFFFF  # then section 0 has the number: elf(5), PN_XNUM
    end = section + (_SECTION.size if extended else 0)
    place = -(-end // PAGE) * PAGE
    parts = [
        _HEADER.pack(
            b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), 4, machine, 1, 0, _HEADER.size, section if extended else 0, 0,
            _HEADER.size, _PROGRAM.size, 0xFFFF if extended else many, _SECTION.size if extended else 0,
            1 if extended else 0, 0,
        ),
        _PROGRAM.pack(4, 0, note, 0, 0, len(notes), 0, 4),
    ]  # fmt: skip
    total = place
    for start, size, flags in segments:
        parts.append(_PROGRAM.pack(1, flags, place, start, 0, size, size, PAGE))
        place += size
    body = b"".join(parts) + notes
    if extended:
        body = body.ljust(section, b"\0") + _SECTION.pack(0, 0, 0, 0, 0, 0, 0, many, 0, 0)
    return body.ljust(total, b"\0")


def _note(kind: int, data: bytes) -> bytes:
    return struct.pack("<III", 5, len(data), kind) + b"CORE\0\0\0\0" + data + bytes(-len(data) % 4)


def notes_of(pid: int, every: List[Region]) -> bytes:
    """NT_PRPSINFO, NT_AUXV and NT_FILE: what the process is, and which files are mapped where. No registers."""
    words = text(read("/proc/%d/stat" % pid, 4096))
    name, _, rest = words.partition("(")[2].rpartition(")")
    fields = rest.split()
    status = dict(row.partition(":")[::2] for row in text(read("/proc/%d/status" % pid, 1 << 16)).split("\n"))
    owner = [int((status.get(key) or "0").split()[0]) for key in ("Uid", "Gid")]
    arguments = read("/proc/%d/cmdline" % pid, 80).replace(b"\0", b" ")
    head = struct.pack(
        "<B1sBbxxxxQIIIIII", max("RSDTZW".find(fields[0]), 0), fields[0].encode("ascii", "replace"), fields[0] == "Z",
        0, 0, owner[0], owner[1], pid, int(fields[1]), int(fields[2]), int(fields[3]),
    )  # fmt: skip
    short = name.encode("utf-8", "surrogateescape")[:15].ljust(16, b"\0") + arguments[:79].ljust(80, b"\0")
    files = [region for region in every if region.name.startswith("/")]
    rows = b"".join(struct.pack("<QQQ", region.start, region.end, region.offset // PAGE) for region in files)
    names = b"".join(region.name.encode("utf-8", "surrogateescape") + b"\0" for region in files)
    table = struct.pack("<QQ", len(files), PAGE) + rows + names
    return _note(3, head + short) + _note(6, read("/proc/%d/auxv" % pid, 1 << 16)) + _note(0x46494C45, table)


def write_core(frames: Frames, pid: int, name: str) -> None:
    """The memory of a process as the item `name`; a gap if it cannot be read."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        frames.gap("memory", "pid %d" % pid, "no core for a %s" % os.uname().machine, True)
        return
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        every, devices = regions(pid)
        segments = [(start, end - start, region.flags) for region in every for start, end in runs(pid, region, page)]
        head = headers(machine, notes_of(pid, every), segments)
        memory = open("/proc/%d/mem" % pid, "rb", buffering=0)  # noqa: SIM115  (closed below)
    except (OSError, ValueError, IndexError) as error:
        ended = isinstance(error, (FileNotFoundError, ProcessLookupError))
        why = "ended before its memory was read" if ended else str(getattr(error, "strerror", error))
        frames.gap("memory", "pid %d" % pid, why, not ended)
        return
    if not segments:
        memory.close()
        return  # a kernel thread or a zombie
    item = frames.item(name)
    lost: List[List[int]] = []
    gone = 0
    with memory:
        item.write(head)
        for start, size, _ in segments:
            for address in range(start, start + size, 1 << 20):
                want = min(1 << 20, start + size - address)
                for offset, data in _pages(memory, address, want, page):
                    if not data:
                        gone += page
                        if len(lost) < MAX_NAMED:
                            lost.append([address + offset, page])
                    item.write(data or bytes(page))
    facts: Dict[str, Any] = {"regions": len(every), "segments": len(segments), "device_regions_left_out": devices}
    item.facts = dict(facts, bytes=sum(size for _, size, _ in segments), zeros_for=lost, bytes_gone=gone)
    item.close("%d bytes were gone when they were read: zeros" % gone if gone else "")


def _pages(memory: Any, address: int, size: int, page: int) -> Iterator[Tuple[int, bytes]]:
    """(offset, bytes) in order; b"" stands for one page that cannot be read."""
    offset = 0
    while offset < size:
        try:
            memory.seek(address + offset)
            data = memory.read(size - offset)
        except OSError:
            data = b""
        data = data[: len(data) // page * page]
        yield offset, data
        offset += len(data) or page
