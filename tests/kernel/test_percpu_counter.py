# SPDX-License-Identifier: Apache-2.0
"""Per-processor counters: their parts are added up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.percpu_counter import MAX_CPUS, cpu_offsets, sums
from memir.kube.ram import RamSource


def test_processors(node_of: Callable[[str], RamSource], image: str) -> None:
    kernel = node_of(image).kernel
    offsets = cpu_offsets(kernel)
    if "__per_cpu_offset" not in kernel.symbols:  # a kernel that has no names for its data
        assert image == "arm64-6.1-small-n1" and not len(offsets)
        return
    assert 1 <= len(offsets) <= MAX_CPUS
    assert len(np.unique(offsets)) == len(offsets)  # every processor has an area of its own
    assert len(offsets) == 2  # as the images' machines have


def test_sums_are_the_total_and_all_parts(node_of: Callable[[str], RamSource], image: str) -> None:
    node = node_of(image)
    kernel = node.kernel
    if "vm_committed_as" not in kernel.symbols:
        assert image == "arm64-6.1-small-n1"
        return
    vm_committed = kernel.symbols["vm_committed_as"]
    total, ok = sums(kernel, np.array([vm_committed, 0], np.uint64))
    assert ok.tolist() == [True, False] and int(total[1]) == 0
    # pages that all processes together could ask for: more than they have, less than the machine's 64-fold
    count = int(kernel.try_read(np.array([vm_committed], np.uint64), "percpu_counter", "count")[0][0])
    assert abs(int(total[0]) - count) <= 2 * 4096 and 1000 < int(total[0]) < kernel.memory.size // 64
