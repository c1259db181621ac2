# SPDX-License-Identifier: Apache-2.0
"""The table `cgroups`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from memir.kernel.cgroup_limits import UNKNOWN, limits
from memir.kernel.pagetable import I64
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    hierarchy        int32        number of the hierarchy; 0 is the unified one (v2)
    path             string       path in its hierarchy, as /proc/PID/cgroup has it
    cgroup_id        uint64       its number: inode of its directory, which eBPF programs and kpagecgroup know it by
    level            int32        how deep it lies; 0 is the root, which has no limits
    controllers      list<string> those that have a state of their own there
    processes        int32        living processes in it, without those below it
    dying            bool         removed, and kept by memory that is still charged to it: what an ended pod left
    frozen           bool         its processes are asked to stand still (cgroup.freeze): a paused container
    memory           int64        bytes charged to it and below; null where the controller is not in use
    memory_peak      int64        the most that it was
    memory_max       int64        limit in bytes; -1: none
    memory_high      int64        bytes above which it is slowed down; -1: none
    swap             int64        bytes in swap; with v1 memory and swap together
    swap_max         int64        limit of that in bytes; -1: none
    memory_max_hits  int64        times that its use was at the limit
    oom              int64        times that it ran out of memory
    oom_kills        int64        processes that were killed for that
    cpu_quota        int64        microseconds of processor time in a period; -1: no limit
    cpu_period       int64        microseconds of a period
    cpu_periods      int64        periods in which it wanted to run
    cpu_throttled    int64        periods in which its quota was used up
    cpu_throttled_time int64      microseconds that it was held back in all
    pids             int64        tasks in it and below
    pids_max         int64        limit of them; -1: none
    cgroup           uint64       kernel virtual address of struct cgroup
    source           string       where the row comes from
""")
_NANOSECONDS = ("cpu_quota", "cpu_period", "cpu_throttled_time")


def read(source: RamSource) -> Frame:
    """Every cgroup, by hierarchy and path."""
    every = source.cgroup_tree
    # as cgroup.procs: a process that has ended is in its cgroup still, until its parent asks for how, and is not listed
    processes = [process for process in source.processes.rows if process.alive]
    groups = (process.cgroups.rows for process in processes if process.cgroups is not None)
    inside = Counter((number, path) for rows in groups for number, _, path in rows)
    every_number = limits(source.kernel, every)
    numbers = {name: _known(values, 1000 if name in _NANOSECONDS else 1) for name, values in every_number.items()}
    frozen = numbers.pop("frozen")
    data: dict[str, Any] = {
        "hierarchy": every.hierarchy.tolist(),
        "path": every.path,
        "cgroup_id": [number or None for number in every.ident.tolist()],
        "level": every.level.tolist(),
        "controllers": every.controllers,
        "processes": [inside[place] for place in zip(every.hierarchy.tolist(), every.path, strict=True)],
        "dying": every.dying.tolist(),
        "frozen": [None if value is None else value != 0 for value in frozen],
        **numbers,
        "cgroup": every.cgroup.tolist(),
        "source": ["struct cgroup"] * len(every),
    }
    key = list(zip(data["hierarchy"], (path or "" for path in every.path), data["cgroup"], strict=True))
    order = sorted(range(len(every)), key=key.__getitem__)
    return Frame(data, data["path"]).take(order)


def _known(values: I64, divisor: int) -> list[int | None]:
    return [None if value == UNKNOWN else value if value < 0 else value // divisor for value in values.tolist()]


TABLE = Table(
    "cgroups", "Every cgroup with its limits, what it uses, and how often it ran into them.", COLUMNS, "cgroup",
    {"ram": read},
)  # fmt: skip
