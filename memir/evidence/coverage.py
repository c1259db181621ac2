# SPDX-License-Identifier: Apache-2.0
"""Whether an image holds the RAM that its node had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memir.evidence.ranges import Range, intersect, merge, show, subtract, total

AVML_BLOCK = 16 << 20


PAGE = 4096
SHORTFALL = 0.06
"""What firmware and hypervisor may keep of an instance type's memory: Nitro instances keep 2 to 4 %."""
SPARE_RECORDS = 1 << 16
"""Records beyond RAM / 16 MiB: /proc/iomem's ranges, of which MAX_RANGES are read, each begin a block of their own."""


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
        return tuple(part for part in self.unreadable if part[1] - part[0] >= PAGE)

    @property
    def complete(self) -> bool:
        """Every page of System RAM is there or was left out as zero."""
        return bool(self.ram) and not self.missing and not self.withheld


def compare(
    ram: Sequence[Range],
    present: Sequence[Range],
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
    ram, have = merge(ram), merge(present)
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


def announced_problems(system_ram: int, mem_total: int, reserved: int, instance_memory: int) -> list[str]:
    """Whether the node's own account of its RAM can be believed: /proc/iomem may be cut or forged."""
    wrong = []
    if mem_total > system_ram > 0:
        wrong.append(
            f"/proc/iomem shows {system_ram:,} bytes of System RAM, but the kernel manages {mem_total:,} (MemTotal): "
            "it does not show all of it"
        )
    known = system_ram + reserved
    if instance_memory and system_ram and known < instance_memory * (1 - SHORTFALL):
        wrong.append(
            f"/proc/iomem shows {system_ram:,} bytes of System RAM and {reserved:,} reserved, the instance type has "
            f"{instance_memory:,}: it does not show all of it"
        )
    return wrong


def most_records(ram: Sequence[Range]) -> int:
    """How many records an image of this RAM can have: one for each block of 16 MiB, and room for odd ranges."""
    return total(ram) // AVML_BLOCK + SPARE_RECORDS


def coverage_of(
    ram: Sequence[Range], present: Sequence[Range], kcore: Sequence[Range], tool: str, *, ended: bool = True,
    mem_total: int = 0, reserved: int = 0, instance_memory: int = 0,
) -> tuple[Coverage, list[str], list[str]]:  # fmt: skip
    """What the image covers, what is missing, and what is worth a note.

    mem_total: MemTotal of /proc/meminfo, reserved: bytes of /proc/iomem's reserved ranges below the end of RAM,
    instance_memory: of the instance type by AWS; bytes, 0 if not known.
    """
    zeros = AVML_BLOCK if tool == "avml" else 0
    coverage = compare(ram, present, kcore if tool == "avml" else (), zeros, ended=ended)
    wrong, notes = [], []
    if not coverage.ram:
        wrong.append("/proc/iomem showed no System RAM: nothing to compare with")
    wrong += announced_problems(total(coverage.ram), mem_total, reserved, instance_memory)
    if coverage.missing:
        wrong.append(f"{total(coverage.missing):,} bytes of System RAM are missing: {show(coverage.missing)}")
    if len(present) != len(set(present)) or total(present) != total(merge(present)):
        wrong.append("some ranges came twice: two sources may have been joined")
    if coverage.withheld:
        wrong.append(
            f"/proc/kcore does not give {total(coverage.withheld):,} bytes of System RAM: {show(coverage.withheld)}; "
            "LiME may read them"
        )
    if coverage.zero:
        notes.append(f"{total(coverage.zero):,} bytes left out as all-zero blocks: {show(coverage.zero)}")
    edges = subtract(coverage.unreadable, coverage.withheld)
    if edges:
        notes.append(f"{total(edges):,} bytes at the edges of RAM are less than a page: {show(edges)}")
    if coverage.extra:
        notes.append(f"{total(coverage.extra):,} bytes outside System RAM: {show(coverage.extra)}")
    return coverage, wrong, notes
