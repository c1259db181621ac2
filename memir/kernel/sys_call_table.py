# SPDX-License-Identifier: Apache-2.0
"""arch/*/kernel/sys*.c: the tables of system calls.

x86-64 dispatches by the function x64_sys_call from 6.9 on (1e3ad78334a6, "x86/syscall: Don't force use of indirect
calls for system calls", in stable kernels too): a changed entry does nothing there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.code_address import Code, CodeMap, Hook

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_TABLES = ("sys_call_table", "ia32_sys_call_table", "compat_sys_call_table", "x32_sys_call_table")
_CALL = re.compile(r"(__(x64|ia32|x32|arm64|se|do|pfx)_+)*(compat_)?(sys|stub)(32)?_|^__do_compat_sys")
_MAX_CALLS = 1024
_PADDING = 3  # zeros before the next symbol, which may begin at a multiple of 32 bytes
KIND = "system call table"


def system_calls(kernel: Kernel, code: CodeMap) -> list[Hook]:
    """Every entry of every table of system calls, by number; a table without symbol or entries that are 0 are gaps."""
    hooks: list[Hook] = []
    if _TABLES[0] not in kernel.symbols:
        kernel.gaps.add(KIND, "", f"no symbol `{_TABLES[0]}`")
    for name in _TABLES:
        if name not in kernel.symbols:
            continue
        first = kernel.symbols[name]
        count = min(max(code.next_symbol(first) - first, 0) // 8, _MAX_CALLS)
        place = np.uint64(first) + np.arange(count, dtype=np.uint64) * np.uint64(8)
        target = kernel.pointers(place)
        padding = len(target) - int(np.flatnonzero(target)[-1]) - 1 if target.any() else 0
        if padding <= _PADDING:
            place, target = place[: len(place) - padding], target[: len(target) - padding]
        if not code.complete:  # the next symbol may be one that is not named: what follows may be no entry
            calls = [number for number, each in enumerate(target.tolist()) if is_call(code.find(each))]
            place, target = place[: max(calls, default=-1) + 1], target[: max(calls, default=-1) + 1]
            kernel.gaps.add("end of the system call table", name, "a symbol file has one address for each name")
        kernel.count_unread(KIND, place, target != 0, "entry is 0")
        hooks += [
            Hook("system call", f"{name}[{number}]", int(place[number]), int(target[number]))
            for number in np.flatnonzero(target).tolist()
        ]
    return hooks


def is_call(place: Code) -> bool:
    """Whether this is the start of a system call's function."""
    return place.start and any(map(_CALL.match, place.names))


def dispatched_by_function(kernel: Kernel) -> bool:
    """Whether the kernel calls system calls by code, not by the table."""
    return "x64_sys_call" in kernel.symbols
