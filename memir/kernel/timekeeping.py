# SPDX-License-Identifier: Apache-2.0
"""include/linux/timekeeper_internal.h: when the node booted, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.space import u64
from memir.symbols.search import image_span

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_FOREVER = 1 << 62  # nanoseconds, 146 years: later than any start
_EARLIEST, _LATEST = 946_684_800, 7_258_118_400  # 2000 and 2200, in seconds since 1970


def utc(nanoseconds: int) -> datetime:
    """Nanoseconds since 1970, to the microsecond. OverflowError for a time that no calendar has."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)


def clocks(kernel: Kernel) -> tuple[int | None, int]:
    """(nanoseconds since 1970 UTC at which CLOCK_BOOTTIME was 0, CLOCK_BOOTTIME of the capture in nanoseconds).

    The first is None (and a gap) if the clock was not found, the second then larger than any.

    offs_real is CLOCK_REALTIME minus CLOCK_MONOTONIC, offs_boot CLOCK_BOOTTIME minus CLOCK_MONOTONIC.
    """
    raw, why = _timekeeper(kernel)
    if raw is None:
        kernel.gaps.add("boot time", "timekeeper", why)
        return None, _FOREVER
    return _boot(kernel, raw)


def monotonic(kernel: Kernel) -> int | None:
    """CLOCK_MONOTONIC of the image as of its last tick, in nanoseconds; None if it was not found.

    tkr_mono.base is that of the last whole second, tkr_mono.xtime_nsec what passed since, shifted left.
    """
    raw, _ = _timekeeper(kernel)
    if raw is None:
        return None
    shift = kernel.types.offset("timekeeper", "tkr_mono.shift")
    bits = min(int(raw[shift : shift + 4].view("<u4")[0]), 63)
    passed = int(_column(kernel, raw, "tkr_mono.xtime_nsec").view("<u8")[0]) >> bits
    return int(_column(kernel, raw, "tkr_mono.base")[0]) + min(passed, _SECOND - 1)


def wall_clock(kernel: Kernel) -> int | None:
    """CLOCK_REALTIME of the image, nanoseconds since 1970 UTC, as of its last tick; None and a gap if not found.

    The image's own clock: two captures of one boot differ in it. tkr_mono.xtime_nsec is shifted left by tkr_mono.shift.
    """
    raw, why = _timekeeper(kernel)
    if raw is None:
        kernel.gaps.add("image clock", "timekeeper", why)
        return None
    shift = kernel.types.offset("timekeeper", "tkr_mono.shift")
    bits = min(int(raw[shift : shift + 4].view("<u4")[0]), 63)
    fraction = int(_column(kernel, raw, "tkr_mono.xtime_nsec").view("<u8")[0]) >> bits
    return int(_column(kernel, raw, "xtime_sec")[0]) * _SECOND + min(fraction, _SECOND - 1)


def _timekeeper(kernel: Kernel) -> tuple[NDArray[np.uint8] | None, str]:
    """(the bytes of struct timekeeper, "") or (None, why not).

    It is found by its symbol, else by its own arithmetic: xtime_sec, wall_to_monotonic and offs_real must agree.
    """
    types = kernel.types
    if not types.exists("timekeeper"):
        return None, "type not known"
    size = types.size("timekeeper")
    for name in ("timekeeper_data", "tk_core"):  # 6.17 made tk_core an element of timekeeper_data
        symbol = kernel.symbols.get(name)
        if symbol is None:
            continue
        # struct tk_data has no BTF in older kernels: a seqcount of unknown size stands before the timekeeper
        known = types.has("tk_data", "timekeeper")
        for offset in [types.offset("tk_data", "timekeeper")] if known else range(0, 72, 8):
            pa, _ = kernel.space.physical(u64(symbol + offset))
            raw, ok = kernel.memory.gather(pa, size)
            places = _consistent(kernel, raw.ravel()) if ok[0] else np.zeros(0, np.int64)
            if len(places) and places[0] == 0:
                return raw.ravel(), ""
    _, span = image_span(kernel.memory, kernel.anchors.image_pa(kernel.anchors.init_task), 48 << 20)
    places = _consistent(kernel, span)
    if not len(places):
        return None, "not found"
    return span[int(places[0]) : int(places[0]) + size], ""


def _column(kernel: Kernel, span: NDArray[np.uint8], path: str) -> NDArray[np.int64]:
    """This member of a timekeeper at every 8-byte step of the span, int64."""
    offset = kernel.types.offset("timekeeper", path)
    count = max(0, (len(span) - kernel.types.size("timekeeper")) // 8 + 1)
    return np.ndarray((count,), "<i8", span, offset)


def _consistent(kernel: Kernel, span: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Byte offsets in the span where the fields of a timekeeper agree with each other."""
    seconds = _column(kernel, span, "xtime_sec")
    place = np.flatnonzero((seconds > _EARLIEST) & (seconds < _LATEST))
    real = _column(kernel, span, "offs_real")[place]
    wall = _column(kernel, span, "wall_to_monotonic.tv_sec")[place]
    mono = _column(kernel, span, "ktime_sec")[place]
    whole = real // _SECOND
    agree = (whole > _EARLIEST) & (np.abs(whole + wall) <= 1) & (np.abs(whole + mono - seconds[place]) <= 2)
    places: NDArray[np.int64] = place[agree].astype(np.int64) * 8
    return places


def _boot(kernel: Kernel, raw: NDArray[np.uint8]) -> tuple[int, int]:
    real = int(_column(kernel, raw, "offs_real")[0])
    boot = int(_column(kernel, raw, "offs_boot")[0])
    now = int(_column(kernel, raw, "ktime_sec")[0]) * _SECOND + boot
    # the timekeeper is brought up to date at every tick: what began since then is a second off at most
    return real - boot, now + 2 * _SECOND
