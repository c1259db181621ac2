# SPDX-License-Identifier: Apache-2.0
"""More of each process, in columns: what confines and traces it, and whether its code is its file's."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel import apparmor, binfmt_elf, ptrace, resource, seccomp, selinux, task_links
from memir.kernel.engine import Kernel
from memir.kernel.filemap import contents, sha256
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct, rows_of
from memir.kube.ram import RamSource

MAX_HASHED = 256 << 20
"""Bytes of executables that are hashed for one table, small before large."""


def confinement(source: RamSource) -> dict[str, Any]:
    """Columns of the table `processes`, in the order of source.processes.rows."""
    kernel, every = source.kernel, source.processes
    mode = np.array([-1 if row.seccomp is None else row.seccomp for row in every.rows], np.int64)
    filters = seccomp.filters(kernel, every.living, mode).tolist()
    threads, leaders = every.threads, np.array([row.pid for row in every.rows], np.int64)
    home = rows_of(leaders, threads.tgid.astype(np.int64))
    tracer = _of_threads(home, ptrace.tracers(kernel, threads.task), len(leaders))
    rings = np.full(len(threads.task), -1, np.int64)
    if kernel.types.has("task_struct", "io_uring"):
        context, ok = kernel.try_read(threads.task, "task_struct", "io_uring")
        rings = np.where(ok, context != 0, -1).astype(np.int64)
    ring = _of_threads(home, rings, len(leaders))
    links = task_links.unlinked(kernel, every.task).tolist()
    leads = [row.pid == row.tgid for row in every.rows]
    return {
        "unlinked": [out > 0 if lead and out >= 0 else None for lead, out in zip(leads, links, strict=True)],
        "seccomp_filters": [None if count < 0 else count for count in filters],
        "label": _labels(kernel, every.living),
        "tracer": [None if pid < 0 else pid for pid in tracer.tolist()],
        "io_uring": [None if used < 0 else used > 0 for used in ring.tolist()],
        "limits": resource.limits(kernel, every.task),
    }


def _labels(kernel: Kernel, task: U64) -> list[str | None]:
    """Of the security module that labels tasks: SELinux or AppArmor, of which a kernel runs one."""
    modules = apparmor.security_modules(kernel) or []
    return selinux.labels(kernel, task) if "selinux" in modules else apparmor.labels(kernel, task)


def _of_threads(home: np.ndarray[Any, Any], value: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    """The greatest value of each process's threads; -1 where it has none."""
    most = np.full(count, -1, np.int64)
    np.maximum.at(most, home[home >= 0], value[home >= 0])
    return most


def code(source: RamSource) -> dict[str, Any]:
    """The same for what a process runs: None for those without memory."""
    kernel = source.kernel
    mm, every = source.regions
    program = binfmt_elf.program_code(kernel, mm, every)
    hashes = _hashes(source, distinct(program.mapping[program.mapping != 0]))
    row = rows_of(mm, kernel.pointer(source.processes.living, "task_struct", "mm")).tolist()
    starts, files = program.start.tolist(), program.mapping.tolist()
    return {
        "exe_code": [program.state[of] if of >= 0 else None for of in row],
        "start_code": [starts[of] or None if of >= 0 else None for of in row],
        "exe_sha256": [hashes.get(files[of]) if of >= 0 else None for of in row],
    }


def _hashes(source: RamSource, mapping: np.ndarray[Any, Any]) -> dict[int, str | None]:
    """SHA-256 of files (struct address_space) that are whole in RAM."""
    kernel = source.kernel
    size = kernel.read(kernel.pointer(mapping, "address_space", "host"), "inode", "i_size").astype(np.int64)
    order = np.argsort(size, kind="stable")
    every = contents(kernel, mapping[order], size[order])
    hashes: dict[int, str | None] = {}
    room = MAX_HASHED
    for file, content in zip(mapping[order].tolist(), every, strict=True):
        if content.complete and 0 < content.size <= room:
            room -= content.size
            hashes[file] = sha256(kernel, content)
        elif content.complete and content.size:
            kernel.gaps.add("sha256", "executables", f"more than {MAX_HASHED >> 20} MiB")
    return hashes
