# SPDX-License-Identifier: Apache-2.0
"""The table `files`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.checkpoint.rows import file_rows
from memir.checkpoint.source import CheckpointSource
from memir.collected import rows as collected
from memir.collected.source import CollectedSource
from memir.kernel import fdtable, proc_fd
from memir.kernel.mount import mount_of
from memir.kernel.pagetable import U64
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

COLUMNS = columns("""
    pid              int32        process that uses the file
    fd               int32        file descriptor; null for what is used without one
    use              string       fd, cwd, root, exe or mapped (once a process and file)
    path             string       what readlink shows, without its " (deleted)": a path, socket:[N], pipe:[N], ...
    kind             string       regular, directory, char, block, fifo, socket, symlink or anonymous
    inode            uint64       inode number
    device           string       major:minor of its file system
    offset           int64        position in the file
    flags            uint32       flags it was opened with (O_*), as fdinfo shows them in octal
    deleted          bool         its name has been unlinked, or it never had one (memfd)
    peer             string       of a socket: where it leads, as the table sockets has it
    file             uint64       kernel virtual address of struct file; null for cwd and root
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every file that a process has open, runs, maps, or stands in, by process."""
    kernel = source.kernel
    task, use, fd, file = _of_files(source)
    good = proc_fd.sound(kernel, file)
    kernel.count_unread("open file", file, good)
    task, use, fd, file = task[good], use[good], fd[good], file[good]
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
        "pid": [source.pid_of[value] for value in whose.tolist()],
        "fd": [value if value >= 0 else None for value in fd.tolist()] + none,
        "use": [*use.tolist(), *places],
        "path": links.text,
        "kind": links.kind,
        "inode": [value if value >= 0 else None for value in links.inode.tolist()],
        "device": links.device,
        "offset": kernel.read(file, "file", "f_pos").astype(np.int64).tolist() + none,
        "flags": kernel.read(file, "file", "f_flags").astype(np.int64).tolist() + none,
        "deleted": links.deleted,
        "file": file.tolist() + none,
        "source": ["struct file"] * len(file) + ["fs_struct"] * len(here),
    }
    ends = _ends(source)
    data["peer"] = [ends.get(path) if path and path.startswith("socket:") else None for path in data["path"]]
    rank = {"exe": 0, "cwd": 1, "root": 2, "fd": 3, "mapped": 4}
    order = sorted(
        range(len(whose)),
        key=lambda row: (data["pid"][row], rank[data["use"][row]], data["fd"][row] or 0, data["path"][row] or ""),
    )
    return Frame(data, whose).take(order)


def _of_files(source: RamSource) -> tuple[U64, Any, Any, U64]:
    """(task, use, fd or -1, struct file) of open files, executables, and files that are mapped."""
    kernel, tasks = source.kernel, source.file_tasks
    owner, number, opened = fdtable.open_files(kernel, tasks)
    living = source.processes.living
    mm = kernel.pointer(living, "task_struct", "mm")
    exe = kernel.pointer(mm, "mm_struct", "exe_file")
    spaces, regions = source.regions
    pairs = np.unique(np.stack((spaces[regions.owner], regions.file), 1)[regions.file != 0], axis=0)
    by_space: dict[int, list[int]] = {}
    for space, file in pairs.tolist():
        by_space.setdefault(space, []).append(file)
    users = zip(living.tolist(), mm.tolist(), strict=True)
    mapped = [(task, file) for task, space in users for file in by_space.get(space, ())]
    parts = [
        (tasks[owner], "fd", number, opened),
        (living[exe != 0], "exe", None, exe[exe != 0]),
        (np.array([task for task, _ in mapped], np.uint64), "mapped", None,
         np.array([file for _, file in mapped], np.uint64)),
    ]  # fmt: skip
    use = np.repeat([name for _, name, _, _ in parts], [len(part[3]) for part in parts])
    fds = np.concatenate([np.full(len(part[3]), -1) if part[2] is None else part[2] for part in parts])
    return np.concatenate([part[0] for part in parts]), use, fds, np.concatenate([part[3] for part in parts])


def _places(source: RamSource) -> tuple[U64, list[str], U64, U64]:
    """(task, use, struct mount, dentry) of working and root directories."""
    kernel, living = source.kernel, source.processes.living
    inside = kernel.pointer(living, "task_struct", "fs")
    user = kernel.pointer(living, "task_struct", "mm") != 0
    parts = [
        (mount_of(kernel, kernel.pointer(inside, "fs_struct", f"{name}.mnt")),
         kernel.pointer(inside, "fs_struct", f"{name}.dentry"))
        for name in ("pwd", "root")
    ]  # fmt: skip
    kept = [(mount != 0) & (dentry != 0) & user for mount, dentry in parts]
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
    "files", "Files that processes have open, run, map or stand in.", COLUMNS, "task",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected},
    volatility="linux.podfiles",
)  # fmt: skip
