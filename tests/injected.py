# SPDX-License-Identifier: Apache-2.0
"""A node whose processes have other pages of code, or another program, than their files: as who injects leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from memir.gaps import Gaps
from memir.kernel import page, page_struct
from memir.kernel.engine import Kernel
from memir.kernel.mm import page_roots
from memir.kernel.pagemap import cached_pages
from memir.kernel.pagetable import Format
from memir.kernel.space import u64
from memir.kernel.vma import VM_EXEC, VM_WRITE
from memir.kube.ram import RamSource
from tests.damage import PAGE, damaged, patched


@dataclass(frozen=True)
class Place:
    """A page of a process: virtual address, frame (physical address), and the entry of the page table that maps it."""

    va: int
    pa: int
    entry_at: int
    entry: int


def changed(node: RamSource, at: Mapping[int, bytes]) -> RamSource:
    """The node with other bytes at some physical addresses, gaps its own."""
    memory = damaged(node.kernel.memory, patched(node.kernel.memory, at))
    return RamSource(Kernel(memory, node.kernel.anchors, Gaps()))


def place(node: RamSource, mm: int, va: int) -> Place:
    """Where a page of an mm_struct lies."""
    space = node.kernel.space
    fmt: Format = space.fmt
    table = fmt.root(page_roots(node.kernel, u64(mm)))
    for level in range(fmt.levels - 1, -1, -1):
        at = table + fmt.index(u64(va), level) * np.uint64(8)
        entry = np.frombuffer(node.kernel.memory.read(int(at[0]), 8), "<u8")
        assert fmt.present(entry, level)[0]
        table = fmt.target(entry)
    return Place(va, int(table[0]), int(at[0]), int(entry[0]))


def mm_of(node: RamSource, pid: int) -> int:
    row = [process.pid for process in node.processes.rows].index(pid)
    return int(node.kernel.pointer(node.processes.living[row : row + 1], "task_struct", "mm")[0])


def pages_of(node: RamSource, pid: int, *, code: bool) -> list[Place]:
    """Pages of 4 KiB of a process: of the code of files, or such that are its own alone, by address."""
    mm, every = node.regions
    home = mm_of(node, pid)
    own = every.owner == int(np.searchsorted(mm, np.uint64(home)))
    wanted = (VM_EXEC, True) if code else (VM_WRITE, False)
    own &= ((every.flags & np.uint64(wanted[0])) != 0) & ((every.file != 0) == wanted[1])
    own &= ((every.flags & np.uint64(VM_EXEC)) != 0) == code
    maps = node.kernel.space.user_mappings(page_roots(node.kernel, u64(home)))
    chosen = [
        row
        for row, (va, size) in enumerate(zip(maps.va.tolist(), maps.size.tolist(), strict=True))
        if size == PAGE and bool((own & (every.start <= np.uint64(va)) & (np.uint64(va) < every.end)).any())
    ]
    if not code:
        bits = page.owners(node.kernel, maps.pa[chosen] >> np.uint64(12))[0] & np.uint64(3)
        chosen = [row for row, bit in zip(chosen, bits.tolist(), strict=True) if bit == 1]
    return [place(node, home, int(maps.va[row])) for row in chosen]


def written(node: RamSource, pid: int, number: int, changes: Mapping[int, bytes]) -> tuple[RamSource, Place, int]:
    """The node after somebody wrote into a page of a process's code: (node, page, frame of the copy).

    number: which of its pages of code. changes: bytes by place in the page.
    """
    code = pages_of(node, pid, code=True)[number]
    data = bytearray(node.kernel.memory.read(code.pa, PAGE))
    for at, value in changes.items():
        data[at : at + len(value)] = value
    copy = pages_of(node, pid, code=False)[-1]
    return changed(node, copied(node, pid, code, copy, bytes(data))), code, copy.pa


def copied(node: RamSource, pid: int, code: Place, copy: Place, data: bytes) -> dict[int, bytes]:
    """What do_wp_page() writes: one of a process's own pages becomes the copy of a page of its code. The page table
    names it in the place of the file's page, and it is of the region's anon_vma, at the page's place."""
    kernel, (mm, every) = node.kernel, node.regions
    inside = (every.start <= np.uint64(code.va)) & (np.uint64(code.va) < every.end)
    (row,) = np.flatnonzero(inside & (every.owner == int(np.searchsorted(mm, np.uint64(mm_of(node, pid))))))
    index = int(every.pgoff[row]) + ((code.va - int(every.start[row])) >> 12)
    layout, struct_page = page_struct.Layout(kernel), int(kernel.space.struct_page(u64(copy.pa))[0])
    (mapping,), _ = page.owners(kernel, u64(copy.pa >> 12))
    writes = {
        struct_page + layout.index: index,
        int(every.vma[row]) + kernel.types.offset("vm_area_struct", "anon_vma"): int(mapping) & ~3,
    }
    places = {int(kernel.space.physical(u64(at))[0][0]): value.to_bytes(8, "little") for at, value in writes.items()}
    entry = code.entry - code.pa + copy.pa
    return {copy.pa: data, code.entry_at: entry.to_bytes(8, "little"), **places}


