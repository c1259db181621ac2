# SPDX-License-Identifier: Apache-2.0
"""The ring of the kernel's log: sizes that it cannot have, texts that are not their records'."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.printk_ringbuffer import log
from memir.kube.ram import RamSource
from tests.damage import damaged, patched

NodeOf = Callable[[str], RamSource]
NAMES = ("s-5.10-small-v1", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


@pytest.mark.parametrize("name", NAMES)
def test_hostile_sizes(node_of: NodeOf, name: str) -> None:
    kernel = node_of(name).kernel
    ring = kernel.pointers(np.array([kernel.symbols["prb"]], np.uint64))
    whole = log(kernel)
    assert whole is not None and len(whole) > 200 and None not in whole.text
    for member in ("desc_ring.count_bits", "text_data_ring.size_bits"):
        pa, _ = kernel.space.physical(kernel.embedded(ring, "printk_ringbuffer", member))
        for value in (0, 40, 0xFFFF_FFFF):
            gaps = Gaps()
            pages = patched(kernel.memory, {int(pa[0]): value.to_bytes(4, "little")})
            assert log(Kernel(damaged(kernel.memory, pages), kernel.anchors, gaps)) is None
            assert [(gap.kind, gap.why) for gap in gaps] == [("kernel log", "absurd size")]


def test_a_text_of_another_record_is_none(node_of: NodeOf) -> None:
    kernel = node_of("s-6.1-small").kernel
    ring = kernel.pointers(np.array([kernel.symbols["prb"]], np.uint64))
    data = kernel.pointer(ring, "printk_ringbuffer", "text_data_ring.data")
    pa, _ = kernel.space.physical(data)
    gaps = Gaps()
    torn = damaged(kernel.memory, patched(kernel.memory, {int(pa[0]): (1 << 60).to_bytes(8, "little")}))
    records = log(Kernel(torn, kernel.anchors, gaps))
    assert records is not None and records.text[0] is None and None not in records.text[1:]
    assert [(gap.kind, gap.count) for gap in gaps] == [("kernel log text", 1)]
