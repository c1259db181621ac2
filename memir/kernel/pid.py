# SPDX-License-Identifier: Apache-2.0
"""include/linux/pid.h: the pid IDR, and each task's number in every pid namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import xarray
from memir.kernel.pagetable import U64, Bools

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

MAX_LEVEL = 32
"""MAX_PID_NS_LEVEL in include/linux/pid_namespace.h."""


def pids(kernel: Kernel, namespace: U64) -> tuple[NDArray[np.int64], U64, U64]:
    """Every struct pid of these pid namespaces: (namespace index, number, address of struct pid)."""
    heads = kernel.read(namespace, "pid_namespace", "idr.idr_rt.xa_head")
    base = kernel.read(namespace, "pid_namespace", "idr.idr_base").astype(np.uint64)
    entries = xarray.entries(kernel, heads, "pid IDR")
    return entries.owner, entries.index + base[entries.owner], entries.entry


def task_of(kernel: Kernel, pid: U64, kind: int = 0) -> U64:
    """The task whose id of this kind a struct pid is: uint64[n], 0 if none. kind 0 is PIDTYPE_PID, 1 PIDTYPE_TGID."""
    first = kernel.pointers(kernel.embedded(pid, "pid", "tasks") + np.uint64(8 * kind) * (pid != 0))
    links = kernel.types.offset("task_struct", "pid_links") + 16 * kind
    return np.where(first != 0, first - np.uint64(links), np.uint64(0))


def of_tasks(kernel: Kernel, task: U64) -> U64:
    """struct pid of each task: uint64[n], 0 where it is another task's now.

    A task that ends gives it back: where RAM is read meanwhile, the next one may have it already.
    """
    pid = kernel.pointer(task, "task_struct", "thread_pid")
    number, known = kernel.try_read(task, "task_struct", "pid")
    outermost, read = kernel.try_read(kernel.embedded(pid, "pid", "numbers"), "upid", "nr")
    own = ~(known & read & (pid != 0) & (outermost > 0)) | (number == outermost)
    kernel.count_unread("pid", task, own, "became another task's while RAM was read")
    return np.where(own, pid, np.uint64(0))


def _levels(kernel: Kernel, pid: U64) -> tuple[U64, Bools]:
    """(level of each struct pid, known): one in use has references and is no deeper than the kernel allows."""
    level, ok = kernel.try_read(pid, "pid", "level")
    count, _ = kernel.try_read(pid, "pid", kernel.first_member("pid", "count.refs.counter", "count.counter"))
    return level.astype(np.uint64), ok & (count > 0) & (level <= MAX_LEVEL)


def namespace_of(kernel: Kernel, pid: U64) -> U64:
    """The innermost pid namespace of each struct pid: ns_of_pid(), numbers[level].ns; 0 where not known."""
    level, ok = _levels(kernel, pid)
    upid = np.uint64(kernel.types.size("upid"))
    upid_address = np.where(ok, kernel.embedded(pid, "pid", "numbers") + level.astype(np.uint64) * upid, np.uint64(0))
    return kernel.pointer(upid_address, "upid", "ns")


def numbers(kernel: Kernel, pid: U64) -> list[list[int]]:
    """NSpid: the number of each struct pid in every namespace, outermost first; [] where it cannot be read."""
    level, usable = _levels(kernel, pid)
    kernel.count_unread("pid.level", pid, usable)
    height = int(level[usable].max()) + 1 if usable.any() else 0
    size = kernel.types.size("upid")
    columns = np.zeros((len(pid), height), np.int32)
    for step in range(height):
        rows = np.flatnonzero(usable & (level >= step))
        address = kernel.embedded(pid[rows], "pid", "numbers") + np.uint64(step * size)
        columns[rows, step], read = kernel.try_read(address, "upid", "nr")
        # each number names a namespace: zeros and garbage do not
        named = kernel.space.is_kernel_pointer(kernel.pointer(address, "upid", "ns", gap=False))
        read &= named & (columns[rows, step] > 0)
        kernel.count_unread("upid", address, read)
        usable[rows[~read]] = False
    return [
        columns[row, : int(count) + 1].tolist() if fine else []
        for row, (count, fine) in enumerate(zip(level.tolist(), usable.tolist(), strict=True))
    ]
