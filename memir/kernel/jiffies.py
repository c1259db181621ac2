# SPDX-License-Identifier: Apache-2.0
"""include/linux/jiffies.h: the clock of ticks, in which the kernel notes timeouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_SHORTEST, _LONGEST = 100_000, 100_000_000  # nanoseconds of a tick: CONFIG_HZ is 100 to 1000


def tick(kernel: Kernel) -> int | None:
    """Nanoseconds of a jiffy, None if not known: the clock source "jiffies" has them (kernel/time/jiffies.c)."""
    address = kernel.symbols.get("clocksource_jiffies")
    if address is None or not kernel.types.has("clocksource", "mult"):
        return None
    mult, read = kernel.try_read(u64(address), "clocksource", "mult")
    shift, _ = kernel.try_read(u64(address), "clocksource", "shift")
    length = int(mult[0]) >> min(int(shift[0]), 63)
    return length if read[0] and _SHORTEST <= length <= _LONGEST else None


def jiffies(kernel: Kernel) -> int | None:
    """jiffies_64, which begins five minutes before its lower 32 bits overflow; None if it cannot be read."""
    address = kernel.symbols.get("jiffies_64") or kernel.symbols.get("jiffies")
    value, read = kernel.try_pointers(u64(address or 0))
    return int(value[0]) if read[0] else None
