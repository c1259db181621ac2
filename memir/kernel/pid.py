"""include/linux/pid.h: the pid IDR, and each task's number in every pid namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import xarray
from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

MAX_LEVEL = 32
"""MAX_PID_NS_LEVEL in include/linux/pid_namespace.h."""


def pids(kernel: Kernel, namespace: U64) -> tuple[NDArray[np.int64], U64, U64]:
    """Every struct pid of these pid namespaces: (namespace index, number, address of struct pid)."""
    heads = kernel.read(namespace, "pid_namespace", "idr.idr_rt.xa_head")
    base = kernel.read(namespace, "pid_namespace", "idr.idr_base").astype(np.uint64)
    found = xarray.entries(kernel, heads, "pid IDR")
    return found.owner, found.index + base[found.owner], found.entry


def task_of(kernel: Kernel, pid: U64, kind: int = 0) -> U64:
    """The task whose id of this kind a struct pid is: uint64[n], 0 if none. kind 0 is PIDTYPE_PID, 1 PIDTYPE_TGID."""
    first = kernel.pointers(kernel.at(pid, "pid", "tasks") + np.uint64(8 * kind) * (pid != 0))
    links = kernel.types.offset("task_struct", "pid_links") + 16 * kind
    return np.where(first != 0, first - np.uint64(links), np.uint64(0))


def namespace_of(kernel: Kernel, pid: U64) -> U64:
    """The innermost pid namespace of each struct pid: ns_of_pid(), numbers[level].ns."""
    level = np.minimum(kernel.read(pid, "pid", "level").astype(np.uint64), np.uint64(MAX_LEVEL))
    upid = np.uint64(kernel.types.size("upid"))
    at = kernel.at(pid, "pid", "numbers") + level * upid * (pid != 0)
    return kernel.read(at, "upid", "ns").astype(np.uint64)


def numbers(kernel: Kernel, pid: U64) -> list[list[int]]:
    """NSpid: the number of each struct pid in every namespace, outermost first; [] where it cannot be read."""
    level, ok = kernel.try_read(pid, "pid", "level")
    kernel.count_unread("pid.level", pid, ok)
    deep = level > MAX_LEVEL
    if (deep & ok).any():
        kernel.gaps.add("pid.level", f"{int(pid[deep][0]):#x}", "deeper than the kernel allows", int(deep.sum()))
    usable = ok & ~deep
    height = int(level[usable].max()) + 1 if usable.any() else 0
    size = kernel.types.size("upid")
    columns = np.zeros((len(pid), height), np.int32)
    for step in range(height):
        rows = np.flatnonzero(usable & (level >= step))
        at = kernel.at(pid[rows], "pid", "numbers") + np.uint64(step * size)
        columns[rows, step] = kernel.read(at, "upid", "nr")
    return [
        columns[row, : int(count) + 1].tolist() if fine else []
        for row, (count, fine) in enumerate(zip(level.tolist(), usable.tolist(), strict=True))
    ]
