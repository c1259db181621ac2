# SPDX-License-Identifier: Apache-2.0
"""Ticks: as long as the kernels' configuration says, and as many as the machine was up, as /proc/uptime has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from memir.kernel import timekeeping
from memir.kernel.engine import Kernel
from memir.kernel.jiffies import jiffies, tick
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from tests.images import case
from tests.kernel.host import SMALL

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", SMALL)
def test_uptime(name: str, node_of: NodeOf) -> None:
    kernel = node_of(name).kernel
    if "clocksource_jiffies" not in kernel.symbols:  # arm64's 6.1 names no data
        assert (tick(kernel), jiffies(kernel)) == (None, None)
        return
    assert tick(kernel) == 4_000_000
    up = float(case(name).raw_truth()["sys"]["uptime"].split()[0])
    now = jiffies(kernel)
    assert now is not None
    seconds = (now - (2**32 - 300 * 250)) / 250
    monotonic = timekeeping.monotonic(kernel)
    assert monotonic is not None
    assert up < monotonic / 1e9 + 0.1 < up + 120  # the recorder wrote on after it had asked
    # ticks that are lost before the clock source is fit for high resolution are not made up
    assert -0.1 < monotonic / 1e9 - seconds < up / 4


def test_without_symbols_it_is_not_known(node_of: NodeOf) -> None:
    kernel = node_of("s-6.1-small").kernel
    blind = Kernel(kernel.memory, replace(kernel.anchors, symbols=Symbols.from_pairs([], "none")))
    assert (tick(blind), jiffies(blind)) == (None, None)
