# SPDX-License-Identifier: Apache-2.0
"""Where an x86-64 kernel writes into its own text, by the tables of its build: some of them are freed after boot.

arch/x86/kernel/alternative.c (alternatives, retpolines, returns, calls, endbr, locks, paravirt), jump_label.h,
static_call.h, ftrace.h (entries of functions), runtime-const.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from memir.errors import SymbolsError
from memir.kernel.pagetable import I64
from memir.kernel.vmlinux import Bytes, Vmlinux

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_SIZES = {".retpoline_sites": 6, ".return_sites": 5, ".call_sites": 5, ".ibt_endbr_seal": 4, ".smp_locks": 1}
"""Bytes at each place of a table of 32-bit distances: a prefixed call, a jump, a call, endbr64, a lock prefix."""
INSTRUCTION = 5  # of jump labels, static calls and ftrace: a jump, a call, or a nop of that length
TABLES = (("__start___jump_table", "__stop___jump_table", 16), ("__start_static_call_sites",
           "__stop_static_call_sites", 8))  # fmt: skip
FTRACE_CALLS = ("ftrace_call", "ftrace_regs_call", "ftrace_graph_call")
"""Where ftrace's own trampolines call who traces, while somebody does."""
TRAMPOLINES = ("__static_call_text_start", "__static_call_text_end")


def patch_sites(vmlinux: Vmlinux, kernel: Kernel, shift: int) -> Iterator[tuple[I64, I64]]:
    """(first addresses, as linked and signed; bytes) of each table. shift: what the image's addresses have more.

    The kernel in the image says where those tables lie that have no section, and how long an alternative is.
    SymbolsError if it has no type for that.
    """
    yield _alternatives(vmlinux, kernel)
    for name, size in _SIZES.items():
        yield _of_size(_places(vmlinux, name, vmlinux.content(name), 4)[0], size)
    paravirt = vmlinux.content(".parainstructions")
    # struct paravirt_patch_site: instr, type, len; the last one ends without its padding
    rows = np.append(paravirt, np.zeros(-len(paravirt) % 16, np.uint8)).reshape(-1, 16)
    yield np.ascontiguousarray(rows[:, :8]).view("<i8").reshape(-1).astype(np.int64), rows[:, 9].astype(np.int64)
    for first, last, entry in TABLES:
        start, content = _named(vmlinux, kernel, shift, first, last)
        yield _of_size(_distances(start, content, entry)[0], INSTRUCTION)
    entries = _named(vmlinux, kernel, shift, "__start_mcount_loc", "__stop_mcount_loc")[1]
    yield _of_size(entries[: len(entries) // 8 * 8].view("<i8").astype(np.int64), INSTRUCTION)
    calls = [kernel.symbols[name] - (1 << 64) - shift for name in FTRACE_CALLS if name in kernel.symbols]
    yield _of_size(np.array(calls, np.int64), INSTRUCTION)
    start, content = _named(vmlinux, kernel, shift, *TRAMPOLINES)
    yield np.array([start], np.int64), np.array([len(content)], np.int64)
    for name in vmlinux.sections:
        if name.startswith("runtime_"):  # runtime_ptr_SYMBOL: 8 bytes of a movabs; runtime_shift_SYMBOL: 1 of a shr
            places, _ = _places(vmlinux, name, vmlinux.content(name), 4)
            yield _of_size(places, 1 if name.startswith("runtime_shift_") else 8)


def _alternatives(vmlinux: Vmlinux, kernel: Kernel) -> tuple[I64, I64]:
    if not kernel.types.exists("alt_instr"):
        raise SymbolsError("the image's types lack `alt_instr`, without which its text cannot be compared: give its "
                           "types with --btf, or leave --reference out")  # fmt: skip
    size, length = kernel.types.size("alt_instr"), kernel.types.offset("alt_instr", "instrlen")
    places, rows = _places(vmlinux, ".altinstructions", vmlinux.content(".altinstructions"), size)
    return places, rows[:, length].astype(np.int64)


def _places(vmlinux: Vmlinux, name: str, content: Bytes, entry: int) -> tuple[I64, Bytes]:
    section = vmlinux.sections.get(name)
    return _distances(section.address if section is not None else 0, content, entry)


def _distances(start: int, content: Bytes, entry: int) -> tuple[I64, Bytes]:
    """(what each entry points at by its first word, as a distance from itself; the entries)."""
    rows = content[: len(content) // entry * entry].reshape(-1, entry)
    distance = np.ascontiguousarray(rows[:, :4]).view("<i4").reshape(-1).astype(np.int64)
    return np.int64(start) + np.arange(len(rows), dtype=np.int64) * entry + distance, rows


def _named(vmlinux: Vmlinux, kernel: Kernel, shift: int, first: str, last: str) -> tuple[int, Bytes]:
    """(address, content) of what two symbols of the image enclose; nothing if it has them not."""
    if first not in kernel.symbols or last not in kernel.symbols:
        return 0, np.zeros(0, np.uint8)
    start, end = (kernel.symbols[name] - (1 << 64) - shift for name in (first, last))
    return start, vmlinux.between(start, end)


def _of_size(places: I64, size: int) -> tuple[I64, I64]:
    return places, np.full(len(places), size, np.int64)
