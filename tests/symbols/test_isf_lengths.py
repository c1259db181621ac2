# SPDX-License-Identifier: Apache-2.0
"""Lengths of arrays are those of each kernel's source (TAINT_FLAGS_COUNT in include/linux/panic.h)."""

from __future__ import annotations

import pytest

from memir.symbols.isf_lengths import TAINT_FLAGS_AT_LEAST, array_lengths
from memir.symbols.isf_source import of_kernel
from memir.symbols.locate import locate
from tests.damage import PAGE, damaged, patched, zeroed
from tests.images import case

COUNTS = {"s-5.10-small-v1": 18, "s-6.1-small": 19, "s-7.2-small-la57": 20}


@pytest.mark.parametrize("name", COUNTS)
def test_taint_flags(name: str) -> None:
    memory = case(name).open()
    anchors = locate(memory)
    assert array_lengths(memory, anchors) == {"taint_flags": COUNTS[name]}
    symbol = of_kernel(anchors, memory).symbol("taint_flags")
    assert symbol is not None
    assert (symbol["type"]["count"], symbol["type"]["subtype"]["name"]) == (COUNTS[name], "taint_flag")
    without = of_kernel(anchors).symbol("taint_flags")
    assert without is not None
    assert without["type"]["count"] == TAINT_FLAGS_AT_LEAST


def test_an_array_that_cannot_be_read_has_no_length() -> None:
    memory = case("s-6.1-small").open()
    anchors = locate(memory)
    place = anchors.image_pa(anchors.symbols["taint_flags"])
    assert array_lengths(damaged(memory, zeroed([place // PAGE])), anchors) == {}
    torn = damaged(memory, patched(memory, {place + 3 * 5: b"\0"}))
    assert array_lengths(torn, anchors) == {}
