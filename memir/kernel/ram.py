# SPDX-License-Identifier: Apache-2.0
"""How much of the node's RAM an image holds, by the kernel's own account of it and not by the file's.

A file that was cut, or a capture that lacks a range, opens like a whole one. The kernel knows what RAM the machine
has: the list that is most its own answers (iomem_resource, which /proc/iomem prints and acquisition tools follow),
others stand in where that is unreadable, as it is when the very part that holds it is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memir.image.layout import Range
from memir.image.write import BLOCK
from memir.kernel import e820, ioport, memblock, mmzone, page

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

PAGE = 4096
GAP = "RAM"
"""The kind of the gap that counts the missing bytes."""
_FEW = 64  # of the 4,096 pages of a block: slabs that a running node makes meanwhile; a used block holds more
_MANY = 1000  # ranges that a document lists; the count of bytes is exact all the same
_ACCOUNTS = (
    ("iomem_resource", ioport.system_ram),
    ("e820_table", e820.kernel_ram),
    ("memblock", memblock.memory),
    ("boot_params", e820.firmware_ram),
)


@dataclass(frozen=True)
class Coverage:
    """total, present: bytes of System RAM, and those of them that the image holds. share: present / total, 0 to 1.

    missing: System RAM that the image lacks, ascending. account: whose list of RAM it is ("iomem_resource",
    "e820_table", "memblock", "boot_params", "max_pfn"), "headers" where the kernel's is not readable and only the
    file's own promise counts. witnesses: bytes of RAM by every account that could be read, for comparison
    ("zones" counts what the page allocator was given, "max_pfn" is the first address after all RAM).
    """

    total: int
    present: int
    missing: tuple[Range, ...]
    account: str
    witnesses: dict[str, int]

    @property
    def share(self) -> float:
        """Bytes of System RAM that are present over all of them; 1.0 only if none is missing."""
        return self.present / self.total if self.total else 0.0

    @property
    def whole(self) -> bool:
        """Whether nothing is missing."""
        return self.present >= self.total

    def facts(self) -> dict[str, Any]:
        """For documents: share, bytes and what is missing (the first thousand parts), by whose account."""
        return {
            "ram_share": self.share,
            "ram_total": self.total,
            "ram_present": self.present,
            "ram_account": self.account,
            "ram_missing": [{"start": part.start, "size": part.size} for part in self.missing[:_MANY]],
        }

    def text(self) -> str:
        """One line for people."""
        percent = f"{self.share * 100:.1f}"
        if not self.whole and percent == "100.0":
            percent = "99.9"  # rounding must not make a whole of it
        words = f"{percent} % of the node's RAM is in the image ({self.present:,} of {self.total:,} bytes"
        return f"{words}, by {'the headers of the file' if self.account == 'headers' else self.account})"


def account(kernel: Kernel) -> tuple[str, list[Range]] | None:
    """(whose, ranges ascending) of the first of the kernel's lists of RAM that is readable; None if none is."""
    for name, read in _ACCOUNTS:
        ranges = read(kernel)
        if ranges:
            return name, ranges
    return None


def coverage(kernel: Kernel) -> Coverage:
    """Hold the image's ranges against the kernel's account of its RAM.

    Present counts, too, what memir knows to be left out on purpose: AVML writes no block of 16 MiB (from a range's
    start) that is all zeros, and no tool writes the part of a page at a range's edge. A block that AVML may have left
    out counts as present only if no page in it holds something by the kernel's own page array: a capture that ends
    between two blocks looks whole otherwise. Bytes that the file's headers promise and the file lacks are missing.
    """
    memory = kernel.memory
    witnesses = {name: sum(part.size for part in ranges) for name, read in _ACCOUNTS if (ranges := read(kernel))}
    zones, top = mmzone.present_bytes(kernel), mmzone.highest_address(kernel)
    witnesses |= {name: value for name, value in (("zones", zones), ("max_pfn", top)) if value is not None}
    known = account(kernel)
    if known is None and zones is not None and top is not None:
        # no list: the zones say how much, max_pfn up to where; what lies between the image's ranges may be devices
        present = sum(min(part.end, top) - part.start for part in memory.ranges if part.start < top)
        present = min(present, zones)
        lost = [Range(memory.end, top - memory.end)] if present < zones and memory.end < top else []
        return Coverage(zones, present, tuple(lost), "max_pfn", witnesses)
    if known is None:
        total = memory.size + memory.missing
        return Coverage(total, memory.size, (), "headers", witnesses)
    name, ranges = known
    missing = subtract(ranges, present_ranges(kernel))
    missing = [part for part in missing if not _edge(part, ranges)]
    if memory.holes_may_be_zero:
        missing = [part for hole in missing for part in _not_zero(kernel, hole, ranges)]
    total = sum(part.size for part in ranges)
    lost_bytes = sum(part.size for part in missing)
    # a cut file may end in what no list names: then its headers alone tell
    lost_bytes = min(total, lost_bytes or memory.missing)
    return Coverage(total, total - lost_bytes, tuple(missing), name, witnesses)


def present_ranges(kernel: Kernel) -> list[Range]:
    """The image's ranges without the pages in them that are known to be absent."""
    return subtract(kernel.memory.ranges, kernel.memory.absent_ranges())


def subtract(ranges: Iterable[Range], taken: Sequence[Range]) -> list[Range]:
    """What of `ranges` lies in none of `taken`; both ascending and each without overlaps."""
    left: list[Range] = []
    number = 0
    for part in ranges:
        low = part.start
        while number < len(taken) and taken[number].end <= low:
            number += 1
        which = number
        while which < len(taken) and taken[which].start < part.end:
            if taken[which].start > low:
                left.append(Range(low, taken[which].start - low))
            low = max(low, taken[which].end)
            which += 1
        if low < part.end:
            left.append(Range(low, part.end - low))
    return left


def _edge(hole: Range, ranges: Sequence[Range]) -> bool:
    """Less than a page at the edge of a range of RAM: tools take whole pages."""
    if hole.size >= PAGE:
        return False
    return any(hole.start == part.start or hole.end == part.end for part in ranges)


def _not_zero(kernel: Kernel, hole: Range, ranges: Sequence[Range]) -> list[Range]:
    """The parts of a hole, range by range, that are not blocks of zeros which AVML left out."""
    return [
        Range(low, high - low)
        for part in ranges
        if (low := max(hole.start, part.start)) < (high := min(hole.end, part.end))
        and not (_on_grid(low, high, part) and _may_be_zero(kernel, low, high))
    ]


def _on_grid(low: int, high: int, part: Range) -> bool:
    """Whether [low, high) is whole blocks of AVML's, but for the parts of pages that tools leave out at the edges.

    Blocks count from where the range of RAM starts; from 0 where a padded raw file was converted.
    """
    return any(
        (low - base) % BLOCK < PAGE and ((high - base) % BLOCK == 0 or part.end - high < PAGE)
        for base in (part.start, 0)
    )


def _may_be_zero(kernel: Kernel, low: int, high: int) -> bool:
    """Whether the kernel's page array lets [low, high) be zeros: readable, and but few pages are the kernel's own.

    Not none: what was zero when it was read may be in use by the time that its struct pages are read.
    """
    for start in range(low, high, BLOCK):
        first, end = start >> 12, min(start + BLOCK, high) >> 12
        unread, held = page.held_by_kernel(kernel, first, end - first)
        if unread or held > _FEW:
            return False
    return True
