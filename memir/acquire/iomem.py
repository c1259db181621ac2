"""Which physical memory a complete image must hold, and whether it does.

/proc/iomem names the RAM; the PT_LOAD headers of /proc/kcore say which of it the kernel hands out. AVML cuts
each piece that is in both into blocks of at most 16 MiB and leaves out a block that is all zero, without a
mark. So a hole is a zero block only if it is whole blocks of that grid; anything else that is missing is
missing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Range = tuple[int, int]
"""Physical addresses, first and one past the last."""

AVML_BLOCK = 16 << 20
PAGE = 4096
MAX_RANGES = 65_536
_LINE = re.compile(r"^( *)([0-9a-f]{1,16})-([0-9a-f]{1,16}) : (.*)$")


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an image holds of a node's RAM; every list in order of address.

    missing: RAM that should be there and is not. zero: holes that the tool leaves for all-zero blocks.
    unreadable: edges of less than a page and RAM that /proc/kcore does not hand out. extra: ranges outside
    RAM.
    """

    ram: tuple[Range, ...]
    missing: tuple[Range, ...]
    zero: tuple[Range, ...]
    unreadable: tuple[Range, ...]
    extra: tuple[Range, ...]

    @property
    def withheld(self) -> tuple[Range, ...]:
        """Whole pages of RAM that /proc/kcore does not hand out: nobody can say what was in them."""
        return tuple(one for one in self.unreadable if one[1] - one[0] >= PAGE)

    @property
    def complete(self) -> bool:
        """Every page of System RAM is there or was left out as zero."""
        return bool(self.ram) and not self.missing and not self.withheld


def parse_iomem(text: bytes) -> tuple[Range, ...]:
    """The System RAM ranges of /proc/iomem, merged, in order.

    `System RAM (virtio_mem)` and the like count, also below another resource. Returns () when the kernel hid
    the addresses (all zero, as without CAP_SYS_ADMIN) or there is none; lines that are not iomem's are passed
    over.
    """
    found: list[Range] = []
    for line in text.decode("utf-8", "replace").splitlines():
        match = _LINE.match(line)
        if not match or not match[4].startswith("System RAM"):
            continue
        start, end = int(match[2], 16), int(match[3], 16) + 1
        if (start, end) == (0, 1) or end <= start:
            continue
        found.append((start, end))
        if len(found) > MAX_RANGES:
            break
    return merge(found)


def parse_kcore(head: bytes) -> tuple[Range, ...]:
    """Physical ranges of the PT_LOADs of /proc/kcore's first bytes that have a physical address.

    () if unknown.
    """
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
        return ()
    table, size, count = struct.unpack_from("<Q14xHH", head, 32)
    if size < 56 or count > 4096:
        return ()
    found = []
    for index in range(count):
        place = table + index * size
        if place + 56 > len(head):
            return ()
        kind, _, _, _, paddr, filesz = struct.unpack_from("<IIQQQQ", head, place)
        # -1 marks segments without a physical address (vmalloc, modules, kernel text)
        if kind == 1 and filesz and paddr + filesz < 1 << 63 and (paddr or index):
            found.append((paddr, paddr + filesz))
    return merge(found)


def merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Sort and join what touches or overlaps."""
    out: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return tuple(out)


def subtract(ranges: Sequence[Range], away: Sequence[Range]) -> tuple[Range, ...]:
    """What of `ranges` is not in `away`; both merged and in order."""
    out: list[Range] = []
    index = 0
    for start, end in ranges:
        while index < len(away) and away[index][1] <= start:
            index += 1
        at, i = start, index
        while i < len(away) and away[i][0] < end:
            if away[i][0] > at:
                out.append((at, away[i][0]))
            at = max(at, away[i][1])
            i += 1
        if at < end:
            out.append((at, end))
    return tuple(out)


def intersect(ranges: Sequence[Range], others: Sequence[Range]) -> tuple[Range, ...]:
    """What is in both; both merged and in order."""
    return subtract(ranges, subtract(ranges, others))


def total(ranges: Iterable[Range]) -> int:
    """Bytes in the ranges."""
    return sum(end - start for start, end in ranges)


def compare(
    ram: Sequence[Range],
    got: Sequence[Range],
    kcore: Sequence[Range] = (),
    block: int = AVML_BLOCK,
    *,
    ended: bool = True,
) -> Coverage:
    """Compare an image's ranges with the node's RAM.

    ram: System RAM of /proc/iomem. kcore: what /proc/kcore hands out (() not known: all of the RAM is
    expected). block: the tool's block size for leaving out zeros; 0 if it leaves out nothing (LiME). ended: the
    tool came to its end; if not, what lies above the last range that arrived was never looked at.
    """
    ram, have = merge(ram), merge(got)
    readable = intersect(ram, merge(kcore)) if kcore else ram
    unreadable = list(subtract(ram, readable))
    reached = (1 << 64) if ended else max((end for _, end in have), default=0)
    missing: list[Range] = []
    zero: list[Range] = []
    for hole in subtract(readable, have):
        owner = next(piece for piece in readable if piece[0] <= hole[0] and hole[1] <= piece[1])
        if _edge(hole, owner):
            unreadable.append(hole)
        elif block and hole[0] < reached and _on_grid(hole, owner, block):
            zero.append(hole)
        else:
            missing.append(hole)
    return Coverage(tuple(ram), tuple(missing), tuple(zero), tuple(sorted(unreadable)), subtract(have, ram))


def _edge(hole: Range, owner: Range) -> bool:
    # the kernel knows whole pages only: a range that does not begin or end on a page loses that rest
    if hole[1] - hole[0] >= PAGE:
        return False
    first = hole[0] == owner[0] and hole[0] % PAGE != 0 and hole[1] % PAGE == 0
    last = hole[1] == owner[1] and hole[1] % PAGE != 0 and hole[0] % PAGE == 0
    return first or last


def _on_grid(hole: Range, owner: Range, block: int) -> bool:
    starts = (hole[0] - owner[0]) % block == 0
    ends = hole[1] == owner[1] or (hole[1] - owner[0]) % block == 0
    return starts and ends


def show(ranges: Sequence[Range], most: int = 4) -> str:
    """The ranges in words, the first few."""
    words = [f"{start:#x}-{end - 1:#x}" for start, end in ranges[:most]]
    rest = len(ranges) - most
    return ", ".join(words) + (f" and {rest} more" if rest > 0 else "")
