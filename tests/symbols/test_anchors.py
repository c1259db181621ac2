# SPDX-License-Identifier: Apache-2.0
"""What is known of a located kernel, against what the node's own /proc/iomem and /proc/kallsyms showed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.symbols.located import located, recorded_symbols, recorded_system

NAME = "s-6.1-small"


def test_image_pa() -> None:
    """Physical addresses of the image are virtual ones less the delta, whatever way round 2**64 the delta lies."""
    _, anchors = located(NAME)
    code = re.search(r"([0-9a-f]+)-[0-9a-f]+ : Kernel code", recorded_system(NAME)["iomem"])
    assert code is not None
    text = recorded_symbols(NAME)["_text"]
    assert anchors.image_pa(text) == int(code[1], 16)
    assert anchors.image_pa(text + 0x1234) == int(code[1], 16) + 0x1234
    for delta, va, pa in (
        (0, 0x1000, 0x1000),
        (0xFFFFFFFF80000000, 0xFFFFFFFF81000000, 0x1000000),
        (2**64 - 0x1000, 0, 0x1000),
        (0x2000, 0x1000, 2**64 - 0x1000),
    ):
        assert replace(anchors, image_delta=delta).image_pa(va) == pa


def test_an_image_that_names_no_numbers() -> None:
    _, anchors = located(NAME)
    bare = type(anchors)(
        anchors.arch, anchors.release, anchors.banner, None, 0, None, 0, anchors.symbols, anchors.types, None
    )
    assert (bare.numbers, bare.sources) == ({}, {})
    assert anchors.numbers["phys_base"] % (2 << 20) == 0
    assert {"kernel", "types", "symbols"} <= anchors.sources.keys()
    with pytest.raises(AttributeError, match="cannot assign to field"):
        bare.shift = 1  # type: ignore[misc]  # frozen: that it cannot be set is what is tested
