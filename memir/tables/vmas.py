# SPDX-License-Identifier: Apache-2.0
"""The table `vmas`."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.checkpoint.rows import vma_rows
from memir.collected import rows as collected
from memir.kernel import proc_fd, task_mmu
from memir.kernel.blank import whole
from memir.kernel.vma import Vmas
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.collected.source import CollectedSource

COLUMNS = columns("""
    pid              int32        process whose memory it is
    start            uint64       first user virtual address
    end              uint64       the address behind the last one
    permissions      string       r-xp and the like, as /proc/PID/maps shows them
    flags            list<string> rd, wr, ex, mr, mw, me, ... as smaps' VmFlags names them, of the bits that never moved
    path             string       path of the file without " (deleted)", or [heap], [stack], [vdso], [vvar], [anon:NAME]
    offset           uint64       bytes into the file; 0 for anonymous memory
    device           string       major:minor of the file's file system
    inode            uint64       inode number of the file
    anonymous        bool         no file is mapped
    deleted          bool         the file's name has been unlinked, or it never had one
    memfd            bool         the file was made by memfd_create
    rss              int64        bytes that are in RAM; pages of zeros count only where no symbol names them
    swapped          int64        bytes that its page tables have in swap; null where the swap spaces are not known
    vma              uint64       kernel virtual address of struct vm_area_struct
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every region of every process, by process and address; processes that share their memory have it each."""
    kernel, living = source.kernel, source.processes.living
    space = kernel.pointer(living, "task_struct", "mm")
    mm, every = source.regions
    good = whole(kernel, every.vma, kernel.types.size("vm_area_struct"))
    kernel.count_unread("vma", every.vma, good)
    every = replace(every, **{field.name: getattr(every, field.name)[good] for field in fields(Vmas)})
    rss, gone = task_mmu.resident_swapped(kernel, mm, every)
    made = _columns(source, every, task_mmu.names(kernel, mm, every), rss)
    made["swapped"] = [None] * len(every) if gone is None else gone.tolist()
    first = np.searchsorted(every.owner, np.arange(len(mm) + 1))
    homes = zip(living.tolist(), space.tolist(), strict=True)
    users = sorted((source.pid_of[task], task, home) for task, home in homes if home)
    where = np.searchsorted(mm, np.array([home for _, _, home in users], np.uint64)).tolist()
    rows = [row for owner in where for row in range(int(first[owner]), int(first[owner + 1]))]
    many = [int(first[owner + 1] - first[owner]) for owner in where]
    data: dict[str, Any] = {name: [values[row] for row in rows] for name, values in made.items()}
    data["pid"] = np.repeat(np.array([pid for pid, _, _ in users], np.int32), many)
    return Frame(data, np.repeat(np.array([task for _, task, _ in users], np.uint64), many))


def _columns(source: RamSource, every: Vmas, names: list[str | None], rss: np.ndarray[Any, Any]) -> dict[str, Any]:
    kernel = source.kernel
    file, back = np.unique(every.file, return_inverse=True)
    good = proc_fd.sound(kernel, file)
    kernel.count_unread("open file", file, good)
    mount, dentry = proc_fd.user_paths(kernel, np.where(good, file, np.uint64(0)))
    inode = proc_fd.inodes(kernel, np.where(good, file, np.uint64(0)), dentry)
    links = proc_fd.links(kernel, source.mounts, mount, dentry, inode)
    mapped = (every.file != 0).tolist()
    rows = list(zip(back.tolist(), mapped, strict=True))
    path = [links.text[row] if has else name for (row, has), name in zip(rows, names, strict=True)]
    deleted = [links.deleted[row] if has else False for row, has in rows]
    numbers = links.inode.tolist()
    return {
        "start": every.start.tolist(),
        "end": every.end.tolist(),
        "permissions": task_mmu.permissions(every.flags),
        "flags": [[name for bit, name in task_mmu.FLAGS.items() if value >> bit & 1] for value in every.flags.tolist()],
        "path": path,
        "offset": np.where(every.file != 0, every.pgoff << np.uint64(12), np.uint64(0)).tolist(),
        "device": [links.device[row] if has else None for row, has in rows],
        "inode": [numbers[row] if has and numbers[row] >= 0 else None for row, has in rows],
        "anonymous": [not has for has in mapped],
        "deleted": deleted,
        "memfd": [_memfd(*row) for row in zip(mapped, path, deleted, strict=True)],
        "rss": rss.tolist(),
        "vma": every.vma.tolist(),
        "source": ["vm_area_struct"] * len(every),
    }


def _memfd(mapped: bool, path: str | None, deleted: bool | None) -> bool | None:
    """A file of the kernel's own tmpfs has no other name; None where that is not known."""
    if mapped and (path is None or deleted is None):
        return None
    return bool(mapped and deleted and (path or "").startswith("/memfd:"))


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The same of a checkpoint's container."""
    return frame_of(COLUMNS, source.gaps, vma_rows(source))


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod."""
    return frame_of(COLUMNS, source.gaps, *collected.vma_rows(source))


TABLE = Table(
    "vmas", "Memory regions of every process.", COLUMNS, "task",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected},
)  # fmt: skip
