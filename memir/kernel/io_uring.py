# SPDX-License-Identifier: Apache-2.0
"""include/linux/io_uring_types.h: files that a ring holds, registered or by requests, and which may be open nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import hlist_nodes
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MOST_FILES = 1 << 15  # IORING_MAX_FIXED_FILES
_MOST_BITS = 12  # of a table of requests: 2 completions (IORING_MAX_CQ_ENTRIES: 65,536) in 32 a slot
_MOST_REQUESTS = 1 << 16  # in one slot
_WORKER = 0x10  # PF_IO_WORKER
_FIXED = 1  # REQ_F_FIXED_FILE: by its number in the ring's table
_FLAGS = np.uint64(7)  # FFS_MASK: what the ring knows of a file stands in the low bits


def rings(kernel: Kernel, file: U64) -> U64:
    """The struct io_ring_ctx of each open file, 0 for one that is no ring."""
    operations = kernel.symbols.get("io_uring_fops")
    if operations is None or not kernel.types.exists("io_ring_ctx"):
        return np.zeros(len(file), np.uint64)
    is_ring = kernel.pointer(file, "file", "f_op", gap=False) == np.uint64(operations)
    return kernel.pointer(np.where(is_ring, file, np.uint64(0)), "file", "private_data")


def own_rings(kernel: Kernel, task: U64) -> tuple[I64, U64]:
    """(index of the task, struct file) of rings that threads have registered for themselves (5.18, e7a6c00dc77a).

    They stay usable by the thread when their descriptors are closed.
    """
    context = np.zeros(len(task), np.uint64)
    if kernel.types.has("task_struct", "io_uring") and kernel.types.has("io_uring_task", "registered_rings"):
        context = kernel.pointer(task, "task_struct", "io_uring", gap=False)
    some = np.flatnonzero(context)
    if not len(some):
        return some, context[some]
    count = kernel.types.member("io_uring_task", "registered_rings").type.count
    row, number = spread(np.full(len(some), count, np.int64))
    place = kernel.embedded(context[some], "io_uring_task", "registered_rings")[row]
    file, read = kernel.try_pointers(place + number.astype(np.uint64) * np.uint64(8))
    kernel.count_unread("io_uring of a thread", place, read)
    return some[row][file != 0], file[file != 0]


def registered(kernel: Kernel, ring: U64) -> tuple[I64, U64]:
    """(index of the ring, struct file) of its registered files; ring: struct io_ring_ctx.

    5.12 to 6.12: a table of io_fixed_file. Newer kernels (6.13, 661768085e1c) keep nodes, 5.10 pages of pointers.
    """
    types = kernel.types
    if not len(ring):
        return np.zeros(0, np.int64), ring
    if types.has("io_ring_ctx", "file_table.data.nodes"):
        count = kernel.read(ring, "io_ring_ctx", "file_table.data.nr").astype(np.int64)
        first = kernel.pointer(ring, "io_ring_ctx", "file_table.data.nodes")
    elif types.has("io_ring_ctx", "file_table.files") and types.has("io_ring_ctx", "nr_user_files"):
        count = kernel.read(ring, "io_ring_ctx", "nr_user_files").astype(np.int64)
        first = kernel.pointer(ring, "io_ring_ctx", "file_table.files")
    else:
        kernel.gaps.add("io_uring", "registered files", "layout not known: not read", len(ring))
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    absurd = (count < 0) | (count > _MOST_FILES)
    kernel.count_unread("io_uring", ring, ~absurd, "absurd number of files")
    row, number = spread(np.where(absurd | (first == 0), 0, count))
    place = first[row] + number.astype(np.uint64) * np.uint64(8)
    file, read = kernel.try_pointers(place)
    kernel.count_unread("file of an io_uring", place, read)
    if types.has("io_ring_ctx", "file_table.data.nodes"):
        file = kernel.pointer(file, "io_rsrc_node", "file_ptr")
    file &= ~_FLAGS
    return row[file != 0], file[file != 0]


def waiting(kernel: Kernel, ring: U64) -> tuple[I64, U64]:
    """(index of the ring, struct io_kiocb) of requests that wait until a file is ready, as an accept does for a client.

    They lie in hashes so that they can be cancelled: since 6.0 (e6f89be61410) one or two tables of buckets, before one
    of heads alone.
    """
    types = kernel.types
    if not len(ring):
        return np.zeros(0, np.int64), ring
    tables = [name for name in ("cancel_table", "cancel_table_locked") if types.has("io_ring_ctx", f"{name}.hbs")]
    if tables:
        size, start = types.size("io_hash_bucket"), types.offset("io_hash_bucket", "list")
        members = [(f"{name}.hbs", f"{name}.hash_bits") for name in tables]
    elif types.has("io_ring_ctx", "cancel_hash_bits"):
        size, start, members = 8, 0, [("cancel_hash", "cancel_hash_bits")]
    else:
        kernel.gaps.add("io_uring", "requests", "layout not known: not read", len(ring))
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    of, heads = [], []
    for first, bits in members:
        base = kernel.pointer(ring, "io_ring_ctx", first)
        power = kernel.read(ring, "io_ring_ctx", bits).astype(np.int64)
        absurd = (power < 0) | (power > _MOST_BITS)
        kernel.count_unread("io_uring", ring, ~absurd, "absurd number of requests")
        row, number = spread(np.where(absurd | (base == 0), 0, np.left_shift(1, np.where(absurd, 0, power))))
        of.append(row)
        heads.append(base[row] + number.astype(np.uint64) * np.uint64(size) + np.uint64(start))
    head, node = hlist_nodes(kernel, np.concatenate(heads), "io_uring requests", _MOST_REQUESTS)
    row, request = np.concatenate(of)[head], kernel.container(node, "io_kiocb", "hash_node")
    whole = kernel.try_pointers(kernel.embedded(request, "io_kiocb", "ctx"))[0] == ring[row]
    kernel.count_unread("request of an io_uring", request, whole, "torn")
    return row[whole], request[whole]


def working(kernel: Kernel, thread: U64) -> tuple[I64, U64]:
    """(index of the thread, struct io_kiocb) of requests that threads made for them are at work on, blocked mostly.

    Since 5.12 (3bfe6106693b) these are threads of the process that made the ring; before, not read.
    """
    if not kernel.types.has("task_struct", "worker_private") or not kernel.types.has("io_worker", "cur_work"):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    flags = kernel.read(thread, "task_struct", "flags").astype(np.int64)
    row = np.flatnonzero(flags & _WORKER)
    worker = kernel.pointer(thread[row], "task_struct", "worker_private", gap=False)
    work = kernel.pointer(worker, "io_worker", "cur_work", gap=False)
    row, request = row[work != 0], kernel.container(work[work != 0], "io_kiocb", "work")
    last = (kernel.types.enum("io_uring_op") or {}).get("IORING_OP_LAST", 256)
    ring, known = kernel.try_pointers(kernel.embedded(request, "io_kiocb", "ctx"))
    opcode, read = kernel.try_read(request, "io_kiocb", "opcode")
    whole = known & read & kernel.space.is_kernel_pointer(ring) & (opcode.astype(np.int64) < last)
    kernel.count_unread("request of an io_uring", request, whole, "torn")
    return row[whole], request[whole]


def of_requests(kernel: Kernel, request: U64) -> tuple[U64, U64, list[str]]:
    """(struct io_ring_ctx, struct file, name of what is asked for) of requests; 0 for a file that is registered."""
    ring = kernel.pointer(request, "io_kiocb", "ctx")
    file = kernel.pointer(request, "io_kiocb", "file", gap=False)
    fixed = kernel.read(request, "io_kiocb", "flags").astype(np.int64) & _FIXED != 0
    number = kernel.read(request, "io_kiocb", "opcode").astype(np.int64).tolist()
    names = {value: name for name, value in ((kernel.types.enum("io_uring_op") or {}) if number else {}).items()}
    return ring, np.where(fixed, np.uint64(0), file), [names.get(value, f"request {value}") for value in number]