def pid_of(node: RamSource, comm: str) -> int:
    """The process of this name."""
    return next(process.pid for process in node.processes.rows if process.comm == comm)


def task_of(node: RamSource, pid: int) -> int:
    return next(process.task for process in node.processes.rows if process.pid == pid)


def member_at(node: RamSource, address: int, struct: str, path: str) -> tuple[int, int]:
    """(physical address, value) of a member of eight bytes."""
    kernel = node.kernel
    pa, known = kernel.space.physical(u64(address + kernel.types.offset(struct, path)))
    assert known[0]
    return int(pa[0]), int.from_bytes(kernel.memory.read(int(pa[0]), 8), "little")


def with_members(node: RamSource, values: Mapping[tuple[int, str, str], int]) -> RamSource:
    """The node with other values in members, by (address, struct, member); as wide as the member is."""
    at = {}
    for (address, struct, path), value in values.items():
        size = node.kernel.types.member(struct, path).type.size or 8
        at[member_at(node, address, struct, path)[0]] = value.to_bytes(size, "little")
    return changed(node, at)


def traced(node: RamSource, target: int, tracer: int) -> RamSource:
    """The node in which one process (by pid) traces another: __ptrace_link() in kernel/ptrace.c."""
    task = task_of(node, target)
    return with_members(node, {(task, "task_struct", "ptrace"): 1,
                               (task, "task_struct", "parent"): task_of(node, tracer)})  # fmt: skip


def renamed(node: RamSource, name: str, new: str, content: bytes) -> RamSource:
    """The node in which the one file of a layer, volume or the node with this name has another, and other content.

    Both names are short (struct dentry holds them itself), the file has one page, and keeps its size.
    """
    kernel, slots = node.kernel, node.dentry_slots
    words = kernel.pointer(slots, "dentry", "d_name.name", gap=False)
    texts = kernel.strings(words, 64)
    inode = kernel.pointer(slots, "dentry", "d_inode", gap=False)
    (row,) = [
        row for row, text in enumerate(texts)
        if text == name.encode() and inode[row] and kernel.pointer(inode[row : row + 1], "inode", "i_data.nrpages")[0]
    ]  # fmt: skip
    length, _ = kernel.space.physical(slots[row : row + 1] + np.uint64(kernel.types.offset("dentry", "d_name.len")))
    text_at, _ = kernel.space.physical(words[row : row + 1])
    pages = cached_pages(kernel, kernel.embedded(inode[row : row + 1], "inode", "i_data"))
    assert len(pages.pa) == 1
    return changed(node, {
        int(length[0]): len(new).to_bytes(4, "little"), int(text_at[0]): new.encode() + b"\0",
        int(pages.pa[0]): content,
    })  # fmt: skip
