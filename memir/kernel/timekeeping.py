"""include/linux/timekeeper_internal.h: when the node booted, in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.space import u64
from memir.symbols.search import image_span

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_SECOND = 1_000_000_000
_FOREVER = 1 << 62
_EARLIEST, _LATEST = 946_684_800, 7_258_118_400  # 2000 and 2200, in seconds since 1970


def clocks(kernel: Kernel) -> tuple[int | None, int]:
    """(nanoseconds since 1970 UTC at which CLOCK_BOOTTIME was 0, CLOCK_BOOTTIME of the capture in nanoseconds).

    The first is None (and a gap) if the clock was not found, the second then larger than any.

    offs_real is CLOCK_REALTIME minus CLOCK_MONOTONIC, offs_boot CLOCK_BOOTTIME minus CLOCK_MONOTONIC. The timekeeper is
    found by its symbol, else by its own arithmetic: xtime_sec, wall_to_monotonic and offs_real must agree.
    """
    types = kernel.types
    if not types.exists("timekeeper"):
        kernel.gaps.add("boot time", "timekeeper", "type not known")
        return None, _FOREVER
    for name in ("timekeeper_data", "tk_core"):  # 6.17 made tk_core an element of timekeeper_data
        at = kernel.symbols.get(name)
        if at is not None:
            for offset in (
                [types.offset("tk_data", "timekeeper")] if types.has("tk_data", "timekeeper") else range(0, 72, 8)
            ):
                pa, _ = kernel.space.physical(u64(at + offset))
                raw, ok = kernel.memory.gather(pa, types.size("timekeeper"))
                found = _consistent(kernel, raw.ravel()) if ok[0] else np.zeros(0, np.int64)
                if len(found) and found[0] == 0:
                    return _boot(kernel, raw.ravel(), 0)
    _, span = image_span(kernel.memory, kernel.anchors.image_pa(kernel.anchors.init_task), 48 << 20)
    found = _consistent(kernel, span)
    if not len(found):
        kernel.gaps.add("boot time", "timekeeper", "not found")
        return None, _FOREVER
    return _boot(kernel, span, int(found[0]))


def _column(kernel: Kernel, span: NDArray[np.uint8], path: str) -> NDArray[np.int64]:
    """This member of a timekeeper at every 8-byte step of the span, int64."""
    offset = kernel.types.offset("timekeeper", path)
    count = max(0, (len(span) - kernel.types.size("timekeeper")) // 8 + 1)
    return np.ndarray((count,), "<i8", span, offset)


def _consistent(kernel: Kernel, span: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Byte offsets in the span where the fields of a timekeeper agree with each other."""
    seconds = _column(kernel, span, "xtime_sec")
    at = np.flatnonzero((seconds > _EARLIEST) & (seconds < _LATEST))
    real = _column(kernel, span, "offs_real")[at]
    wall = _column(kernel, span, "wall_to_monotonic.tv_sec")[at]
    mono = _column(kernel, span, "ktime_sec")[at]
    whole = real // _SECOND
    agree = (whole > _EARLIEST) & (np.abs(whole + wall) <= 1) & (np.abs(whole + mono - seconds[at]) <= 2)
    places: NDArray[np.int64] = at[agree].astype(np.int64) * 8
    return places


def _boot(kernel: Kernel, span: NDArray[np.uint8], at: int) -> tuple[int, int]:
    real = int(_column(kernel, span, "offs_real")[at // 8])
    boot = int(_column(kernel, span, "offs_boot")[at // 8])
    now = int(_column(kernel, span, "ktime_sec")[at // 8]) * _SECOND + boot
    # the timekeeper is brought up to date at every tick: what began since then is a second off at most
    return real - boot, now + 2 * _SECOND
