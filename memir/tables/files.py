# SPDX-License-Identifier: Apache-2.0
"""The table `files`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from memir.checkpoint.rows import file_rows
from memir.collected import rows as collected
from memir.kernel import fdtable, proc_fd
from memir.kernel.mount import mount_of
from memir.kernel.pagetable import I64, U64
from memir.kube.carried import IN_FLIGHT, IO_URING, Carried
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.collected.source import CollectedSource
    from memir.kernel.engine import Kernel

_CLOEXEC = 0o2000000  # O_CLOEXEC
COLUMNS = columns("""
    pid              int32        process that uses the file; in flight: that can receive it, null if none can
    fd               int32        file descriptor; null for what is used without one
    use              string       fd, cwd, root, exe, mapped (once a process and file), in flight or io_uring
    path             string       what readlink shows, without its " (deleted)": a path, socket:[N], pipe:[N], ...
    kind             string       regular, directory, char, block, fifo, socket, symlink or anonymous
    inode            uint64       inode number
    device           string       major:minor of its file system
    offset           int64        position in the file
    flags            uint32       flags it was opened with (O_*), as fdinfo shows them in octal
    deleted          bool         its name has been unlinked, or it never had one (memfd)
    peer             string       of a socket: where it leads, as the table sockets has it
    file             uint64       kernel virtual address of struct file; null for cwd and root
    source           string       where the row comes from; without fd: to which socket it is in flight, or its io_uring
""")


def read(source: RamSource) -> Frame:
    """Every file that a process has open, runs, maps, stands in, or holds in flight or by an io_uring, by process."""
    kernel = source.kernel
    task, uses, fd, file, origin = _of_files(source)
    good = proc_fd.sound(kernel, file)
    kernel.count_unread("open file", file, good)
    kept = np.flatnonzero(good)
    task, fd, file = task[kept], fd[kept], file[kept]
    mount, dentry = proc_fd.user_paths(kernel, file)
    here, places, place_mount, place_dentry = _places(source)
    inode = (proc_fd.inodes(kernel, file, dentry), kernel.pointer(place_dentry, "dentry", "d_inode"))
    links = proc_fd.links(
        kernel, source.mounts, np.concatenate((mount, place_mount)), np.concatenate((dentry, place_dentry)),
        np.concatenate(inode),
    )  # fmt: skip
    none = [None] * len(here)
    whose = np.concatenate((task, here))
    data: dict[str, Any] = {
        "pid": [source.pid_of[value] if value else None for value in whose.tolist()],
        "fd": [value if value >= 0 else None for value in fd.tolist()] + none,
        "use": [*(uses[row] for row in kept.tolist()), *places],
        "path": links.text,
        "kind": links.kind,
        "inode": [value if value >= 0 else None for value in links.inode.tolist()],
        "device": links.device,
        "offset": kernel.read(file, "file", "f_pos").astype(np.int64).tolist() + none,
        "flags": _flags(kernel, task, fd, file).tolist() + none,
        "deleted": links.deleted,
        "file": file.tolist() + none,
        "source": [*(origin[row] for row in kept.tolist()), *["fs_struct"] * len(here)],
    }
    ends = _ends(source)
    data["peer"] = [ends.get(path) if path and path.startswith("socket:") else None for path in data["path"]]
    rank = {"exe": 0, "cwd": 1, "root": 2, "fd": 3, "mapped": 4, IO_URING: 5, IN_FLIGHT: 6}
    order = sorted(
        range(len(whose)),
        key=lambda row: (data["pid"][row] or 0, rank[data["use"][row]], data["fd"][row] or 0, data["path"][row] or ""),
    )
    return Frame(data, whose).take(order)


def _flags(kernel: Kernel, task: U64, fd: I64, file: U64) -> I64:
    """Flags of open files, as fdinfo makes them of the file's own and of what belongs to the descriptor."""
    closed = fdtable.close_on_exec(kernel, np.where(fd >= 0, task, np.uint64(0)), np.maximum(fd, 0))
    flags: I64 = kernel.read(file, "file", "f_flags").astype(np.int64) & ~_CLOEXEC
    return flags | np.where(closed, _CLOEXEC, 0)


