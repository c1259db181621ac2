# SPDX-License-Identifier: Apache-2.0
"""include/linux/sched.h: every task, found by several witnesses that a rootkit must all deceive.

- tasks: the list that starts at init_task (what ps-like tools walk)
- pids: the pid IDR of the initial namespace (what /proc lists)
- threads: the thread lists of the processes known by now
- children: the children lists of the processes known by now
- cgroups: the task lists of the css_sets known by now
- slab: the memory that the kernel allocates tasks from, object by object, whatever links to them

What only some of them know is kept, with who knew it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memir.errors import KernelError
from memir.gaps import Gap
from memir.kernel import pid as pids
from memir.kernel import slab
from memir.kernel.list import list_nodes
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among, distinct
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

WITNESSES = ("tasks", "pids", "threads", "children", "cgroups", "slab")
PID_MAX = 1 << 22
_TASK_REPORT = 0x7F
_TASK_IDLE = 0x402
_STATES = "RSDTtXZPI"


@dataclass(frozen=True)
class Tasks:
    """All tasks (threads too), by pid. Arrays have one row a task.

    task: address of task_struct. pid, tgid, ppid: int32. comm: bytes. seen: bool[n] for each witness.
    leader: whether the row is its thread group's leader, that is, a process.
    """

    task: U64
    pid: NDArray[np.int32]
    tgid: NDArray[np.int32]
    ppid: NDArray[np.int32]  # -1 where the parent is not known
    comm: list[bytes | None]
    flags: NDArray[np.uint32]
    state: list[str]
    leader: Bools
    seen: dict[str, Bools]

    def __len__(self) -> int:
        return len(self.task)

    def select(self, keep: Bools | NDArray[np.int64]) -> Tasks:
        """The rows chosen by a mask or by indexes."""
        rows = np.flatnonzero(keep) if keep.dtype == bool else keep
        return Tasks(
            self.task[rows], self.pid[rows], self.tgid[rows], self.ppid[rows], [self.comm[row] for row in rows],
            self.flags[rows], [self.state[row] for row in rows], self.leader[rows],
            {name: mask[rows] for name, mask in self.seen.items()},
        )  # fmt: skip


def plausible(kernel: Kernel, task: U64) -> Bools:
    """Whether these addresses can be tasks: pids in range, a leader and a signal struct in kernel memory."""
    pid, ok = kernel.try_read(task, "task_struct", "pid")
    tgid, ok2 = kernel.try_read(task, "task_struct", "tgid")
    leader, ok3 = kernel.try_read(task, "task_struct", "group_leader")
    usage, ok5 = kernel.try_read(task, "task_struct", usage_member(kernel))
    signal, ok4 = kernel.try_read(task, "task_struct", "signal")
    kernel_pointer = kernel.space.is_kernel_pointer
    sound = ok5 & (usage > 0) & (pid >= 0) & (pid <= PID_MAX) & (tgid >= 0) & (tgid <= PID_MAX)
    result: Bools = ok & ok2 & ok3 & ok4 & sound & kernel_pointer(leader) & kernel_pointer(signal)
    return result


def usage_member(kernel: Kernel) -> str:
    """The reference count of task_struct."""
    return kernel.first_member("task_struct", "usage.refs.counter", "usage.counter")


def _accept(kernel: Kernel, task: U64, kind: str) -> U64:
    task = distinct(task[task != 0])
    good = plausible(kernel, task)
    kernel.count_unread(kind, task, good)
    return task[good]


def _from_idr(kernel: Kernel, init: U64) -> U64:
    struct_pid = kernel.pointer(init, "task_struct", "thread_pid")
    namespace = pids.namespace_of(kernel, struct_pid)
    named = kernel.symbols.get("init_pid_ns")
    if named is not None and not namespace[0]:  # the first task is torn
        namespace = u64(named)
    _, _, entry = pids.pids(kernel, namespace)
    return _accept(kernel, pids.task_of(kernel, entry), "task in the pid IDR")


def _follow(kernel: Kernel, start: U64, offset: int) -> dict[int, int]:
    """Links of the task list from task to task, for all tasks known and all that they lead to, a batch a time.

    Reading the links of every task that the IDR knows at once leaves only the list's order to be followed, which is a
    walk through a dictionary.
    """
    links: dict[int, int] = {}
    frontier = start
    while len(frontier) and len(links) <= PID_MAX:
        node, ok = kernel.try_pointers(frontier + np.uint64(offset))
        base = np.uint64(kernel.types.offset("task_struct", "tasks"))
        following = np.where(ok, node - base, np.uint64(0))
        links.update(zip(frontier.tolist(), following.tolist(), strict=True))
        new = distinct(following[following != 0])
        new = new[[task not in links for task in new.tolist()]]
        frontier = new[plausible(kernel, new)] if len(new) else new
    return links


def _chain(links: dict[int, int], start: int) -> tuple[list[int], bool]:
    """Tasks from `start` on by these links, and whether they close in a ring."""
    met = {start}
    order = []
    task = links.get(start, 0)
    while task in links and task not in met:
        met.add(task)
        order.append(task)
        task = links[task]
    return order, task == start


def _from_list(kernel: Kernel, init: int, known: U64) -> U64:
    """The tasks on the list of init_task; where it is broken, both of its ends are followed."""
    offset = kernel.types.offset("task_struct", "tasks")
    start = distinct(np.append(known, np.uint64(init)))
    order, closed = _chain(_follow(kernel, start, offset), init)
    if not closed:
        backward, _ = _chain(_follow(kernel, start, offset + 8), init)
        kernel.gaps.add(
            "task list",
            f"after {order[-1] if order else init:#x}",
            "link not readable: followed from both ends",
        )
        order += backward
    return distinct(np.array([init, *order], np.uint64))


def _from_threads(kernel: Kernel, known: U64) -> U64:
    signals = distinct(kernel.pointer(known, "task_struct", "signal"))
    _, nodes = list_nodes(kernel, kernel.embedded(signals, "signal_struct", "thread_head"), "thread list")
    return _accept(kernel, kernel.container(nodes, "task_struct", "thread_node"), "task in a thread list")


def _from_children(kernel: Kernel, known: U64) -> U64:
    _, nodes = list_nodes(kernel, kernel.embedded(known, "task_struct", "children"), "children list")
    return _accept(kernel, kernel.container(nodes, "task_struct", "sibling"), "task in a children list")


def _from_css_sets(kernel: Kernel, known: U64) -> U64:
    css_sets = distinct(kernel.pointer(known, "task_struct", "cgroups"))
    _, nodes = list_nodes(kernel, kernel.embedded(css_sets[css_sets != 0], "css_set", "tasks"), "css_set task list")
    return _accept(kernel, kernel.container(nodes, "task_struct", "cg_list"), "task in a css_set")


def _from_slab(kernel: Kernel, known: U64) -> U64:
    """Tasks that are alive in the slab cache of task_struct: with a stack, references, and not ended.

    A task that has ended keeps its content until its slot is used again, but has given its stack back.
    """
    cache = slab.cache_of(kernel, known)
    if not cache:
        kernel.gaps.add("task slab", f"{len(known)} tasks", "their slab cache could not be told")
        return np.zeros(0, np.uint64)
    task = slab.objects(kernel, cache)
    task = task[plausible(kernel, task)]
    stack = kernel.pointer(task, "task_struct", "stack")
    ended = kernel.read(task, "task_struct", "exit_state") != 0
    alive = kernel.space.is_kernel_pointer(stack) & ~ended
    living: U64 = task[alive | among(task, known)]
    return living


def incomplete(gaps: Iterable[Gap]) -> bool:
    """Whether these gaps say that tasks may be missing."""
    return any(gap.kind in ("RAM", "task", "task list", "pid IDR") or gap.kind.startswith("task in ") for gap in gaps)


def tasks(kernel: Kernel) -> Tasks:
    """Every task that any witness knows; the idle tasks of the processors (pid 0) are left out.

    KernelError if neither the pid IDR nor the task list gives a single task of an image that has all of its node's RAM.
    """
    init = kernel.anchors.init_task
    idr = _from_idr(kernel, u64(init))
    leaders = idr[kernel.read(idr, "task_struct", "pid") == kernel.read(idr, "task_struct", "tgid")]
    witness: dict[str, U64] = {"pids": idr, "tasks": _from_list(kernel, init, leaders)}
    known = np.union1d(witness["pids"], witness["tasks"])
    witness["threads"] = _from_threads(kernel, known)
    known = np.union1d(known, witness["threads"])
    witness["children"] = _from_children(kernel, known)
    known = np.union1d(known, witness["children"])
    witness["cgroups"] = _from_css_sets(kernel, known)
    known = np.union1d(known, witness["cgroups"])
    witness["slab"] = _from_slab(kernel, known)
    known = np.union1d(known, witness["slab"])
    number = kernel.read(known, "task_struct", "pid")
    known = known[(number != 0) & (known != np.uint64(init))]
    if not len(known) and not any(gap.kind == "RAM" for gap in kernel.gaps):
        raise KernelError(
            f"{kernel.memory.path}: no task could be read: neither the pid IDR nor the task list holds one"
        )
    if not len(known):  # what of RAM is there is told all the same
        why = "none could be read: all may lie in the RAM that the image lacks"
        kernel.gaps.add("task", str(kernel.memory.path), why)
    return _columns(kernel, known, witness)


def _columns(kernel: Kernel, task: U64, witness: dict[str, U64]) -> Tasks:
    def read(path: str) -> NDArray[Any]:
        return kernel.read(task, "task_struct", path)

    pid, tgid = read("pid").astype(np.int32), read("tgid").astype(np.int32)
    parent = kernel.pointer(task, "task_struct", "real_parent")
    of_parent, parent_known = kernel.try_read(parent, "task_struct", "tgid")
    parent_known &= plausible(kernel, parent)
    kernel.count_unread("parent", task, parent_known)
    ppid = np.where(parent_known, of_parent, -1).astype(np.int32)
    raw = read("comm")
    raw = raw.view(np.uint8).reshape(len(task), -1 if len(task) else 0)
    # comm stands behind the credentials' pointers: where those are none, its page is zeros or garbage
    whole = kernel.space.is_kernel_pointer(kernel.pointer(task, "task_struct", "real_cred"))
    kernel.count_unread("comm", task, whole)
    comm = [row.tobytes().split(b"\0", 1)[0] if fine else None for row, fine in zip(raw, whole.tolist(), strict=True)]
    leader = (kernel.pointer(task, "task_struct", "group_leader") == task) & (pid == tgid)
    seen = {name: among(task, witness[name]) for name in WITNESSES}
    order = np.lexsort((task, pid))
    known = Tasks(task, pid, tgid, ppid, comm, read("flags").astype(np.uint32), _states(kernel, task), leader, seen)
    return known.select(order)


def _states(kernel: Kernel, task: U64) -> list[str]:
    """The letter that ps shows: task_state_index() in include/linux/sched.h."""
    name = kernel.first_member("task_struct", "__state", "state")
    state = kernel.read(task, "task_struct", name).astype(np.uint64)
    exit_state = kernel.read(task, "task_struct", "exit_state").astype(np.uint64)
    report = ((state | exit_state) & np.uint64(_TASK_REPORT)).astype(np.int64)
    idle = (state & np.uint64(_TASK_IDLE)) == _TASK_IDLE
    index = np.where(idle, 8, np.frexp(report.astype(np.float64))[1])
    return [_STATES[number] for number in index.tolist()]
