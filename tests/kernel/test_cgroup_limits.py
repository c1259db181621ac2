# SPDX-License-Identifier: Apache-2.0
"""Limits and use of cgroups: multiples of pages, no more than the peak, and what no controller counts is not known.

The numbers of each image are held against its node's own in tests/tables/test_cgroups.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.cgroup_limits import NO_LIMIT, UNKNOWN, limits
from memir.kernel.cgroup_tree import Cgroups, cgroups
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]


def test_limits(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    every = cgroups(node.kernel, node.processes.threads.task)
    numbers = limits(node.kernel, every)
    for values in numbers.values():
        assert (values >= UNKNOWN).all() and len(values) == len(every)
    memory, peak = numbers["memory"], numbers["memory_peak"]
    assert (memory[memory >= 0] <= peak[memory >= 0]).all() and (memory % 4096 == 0)[memory >= 0].all()
    assert (memory > 0).sum() >= 10
    assert (numbers["memory_max"] == NO_LIMIT).sum() >= 10
    assert set(numbers["cpu_period"].tolist()) == {UNKNOWN, 100_000_000}
    roots = every.level == 0  # has no limit, and is not charged
    assert {int(value) for name in ("memory", "memory_max", "pids", "pids_max") for value in numbers[name][roots]} == {
        UNKNOWN
    }


def test_of_nothing_nothing_is_known(node_of: NodeOf) -> None:
    none = np.zeros(0, np.uint64)
    number = none.astype(np.int64)
    every = Cgroups(none, number, [], none, number, none != 0, [], none)
    numbers = limits(node_of("s-6.1-small").kernel, every)
    assert {len(values) for values in numbers.values()} == {0}
    assert {"memory", "memory_max", "oom_kills", "cpu_quota", "pids_max", "frozen"} <= numbers.keys()
