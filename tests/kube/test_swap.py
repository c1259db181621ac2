# SPDX-License-Identifier: Apache-2.0
"""What is swapped out is counted by pod, never silent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.engine import Kernel
from memir.kernel.swap import swap_of
from memir.kube.ram import RamSource
from memir.kube.swap import count_swapped, swapped_pages
from tests.hunt.hunting import planted
from tests.kernel import held


def test_nothing_is_swapped_on_nodes_without_swap(node_of: Callable[[str], RamSource], image: str) -> None:
    assert swapped_pages(node_of(image)) == {}


@pytest.mark.parametrize("name", ["s-5.10-small-v1", "s-7.2-small-la57"])  # a plain counter, one a processor
def test_swapped_pages_are_gaps_by_pod(node_of: Callable[[str], RamSource], name: str) -> None:
    """The same node, whose kernel counts 16,500 pages of one process as swapped out, and 7 of process 1."""
    node = node_of(name)
    who = {row.pid: node.owners.process(row.pid) for row in node.processes.rows}
    pod, owner = next((row, owner) for row in node.processes.rows if (owner := who[row.pid]) and owner.pod_uid)
    first = next(row for row in node.processes.rows if row.pid == 1)
    patches = {place(node.kernel, pod.task): (16_500).to_bytes(8, "little")}
    patches[place(node.kernel, first.task)] = (7).to_bytes(8, "little")
    other = RamSource(planted(node, patches).kernel)
    pages = count_swapped(other)
    assert pages[pod.pid] >= 16_500 - 128 and abs(pages[1] - 7) <= 128
    gaps = {gap.why: gap for gap in other.gaps if gap.kind == "swap"}
    whose = f"{owner.namespace}/{owner.pod_name}"
    told = [gap for why, gap in gaps.items() if f"pod {whose} swapped out" in why]
    assert len(told) == 1 and told[0].count >= 16_500 - 128 and f"pid {pod.pid} " in told[0].where
    assert any("processes of no pod" in why for why in gaps)


def place(kernel: Kernel, task: int) -> int:
    """Physical address of a process's count of swapped pages (MM_SWAPENTS, the third)."""
    mm = kernel.read(np.array([task], np.uint64), "task_struct", "mm").astype(np.uint64)
    start = int(kernel.embedded(mm, "mm_struct", "rss_stat")[0])
    step = 8
    if kernel.types.member("mm_struct", "rss_stat").type.kind == "array":
        step = kernel.types.size("percpu_counter")
        start += kernel.types.offset("percpu_counter", "count")
    return int(kernel.space.physical(np.array([start + 2 * step], np.uint64))[0][0])


def test_what_zram_holds_is_no_gap_and_what_it_lost_is() -> None:
    """Truth: three processes whose pages lie in zram. Its first device loses its table."""
    node = held.node()
    assert swapped_pages(node) == {}
    kernel = node.kernel
    device = swap_of(kernel).spaces[0].stores[0]
    table = device._table  # type: ignore[attr-defined]  # a zram device
    pages = np.arange(table, table + 24 * 4096, 4096, dtype=np.uint64)
    pa, known = kernel.space.physical(pages)
    other = RamSource(planted(node, dict.fromkeys(pa[known].tolist(), bytes(4096))).kernel)
    record = held.swapped()["lzo-rle"]
    lost = swapped_pages(other)
    assert record["pages"] <= lost.pop(record["pid"]) <= record["pages"] + 8
    assert sum(lost.values()) <= 64  # what a processor's stock of free places gave to others
