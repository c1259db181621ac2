# SPDX-License-Identifier: Apache-2.0
"""include/linux/mm_types.h: what a process's own memory says: arguments, environment, executable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.dcache import unlinked
from memir.kernel.mount import Mounts, mount_of
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
from memir.kernel.swap import swap_of

ARG_LIMIT = 8 << 20
"""Bytes of arguments or environment read of one process; execve() allows 6 MiB (3/4 of _STK_LIM)."""
_PAGE = np.uint64(4096)
_BATCH = 8192  # pages gathered at once: 32 MiB


def page_roots(kernel: Kernel, mm: U64) -> U64:
    """Physical address of each mm's top page table, 0 where the mm is none or unreadable."""
    pgd = kernel.pointer(mm, "mm_struct", "pgd")
    pa, ok = kernel.space.physical(pgd)
    return np.where(ok & (pgd != 0), pa, np.uint64(0))


def user_ranges(kernel: Kernel, roots: U64, start: U64, end: U64, kind: str) -> list[bytes | None]:
    """The bytes [start, end) of each process's user memory; None where a page of it is not in RAM (a counted gap).

    Pages that were swapped out and that RAM holds compressed are unpacked.

    roots: from page_roots(); a root of 0 gives None without a gap. Empty ranges give b"".
    """
    size = np.where(end > start, end - start, np.uint64(0))
    absurd = (size > ARG_LIMIT) | (end > np.uint64(kernel.space.user_limit))
    if (absurd & (roots != 0)).any():
        kernel.gaps.add(
            kind,
            f"{int(start[absurd][0]):#x}",
            "range is longer than the kernel allows",
            int((absurd & (roots != 0)).sum()),
        )
    usable = (roots != 0) & ~absurd
    first = start & ~(_PAGE - np.uint64(1))
    count = np.where(usable & (size > 0), (end - first + _PAGE - np.uint64(1)) // _PAGE, np.uint64(0)).astype(np.int64)
    owner, step = spread(count)
    va = first[owner] + step.astype(np.uint64) * _PAGE
    pa, mapped = kernel.space.user_physical(roots[owner], va, swap_of(kernel).places)
    pieces: list[list[bytes]] = [[] for _ in roots]
    missing = np.zeros(len(roots), np.int64)
    for begin in range(0, len(owner), _BATCH):
        part = slice(begin, begin + _BATCH)
        pages, ok = kernel.memory.gather(pa[part], 4096)
        ok &= mapped[part]
        np.add.at(missing, owner[part][~ok], 1)
        for who, page in zip(owner[part].tolist(), pages, strict=True):
            pieces[who].append(page.tobytes())
    whole: list[bytes | None] = []
    for row, parts in enumerate(pieces):
        if not usable[row] or missing[row]:
            whole.append(None)
            continue
        low = int(start[row] - first[row])
        whole.append(b"".join(parts)[low : low + int(size[row])])
    torn = np.flatnonzero(usable & (missing > 0))
    if len(torn):
        kernel.gaps.add(kind, f"{int(start[torn[0]]):#x}", "page not in RAM", len(torn))
    return whole


def address_spaces(kernel: Kernel, task: U64, no_memory: Bools) -> tuple[U64, Bools]:
    """(mm of each task, known). no_memory: tasks that have none by their nature (kernel threads, ended ones)."""
    mm, ok = kernel.try_read(task, "task_struct", "mm")
    mm = mm.astype(np.uint64)
    user, _ = kernel.try_read(mm, "mm_struct", "mm_users.counter")
    count, _ = kernel.try_read(mm, "mm_struct", "mm_count.counter")
    known = ok & np.where(mm == 0, no_memory, (user > 0) | (count > 0))
    kernel.count_unread("mm", task, known)
    return np.where(known, mm, np.uint64(0)), known


@dataclass(frozen=True)
class Arguments:
    """One entry a process: arguments and environment as /proc/PID/cmdline and environ give them, None if unknown."""

    args: list[list[bytes] | None]
    environ: list[list[bytes] | None]


def arguments(kernel: Kernel, mm: U64, known: Bools) -> Arguments:
    """Command lines and environments; a process without user memory (kernel thread, zombie) has empty ones.

    mm, known: from address_spaces().
    """
    roots = page_roots(kernel, mm)
    bounds = {
        name: kernel.read(mm, "mm_struct", name).astype(np.uint64)
        for name in ("arg_start", "arg_end", "env_start", "env_end")
    }
    whole = []
    for kind, low, high in (("args", "arg_start", "arg_end"), ("environ", "env_start", "env_end")):
        # execve() gives every process a stack, so that no bound is 0 and no end before its start
        told = (bounds[low] != 0) & (bounds[high] >= bounds[low])
        kernel.count_unread(f"{kind} bounds", mm, told)
        usable = np.where(told, roots, np.uint64(0))
        whole.append(user_ranges(kernel, usable, bounds[low], bounds[high], kind))
    args, environ = whole
    texts = Arguments([], [])
    for row, (raw, env) in enumerate(zip(args, environ, strict=True)):
        adjacent = bounds["env_start"][row] == bounds["arg_end"][row]
        text = _title(raw, env if adjacent else b"") if raw and not raw.endswith(b"\0") else raw
        none: list[bytes] | None = [] if known[row] else None
        texts.args.append(none if mm[row] == 0 else _split(text))
        texts.environ.append(none if mm[row] == 0 else _split(env))
    return texts


def _title(raw: bytes, env: bytes | None) -> bytes | None:
    """setproctitle(3): a last byte that is not NUL says that the arguments were overwritten, maybe beyond their end.

    fs/proc/base.c get_mm_proctitle(): then the text goes on to the first NUL, a page at most. None if it goes on in an
    environment that could not be read.
    """
    if env is None and b"\0" not in raw:
        return None
    return (raw + (env or b"")).split(b"\0", 1)[0][:4096] + b"\0"


def _split(raw: bytes | None) -> list[bytes] | None:
    if raw is None:
        return None
    parts = raw.split(b"\0")
    if parts and not parts[-1]:
        parts.pop()
    return parts


@dataclass(frozen=True)
class Executables:
    """One entry a process: path of its executable (None: unknown or none), and whether that file was unlinked."""

    path: list[bytes | None]
    deleted: Bools
    known: Bools


def exe_files(kernel: Kernel, mm: U64) -> tuple[U64, Bools]:
    """(struct file of each mm's executable, whether it still is one). execve() takes regular files alone.

    An open file has an inode, its dentry's: another one says that one of the two was used anew while memory was taken.
    """
    file = kernel.pointer(mm, "mm_struct", "exe_file", gap=False)
    dentry = kernel.pointer(file, "file", "f_path.dentry", gap=False)
    inode = kernel.pointer(file, "file", "f_inode", gap=False)
    whole = (dentry != 0) & (inode != 0) & (kernel.pointer(dentry, "dentry", "d_inode", gap=False) == inode)
    mode = kernel.read(inode, "inode", "i_mode").astype(np.int64)
    return file, whole & ((mode & 0o170000) == 0o100000)


def executables(kernel: Kernel, mm: U64, mounts: Mounts) -> Executables:
    """What /proc/PID/exe names. A memfd's path is /memfd:NAME and counts as deleted, as the kernel shows it."""
    file, whole = exe_files(kernel, mm)
    kernel.count_unread("exe", mm, whole)
    dentry = np.where(whole, kernel.pointer(file, "file", "f_path.dentry", gap=False), np.uint64(0))
    mount = mount_of(kernel, kernel.pointer(file, "file", "f_path.mnt"))
    paths = mounts.paths(mount, dentry)
    unreadable = [address for address, path in zip(dentry.tolist(), paths, strict=True) if address and path is None]
    if unreadable:
        kernel.gaps.add("exe", f"{unreadable[0]:#x}", "path not readable", len(unreadable))
    parent, ok = kernel.try_read(dentry, "dentry", "d_parent")
    ok &= kernel.space.is_kernel_pointer(parent.astype(np.uint64))
    roots = np.array(
        [(known.root if (known := mounts.known.get(address)) else 0) for address in mount.tolist()], np.uint64
    )
    pseudo = ok & (parent == dentry) & (roots != dentry) & (dentry != 0)
    return Executables(paths, unlinked(kernel, dentry) | pseudo, ok & (dentry != 0))
