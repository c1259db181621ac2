# SPDX-License-Identifier: Apache-2.0
"""struct dyn_ftrace, include/linux/ftrace.h: entries of functions, where ftrace keeps an instruction that does nothing.

A kernel that traces nothing has the same one at each of its some 40,000 entries: another there is a change of its text,
such as the jump of an inline hook, and needs no copy of the text to be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.blank import whole
from memir.kernel.code_address import CodeMap, Hook
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import spread
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "function entries"
_NOP = {"x86_64": 5, "arm64": 4}  # bytes: one instruction
_MOST_PAGES, _MOST = 1 << 14, 1 << 22
_ENABLED = 1 << 31  # FTRACE_FL_ENABLED
_USERS = (1 << 23) - 1  # FTRACE_REF_MAX, of all kernels since 4.2 at the least
_TOO_MANY = 0.5  # share of the entries of a page that differ: its content is not the text


def changed_entries(kernel: Kernel, code: CodeMap) -> list[Hook]:
    """Entries that hold something else though nobody has them traced; name: the function, target: where it jumps to, 0
    if that is no plain jump."""
    place, flags = records(kernel)
    size = _NOP[kernel.anchors.arch]
    if not len(place):
        return []
    raw, read = kernel.read_bytes(place, 16)
    there = read & whole(kernel, place, size)  # a page of zeros is one that was not captured
    kernel.count_unread(KIND, place, there, "entries of functions")
    quiet = there & ((flags & np.uint64(_USERS | _ENABLED)) == 0)
    word = np.ascontiguousarray(raw[:, :8]).view("<u8")[:, 0] & np.uint64((1 << 8 * size) - 1)
    usual, count = np.unique(word[quiet], return_counts=True)
    if not len(count) or count.max() * 2 < quiet.sum():
        kernel.gaps.add(KIND, "", "entries of functions have no instruction in common")
        return []
    changed = quiet & (word != usual[count.argmax()])
    _, page, many = np.unique(place >> np.uint64(12), return_inverse=True, return_counts=True)
    share = np.bincount(page, changed, minlength=len(many)) / many
    lost = changed & (share[page] > _TOO_MANY) & (many[page] > 2)
    kernel.gaps.add(KIND, f"{int(place[lost][0]) if lost.any() else 0:#x}", "page of text that holds something else",
                    int(lost.sum()))  # fmt: skip
    rows = np.flatnonzero(changed & ~lost)
    where = [code.find(address) for address in place[rows].tolist()]
    in_text = np.array([each.area != "elsewhere" for each in where], bool)
    kernel.count_unread(KIND, place[rows], in_text, "records of ftrace that lead to no text")
    return [
        Hook("text", each.symbol or f"{int(place[row]):#x}", int(place[row]),
             jump_target(int(place[row]), raw[row].tobytes()))
        for row, each in zip(rows.tolist(), where, strict=True)
        if each.area != "elsewhere"
    ]  # fmt: skip


def records(kernel: Kernel) -> tuple[U64, U64]:
    """(address of the entry, flags), uint64[n] both, of every function that ftrace knows, of modules too."""
    nothing = np.zeros(0, np.uint64)
    if "ftrace_pages_start" not in kernel.symbols or not kernel.types.exists("ftrace_page"):
        kernel.gaps.add(KIND, "", "no symbol `ftrace_pages_start`, or no type `ftrace_page`")
        return nothing, nothing
    pages: list[int] = []
    page = int(kernel.pointers(u64(kernel.symbols["ftrace_pages_start"]))[0])
    while page and page not in pages[-64:] and len(pages) < _MOST_PAGES:
        pages.append(page)
        page = int(kernel.pointer(u64(page), "ftrace_page", "next")[0])
    group = np.array(pages, np.uint64)
    count: I64 = kernel.read(group, "ftrace_page", "index").astype(np.int64)
    sound = (count >= 0) & (np.cumsum(np.maximum(count, 0)) <= _MOST)
    kernel.gaps.add(KIND, "ftrace_page", "absurd number of entries", int((~sound).sum()))
    row, step = spread(np.where(sound, count, 0))
    record = kernel.pointer(group, "ftrace_page", "records")[row]
    record = record + step.astype(np.uint64) * np.uint64(kernel.types.size("dyn_ftrace"))
    place, read = kernel.try_read(record, "dyn_ftrace", "ip")
    kernel.count_unread(KIND, record, read, "records of ftrace")
    flags = kernel.read(record[read], "dyn_ftrace", "flags").astype(np.uint64)
    return place[read].astype(np.uint64), flags


def jump_target(place: int, raw: bytes) -> int:
    """Where the instruction leads: jmp or call rel32, movabs rax and jmp rax, b or bl; 0 for another."""
    if raw[0] in (0xE9, 0xE8):
        return (place + 5 + int.from_bytes(raw[1:5], "little", signed=True)) & (1 << 64) - 1
    if raw[:2] == b"\x48\xb8" and raw[10:12] in (b"\xff\xe0", b"\x50\xc3"):
        return int.from_bytes(raw[2:10], "little")
    if raw[3] & 0x7C == 0x14:
        distance = int.from_bytes(raw[:4], "little") & 0x3FFFFFF
        return (place + 4 * (distance - (distance >> 25 << 26))) & (1 << 64) - 1
    return 0
