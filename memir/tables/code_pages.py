# SPDX-License-Identifier: Apache-2.0
"""The table `code_pages`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel import proc_fd, task_mmu
from memir.kernel.private_code import PrivateCode, private_code
from memir.kernel.rows import distinct
from memir.kube.ram import RamSource
from memir.tables.frame import Frame, known
from memir.tables.table import Table, columns

COLUMNS = columns("""
    pid              int32        process whose memory it is
    address          uint64       user virtual address of the page
    path             string       file whose code is mapped there, without " (deleted)"; [vdso] for the kernel's
    deleted          bool         the file's name has been unlinked, or it never had one
    offset           uint64       bytes into the file of the page
    device           string       major:minor of the file's file system
    inode            uint64       inode number of the file
    permissions      string       r-xp and the like, of the region
    differing        int32        bytes that are not the file's; null where the page cache has not this page
    breakpoints      int32        of these, bytes of breakpoints, as debuggers and uprobes put them there
    first            int32        the first of them, bytes from the page's start; null where none is known
    bytes            string       up to 16 bytes from there as the process has them, in hex
    file_bytes       string       the same of the file
    frame            uint64       physical address of the process's copy
    vma              uint64       kernel virtual address of struct vm_area_struct
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every page of code that a process has as its own copy; processes that share their memory have it each."""
    kernel = source.kernel
    mm, every = source.regions
    code = private_code(kernel, mm, every)
    data = _columns(source, code)
    rows, pids, tasks = [], [], []
    home = every.owner[code.region]
    for owner in distinct(home).tolist():
        for pid, task in source.users_of(int(mm[owner])):
            here = np.flatnonzero(home == owner)
            rows.append(here)
            pids += [pid] * len(here)
            tasks += [task] * len(here)
    order = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    frame = Frame(data).take(order)
    by_pid = np.argsort(np.array(pids, np.int32), kind="stable")
    made = Frame({"pid": np.array(pids, np.int32), **frame.data}, np.array(tasks, np.uint64))
    return made.take(by_pid)


def _columns(source: RamSource, code: PrivateCode) -> dict[str, Any]:
    kernel, every = source.kernel, source.regions[1]
    file = every.file[code.region]
    mount, dentry = proc_fd.user_paths(kernel, file)
    links = proc_fd.links(kernel, source.mounts, mount, dentry, proc_fd.inodes(kernel, file, dentry))
    mapped = (file != 0).tolist()
    index = every.pgoff[code.region] + ((code.va - every.start[code.region]) >> np.uint64(12))
    return {
        "address": code.va,
        "path": [path if has else "[vdso]" for has, path in zip(mapped, links.text, strict=True)],
        "deleted": [deleted if has else False for has, deleted in zip(mapped, links.deleted, strict=True)],
        "offset": np.where(file != 0, index << np.uint64(12), code.va - every.start[code.region]),
        "device": [device if has else None for has, device in zip(mapped, links.device, strict=True)],
        "inode": [number if has else None for has, number in zip(mapped, known(links.inode), strict=True)],
        "permissions": task_mmu.permissions(every.flags[code.region]),
        "differing": known(code.differing),
        "breakpoints": known(code.breakpoints),
        "first": known(code.first),
        "bytes": [None if part is None else part.hex() for part in code.changed],
        "file_bytes": [None if part is None else part.hex() for part in code.file],
        "frame": code.pa,
        "vma": every.vma[code.region],
        "source": ["page table"] * len(code),
    }


TABLE = Table(
    "code_pages", "Pages of programs and libraries that a process has changed, or had changed, in its memory.",
    COLUMNS, "task", {"ram": read}, volatility="linux.podcode",
)  # fmt: skip
