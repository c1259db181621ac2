# SPDX-License-Identifier: Apache-2.0
"""Take tasks out of the kernel's lists in a saved image, as a rootkit does in the running kernel.

Each change is 8 bytes (one byte for a node's count) at a physical address, recorded with what stood there before. A
task stays in its slab, and what it points to stays: the scheduler needs no list of all tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memir.image.open import open_image
from memir.kernel.engine import Kernel
from memir.kernel.space import u64
from memir.symbols.locate import locate

_SLOTS = 64  # XA_CHUNK_SIZE in include/linux/xarray.h, as every distribution builds it


@dataclass(frozen=True)
class Change:
    """One place in the image and its bytes before and after, as hex."""

    paddr: int
    before: str
    after: str


class Hider:
    """Changes to an image, not written yet."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.changed: dict[int, bytes] = {}

    def _word(self, va: int) -> int:
        pa = self._place(va)
        if pa in self.changed:
            return int.from_bytes(self.changed[pa], "little")
        return int(self.kernel.pointers(u64(va))[0])

    def _place(self, va: int) -> int:
        pa, known = self.kernel.space.physical(u64(va))
        if not known[0]:
            raise ValueError(f"{va:#x} is not mapped")
        return int(pa[0])

    def _set(self, va: int, value: int, size: int = 8) -> None:
        self.changed[self._place(va)] = value.to_bytes(size, "little")

    def _unlink(self, node: int) -> None:
        """list_del_init()."""
        following, previous = self._word(node), self._word(node + 8)
        self._set(previous, following)
        self._set(following + 8, previous)
        self._set(node, node)
        self._set(node + 8, node)

    def _member(self, task: int, path: str) -> int:
        return task + self.kernel.types.offset("task_struct", path)

    def tasks(self, task: int) -> None:
        """Out of the list that starts at init_task."""
        self._unlink(self._member(task, "tasks"))

    def children(self, task: int) -> None:
        """Out of the parent's list of children."""
        self._unlink(self._member(task, "sibling"))

    def cgroups(self, task: int) -> None:
        """Out of its css_set's list of tasks."""
        self._unlink(self._member(task, "cg_list"))

    def pids(self, task: int) -> None:
        """Out of the pid IDR of each of its pid namespaces, which /proc lists."""
        read, types = self.kernel.read, self.kernel.types
        pid = int(read(u64(task), "task_struct", "thread_pid")[0])
        numbers = pid + types.offset("pid", "numbers")
        for level in range(int(read(u64(pid), "pid", "level")[0]) + 1):
            upid = u64(numbers + level * types.size("upid"))
            number, namespace = int(read(upid, "upid", "nr")[0]), int(read(upid, "upid", "ns")[0])
            head = read(u64(namespace), "pid_namespace", "idr.idr_rt.xa_head")
            base = int(read(u64(namespace), "pid_namespace", "idr.idr_base")[0])
            self._erase(int(head[0]), number - base, pid)

    def _erase(self, entry: int, index: int, value: int) -> None:
        """xa_erase() without giving empty nodes back."""
        types = self.kernel.types
        while entry & 3 == 2:
            node = entry & ~3
            shift = int(self.kernel.read(u64(node), "xa_node", "shift")[0])
            slot = node + types.offset("xa_node", "slots") + 8 * (index >> shift & _SLOTS - 1)
            entry = self._word(slot)
        if entry != value:
            raise ValueError(f"{index} leads to {entry:#x}, not to {value:#x}")
        self._set(slot, 0)
        count = node + types.offset("xa_node", "count")
        place = self._place(count)
        before = self.changed.get(place) or bytes(np.array(self.kernel.read(u64(node), "xa_node", "count"), np.uint8))
        self._set(count, before[0] - 1, 1)


def hide(raw: Path, wanted: dict[int, tuple[str, ...]]) -> dict[int, list[Change]]:
    """Hide tasks of an unpacked image from address 0, in place: pid to the lists (tasks, pids, children, cgroups)."""
    with open_image(raw) as memory:
        kernel = Kernel(memory, locate(memory))
        init = kernel.anchors.init_task
        offset = kernel.types.offset("task_struct", "tasks")
        task_of, at = {}, init
        while (at := int(kernel.pointers(u64(at + offset))[0]) - offset) != init:
            task_of[int(kernel.read(u64(at), "task_struct", "pid")[0])] = at
        hider = Hider(kernel)
        ways: dict[str, Callable[[int], None]] = {
            "tasks": hider.tasks, "pids": hider.pids, "children": hider.children, "cgroups": hider.cgroups,
        }  # fmt: skip
        by_pid: dict[int, list[int]] = {}
        for pid, lists in wanted.items():
            known = set(hider.changed)
            for name in lists:
                ways[name](task_of[pid])
            by_pid[pid] = sorted(set(hider.changed) - known)
        before = {pa: bytes(memory.read(pa, len(data))) for pa, data in hider.changed.items()}
    with raw.open("r+b") as file:
        for pa, data in hider.changed.items():
            file.seek(pa)
            file.write(data)
    return {
        pid: [Change(pa, before[pa].hex(), hider.changed[pa].hex()) for pa in places] for pid, places in by_pid.items()
    }