def _of_files(source: RamSource) -> tuple[U64, list[str], Any, U64, list[str]]:
    """(task, use, fd or -1, struct file, source) of open, executed and mapped files, and those held without fd."""
    kernel, tasks = source.kernel, source.file_tasks
    owner, number, opened = fdtable.open_files(kernel, tasks)
    living = source.processes.living
    exe = kernel.pointer(kernel.pointer(living, "task_struct", "mm"), "mm_struct", "exe_file")
    users, mapped = source.mapped_files
    held = source.sockets.files
    row, holder = _holders(source, held)
    parts = [
        (tasks[owner], "fd", number, opened),
        (living[exe != 0], "exe", np.full(int((exe != 0).sum()), -1), exe[exe != 0]),
        (users, "mapped", np.full(len(users), -1), mapped),
    ]
    use = [name for _, name, fds, _ in parts for _ in range(len(fds))] + [held.use[which] for which in row]
    known = len(use) - len(row)
    return (
        np.concatenate([*(part[0] for part in parts), holder]), use,
        np.concatenate([*(part[2] for part in parts), np.full(len(row), -1)]),
        np.concatenate([*(part[3] for part in parts), held.file[row]]),
        ["struct file"] * known + [f"struct file, {held.where[which]}" for which in row],
    )  # fmt: skip


def _holders(source: RamSource, held: Carried) -> tuple[list[int], U64]:
    """(row, task) of files that are held without fd, one of each process that can take it; 0 where none can."""
    row: list[int] = []
    task: list[int] = []
    for which, holders in enumerate(held.holders):
        by_pid = {source.pid_of[each]: each for each, _ in reversed(holders) if each in source.pid_of}
        for each in [by_pid[pid] for pid in sorted(by_pid)] or [0]:
            row.append(which)
            task.append(each)
    return row, np.array(task, np.uint64)


def _places(source: RamSource) -> tuple[U64, list[str], U64, U64]:
    """(task, use, struct mount, dentry) of working and root directories, once a process: threads may have their own."""
    kernel, living = source.kernel, source.one_for_each("fs")
    process = np.array([source.pid_of[task] for task in living.tolist()], np.uint64)
    inside = kernel.pointer(living, "task_struct", "fs")
    user = kernel.pointer(living, "task_struct", "mm") != 0
    parts = [
        (mount_of(kernel, kernel.pointer(inside, "fs_struct", f"{name}.mnt")),
         kernel.pointer(inside, "fs_struct", f"{name}.dentry"))
        for name in ("pwd", "root")
    ]  # fmt: skip
    kept = [(mount != 0) & (dentry != 0) & user for mount, dentry in parts]
    for (mount, dentry), keep in zip(parts, kept, strict=True):
        rows = np.flatnonzero(keep)
        _, first = np.unique(np.stack((process, mount, dentry), 1)[rows], axis=0, return_index=True)
        keep[np.delete(rows, first)] = False
    names = ["cwd"] * int(kept[0].sum()) + ["root"] * int(kept[1].sum())
    mount, dentry = (
        np.concatenate([part[side][keep] for part, keep in zip(parts, kept, strict=True)]) for side in (0, 1)
    )
    return np.concatenate([living[keep] for keep in kept]), names, mount, dentry


def _ends(source: RamSource) -> dict[str, str]:
    """By `socket:[N]`: the other end, or the name that the socket itself is bound to."""
    every = source.sockets
    rows = every.rows
    answer: dict[str, str] = {}
    for row, inode in enumerate(rows.inode.tolist()):
        peer, port = every.peer[row], int(rows.remote_port[row])
        remote = every.names[peer] if peer is not None else rows.remote[row]
        if inode >= 0 and remote is not None and (peer is not None or port > 0):
            shown = f"[{remote}]" if ":" in remote and port > 0 else remote
            answer[f"socket:[{inode}]"] = f"{shown}:{port}" if port > 0 else shown
    return answer


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The same of a checkpoint's container."""
    return frame_of(COLUMNS, source.gaps, file_rows(source))


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod."""
    return frame_of(COLUMNS, source.gaps, *collected.file_rows(source))


TABLE = Table(
    "files", "Files that processes have open, run, map, stand in, or hold without a descriptor.", COLUMNS, "task",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected},
    volatility="linux.podfiles",
)  # fmt: skip
