# SPDX-License-Identifier: Apache-2.0
"""arch/*/include/asm/ptrace.h: the registers that threads had in user space when they last entered the kernel.

struct pt_regs lies at the top of a thread's kernel stack. A thread that waits or was taken off its processor is in the
kernel, so these are its registers; one that runs may be in user space, and has others since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_STACK = 16384  # THREAD_SIZE of x86-64 and of arm64 with 4 KiB pages
_PADDINGS = (0, 16)  # above pt_regs: none, or two words (FRED on x86-64 since 6.9, frame record of arm64)
_X86 = ("r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax", "ip",
        "cs", "flags", "sp", "ss")  # fmt: skip
_USER_CODE, _USER_DATA = (0x33, 0x23), 0x2B


@dataclass(frozen=True)
class Registers:
    """words: uint64[n, w] in the order of NT_PRSTATUS (struct user_regs_struct, user_pt_regs). known: bool[n].

    running: bool[n], threads on a processor: what they entered the kernel with last may be old.
    """

    words: U64
    known: Bools
    running: Bools


def registers(kernel: Kernel, task: U64) -> Registers:
    """User registers of threads (task_struct); unknown for those whose stack does not hold ones of user space."""
    arm = kernel.anchors.arch == "arm64"
    size = kernel.types.size("pt_regs")
    stack = kernel.pointer(task, "task_struct", "stack", gap=False)
    best: tuple[U64, Bools] | None = None
    for padding in _PADDINGS:
        place = np.where(stack != 0, stack + np.uint64(_STACK - padding - size), np.uint64(0))
        raw, ok = kernel.read_bytes(place, size)
        words, fits = _arm(kernel, raw, ok) if arm else _x86(kernel, raw, ok)
        if best is None or fits.sum() > best[1].sum():
            best = words, fits
    assert best is not None
    words, known = best
    if not arm:
        more = [
            kernel.try_read(task, "task_struct", f"thread.{name}")[0].astype(np.uint64)
            for name in ("fsbase", "gsbase", "ds", "es", "fsindex", "gsindex")
        ]
        words = np.concatenate((words, np.stack(more, 1)), 1)
    running = np.zeros(len(task), bool)
    if kernel.types.has("task_struct", "on_cpu"):
        running = kernel.try_read(task, "task_struct", "on_cpu")[0] != 0
    return Registers(words, known, running)


def _x86(kernel: Kernel, raw: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ok: Bools) -> tuple[U64, Bools]:
    first = kernel.types.offset("pt_regs", "r15")
    words = np.ascontiguousarray(raw[:, first : first + 8 * len(_X86)]).view("<u8").astype(np.uint64)
    code, data = words[:, _X86.index("cs")] & np.uint64(0xFFFF), words[:, _X86.index("ss")] & np.uint64(0xFFFF)
    limit = np.uint64(kernel.space.user_limit)
    inside = (words[:, _X86.index("ip")] < limit) & (words[:, _X86.index("sp")] < limit)
    words[:, _X86.index("cs")], words[:, _X86.index("ss")] = code, data
    return words, ok & among(code, _USER_CODE) & (data == _USER_DATA) & inside


def _arm(kernel: Kernel, raw: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ok: Bools) -> tuple[U64, Bools]:
    words = np.ascontiguousarray(raw[:, : 8 * 34]).view("<u8").astype(np.uint64)  # user_pt_regs: x0-x30, sp, pc, pstate
    sp, pc, state = words[:, 31], words[:, 32], words[:, 33]
    limit = np.uint64(kernel.space.user_limit)
    user = (state & np.uint64(0xF)) == 0  # PSR_MODE_EL0t; AArch32 has bit 4
    return words, ok & user & (pc != 0) & (pc < limit) & (sp < limit)
