# SPDX-License-Identifier: Apache-2.0
"""The image's clocks against the time at which its truth was recorded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.engine import Kernel
from memir.kernel.timekeeping import clocks, monotonic, utc, wall_clock
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols

CLOCKS = {  # (boot, wall clock) in nanoseconds; read once, held against uptime below
    "s-5.10-small-v1": (1795472242908183116, 1795472253460000000),
    "s-6.1-small": (1795471949245913540, 1795471962272000000),
    "s-7.2-small-la57": (1795472264435945236, 1795472275689623504),
    "arm64-6.12-small-lpa2": (1795474503392013456, 1795474516868000000),
}


@pytest.mark.parametrize("name", sorted(CLOCKS))
def test_clocks(name: str, node_of: Callable[[str], RamSource]) -> None:
    kernel = node_of(name).kernel
    boot, uptime = clocks(kernel)
    now = wall_clock(kernel)
    assert (boot, now) == CLOCKS[name]
    assert boot is not None and now is not None
    assert 0 <= boot + uptime - now <= 3 * 10**9  # uptime is said with 2 s to spare
    assert abs(boot + (monotonic(kernel) or 0) - now) < 10**6  # no suspend: CLOCK_MONOTONIC is CLOCK_BOOTTIME


@pytest.mark.parametrize("name", ["s-6.1-small", "s-7.2-small-la57"])
def test_without_symbols_the_timekeeper_is_found_by_its_arithmetic(
    name: str, node_of: Callable[[str], RamSource]
) -> None:
    real = node_of(name).kernel
    kernel = Kernel(real.memory, real.anchors)
    kernel.symbols = Symbols.from_pairs([("_text", 1 << 63)], "none")
    now = wall_clock(kernel)
    assert now is not None and abs(now - CLOCKS[name][1]) < 2 * 10**9  # it may be the shadow, a tick older
    assert abs((clocks(kernel)[0] or 0) - CLOCKS[name][0]) < 10**9


def test_utc() -> None:
    assert utc(1795472253460000999).isoformat() == "2026-11-23T22:17:33.460000+00:00"
    with pytest.raises(OverflowError):
        utc(1 << 80)
