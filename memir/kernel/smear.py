# SPDX-License-Identifier: Apache-2.0
"""How long a capture took, by the clocks in it: RAM that is read while its machine runs is of many moments.

kernel/time/tick-sched.h, kernel/sched/sched.h, include/linux/jiffies.h. At every tick some processor brings up to date
jiffies, the moment at which it did so, and the timekeeper, so each shows the moment at which its own page was read;
each processor writes down when it last went idle and when its run queue's clock last ran. A page that shows a later
time was read later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.kernel import jiffies, timekeeping
from memir.kernel.pagetable import U64
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_SECOND = 1_000_000_000
_EXPLAINED = 3600 * _SECOND  # what differs by more than an hour is torn, not a clock
_MAX_CPUS = 8192  # NR_CPUS of x86-64's MAXSMP
UNSURE = _SECOND  # sched_clock starts a little before or after CLOCK_MONOTONIC: less than this proves nothing
_LISTS = ("task list", "thread list", "children list", "css_set task list", "task in", "pid IDR", "mount list")


@dataclass(frozen=True)
class Smear:
    """clocks: nanoseconds of CLOCK_MONOTONIC that each clock in RAM showed; those of processors by `name cpuN`.

    span: nanoseconds at least between the reading of the first and of the last of them; None if the timekeeper was
    not found. torn: list walks that could not be ended. contradictions: of how many things witnesses say differently.
    """

    clocks: dict[str, int]
    span: int | None
    torn: int
    contradictions: int = 0

    def facts(self) -> dict[str, Any]:
        """For documents: seconds between the clocks, what is torn and what contradicts, and all of it in words."""
        return {
            "seconds": None if self.span is None else round(self.span / _SECOND, 3),
            "torn_lists": self.torn,
            "contradictions": self.contradictions,
            "text": self.text(),
        }

    def text(self) -> str:
        """One line, to stand beside what is called hidden or absent."""
        return f"{self.took()}; {self.torn} lists torn, {self.contradictions} contradicting claims"

    def took(self) -> str:
        """Over how long the image was read, in words: all that is known before a list of the kernel's was walked."""
        if self.span is None:
            return "how long the capture took is not known"
        if self.span < UNSURE:
            return "all clocks in it show one moment"
        return f"it was read over {self.span / _SECOND:.1f} s at least, while its machine ran"


def smear(kernel: Kernel, contradictions: int = 0) -> Smear:
    """The clocks of an image held against each other. contradictions: of the claims that were made of it."""
    torn = sum(gap.count for gap in kernel.gaps if gap.kind.startswith(_LISTS))
    monotonic = timekeeping.monotonic(kernel)
    if monotonic is None:
        return Smear({}, None, torn, contradictions)
    clocks = {"timekeeper": monotonic}
    updated = _last_jiffies_update(kernel, monotonic)
    if updated is not None:
        clocks["last_jiffies_update"] = updated
    base = min(clocks.values())
    spans = [max(clocks.values()) - base]
    ticks = _jiffies(kernel, monotonic)
    if ticks is not None:
        # ticks that a slow machine loses while it boots are never made up: jiffies that lie behind prove nothing
        clocks["jiffies"] = ticks
        spans.append(ticks - base)
    for name, struct, path in (
        ("tick_cpu_sched", "tick_sched", "idle_entrytime"),
        ("tick_cpu_sched", "tick_sched", "idle_waketime"),
        ("runqueues", "rq", "clock"),
    ):
        for cpu, value in _per_cpu(kernel, name, struct, path):
            # a value that lies before is of a processor that has slept since: it proves nothing
            if 0 < value < base + 86400 * _SECOND:
                clocks[f"{path} cpu{cpu}"] = value
                spans.append(value - base - (UNSURE if path == "clock" else 0))
    return Smear(clocks, max(0, *spans), torn, contradictions)


def _last_jiffies_update(kernel: Kernel, monotonic: int) -> int | None:
    """CLOCK_MONOTONIC when jiffies were last brought up to date; None if it cannot be read or was lost."""
    address = kernel.symbols.get("last_jiffies_update")
    value, read = kernel.try_pointers(u64(address or 0))
    moment = int(value[0])
    return moment if read[0] and moment and abs(moment - monotonic) < _EXPLAINED else None


def _jiffies(kernel: Kernel, monotonic: int) -> int | None:
    """jiffies as nanoseconds since boot; None if the length of a tick is not known or it is no clock."""
    value, tick = jiffies.jiffies(kernel), jiffies.tick(kernel)
    if value is None or tick is None:
        return None
    # they start five minutes before 32 bits overflow (INITIAL_JIFFIES)
    uptime = (value - (2**32 - 300 * (_SECOND // tick))) * tick
    return uptime if abs(uptime - monotonic) < _EXPLAINED else None


def _cpus(kernel: Kernel) -> int:
    """nr_cpu_ids: behind the offsets of processors that can be there, arm64 has other data."""
    address = kernel.symbols.get("nr_cpu_ids")
    value, read = kernel.try_pointers(u64(address or 0))
    count = int(value[0]) & 0xFFFF_FFFF
    return count if read[0] and 0 < count <= _MAX_CPUS else 1


def _per_cpu(kernel: Kernel, name: str, struct: str, path: str) -> list[tuple[int, int]]:
    """(processor, value) of a 64-bit member of a per-cpu structure, of every processor that has one."""
    symbol, table = kernel.symbols.get(name), kernel.symbols.get("__per_cpu_offset")
    if symbol is None or table is None or not kernel.types.has(struct, path):
        return []
    offsets, read = kernel.try_pointers(np.uint64(table) + np.arange(_cpus(kernel), dtype=np.uint64) * np.uint64(8))
    cpus = np.flatnonzero(read & (offsets != 0))
    where: U64 = offsets[cpus] + np.uint64(symbol)
    values, known = kernel.try_read(where, struct, path)
    return [(int(cpu), int(value)) for cpu, value, fine in zip(cpus, values, known, strict=True) if fine]
