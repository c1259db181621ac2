# SPDX-License-Identifier: Apache-2.0
"""include/linux/memcontrol.h, page_counter.h, kernel/sched/sched.h: limits of cgroups, what they use, how often they
ran into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.blank import whole
from memir.kernel.cgroup_tree import Cgroups, states
from memir.kernel.pagetable import I64, U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

UNKNOWN, NO_LIMIT = -2, -1
_PAGE = 4096
_UNLIMITED_PAGES = (1 << 51) - 1  # PAGE_COUNTER_MAX
_PIDS_MAX = (1 << 22) + 1
_NO_QUOTA = (1 << 64) - 1  # RUNTIME_INF
_MEMORY = {
    "memory": "memory.usage.counter", "memory_peak": "memory.watermark", "memory_max": "memory.max",
    "memory_high": "memory.high", "swap": "swap.usage.counter", "swap_max": "swap.max",
}  # fmt: skip
_CPU = {
    "cpu_quota": "cfs_bandwidth.quota", "cpu_period": "cfs_bandwidth.period", "cpu_periods": "cfs_bandwidth.nr_periods",
    "cpu_throttled": "cfs_bandwidth.nr_throttled", "cpu_throttled_time": "cfs_bandwidth.throttled_time",
}  # fmt: skip


def limits(kernel: Kernel, every: Cgroups) -> dict[str, I64]:
    """Numbers of each cgroup, int64[n] each; UNKNOWN where a controller is not in use there or cannot be read.

    memory, memory_peak, memory_max, memory_high, swap, swap_max (bytes; NO_LIMIT), oom, oom_kills, memory_max_hits
    (times), cpu_quota, cpu_period, cpu_throttled_time (ns; NO_LIMIT), cpu_periods, cpu_throttled, pids, pids_max,
    frozen (0 or 1).
    """
    top = kernel.read(every.cgroup, "cgroup", "level") == 0  # which has no limit, and is not charged
    cpu, pids = (np.where(top, np.uint64(0), states(kernel, every.cgroup, name)) for name in ("cpu", "pids"))
    group = kernel.container(cpu, "task_group", "css") if kernel.types.exists("task_group") else cpu * np.uint64(0)
    return {
        **_of_memory(kernel, np.where(top, np.uint64(0), every.memory)),
        **_values(kernel, group, "task_group", _CPU, none=_NO_QUOTA),
        **_values(kernel, pids, "pids_cgroup", {"pids": "counter.counter"}),
        **_values(kernel, pids, "pids_cgroup", {"pids_max": "limit.counter"}, none=_PIDS_MAX),
        **_values(kernel, every.cgroup, "cgroup", {"frozen": "freezer.freeze"}),
    }


def _of_memory(kernel: Kernel, memory: U64) -> dict[str, I64]:
    values = _values(kernel, memory, "mem_cgroup", _MEMORY, none=_UNLIMITED_PAGES, unit=_PAGE)
    names = kernel.types.enum("memcg_memory_event") or {}
    for name, event in (("oom", "OOM"), ("oom_kills", "OOM_KILL"), ("memory_max_hits", "MAX")):
        number = names.get(f"MEMCG_{event}")
        known = number is not None and kernel.types.has("mem_cgroup", "memory_events")
        where = kernel.embedded(memory, "mem_cgroup", "memory_events") if known else memory * np.uint64(0)
        raw, ok = kernel.read_bytes(np.where(where != 0, where + np.uint64(8 * (number or 0)), where), 8)
        kernel.count_unread("mem_cgroup.memory_events", where, ok)
        values[name] = np.where(ok, raw.view("<i8")[:, 0], UNKNOWN)
    return values


def _values(
    kernel: Kernel, objects: U64, struct: str, paths: dict[str, str], *, none: int | None = None, unit: int = 1
) -> dict[str, I64]:
    """Numbers of each object, in units of `unit`; NO_LIMIT where one is `none` or more, UNKNOWN for no object."""
    known = {name: path for name, path in paths.items() if kernel.types.has(struct, path)}
    values = {name: np.full(len(objects), UNKNOWN, np.int64) for name in paths}
    sound = whole(kernel, objects, kernel.types.size(struct)) if known else np.zeros(0, bool)
    for name, path in known.items():
        read, ok = kernel.try_read(objects, struct, path)
        fine = ok & sound
        kernel.count_unread(f"{struct}.{path}", objects, fine)
        raw = read.astype(np.int64).view(np.uint64)
        limit = NO_LIMIT if none is not None else UNKNOWN
        sane = raw < np.uint64(min(none or 1 << 62, 1 << 62))
        values[name] = np.where(~fine, UNKNOWN, np.where(sane, raw.astype(np.int64) * unit, limit))
    return values
