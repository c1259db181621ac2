# SPDX-License-Identifier: Apache-2.0
"""include/linux/tty_ldisc.h: what takes in that which is typed at terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.code_address import CodeMap, Hook
from memir.kernel.engine import texts
from memir.kernel.list import list_nodes, slots
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "terminals"
_MAX_DRIVERS = 1 << 10
_MAX_DISCIPLINES = 64
_MAX_TERMINALS = 1 << 16


def line_disciplines(kernel: Kernel, code: CodeMap) -> list[Hook]:
    """receive_buf and receive_buf2 of every line discipline that is registered or that a terminal uses."""
    ops = distinct(np.concatenate((_registered(kernel, code), _used(kernel))))
    ops = ops[kernel.space.is_kernel_pointer(ops)]
    name = texts(kernel.strings(kernel.pointer(ops, "tty_ldisc_ops", "name"), 32))
    hooks = []
    for member in ("receive_buf", "receive_buf2"):
        target = kernel.pointer(ops, "tty_ldisc_ops", member).tolist()
        place = kernel.embedded(ops, "tty_ldisc_ops", member).tolist()
        rows = zip(name, place, target, strict=True)
        hooks += [Hook("terminal", f"{label or '?'} {member}", where, to) for label, where, to in rows if to]
    return hooks


def _registered(kernel: Kernel, code: CodeMap) -> U64:
    first = kernel.symbols.get("tty_ldiscs")
    if first is None:
        kernel.gaps.add(KIND, "", "no symbol `tty_ldiscs`")
        return np.zeros(0, np.uint64)
    count = min(max(code.next_symbol(first) - first, 0) // 8, _MAX_DISCIPLINES)
    ops = kernel.pointers(np.uint64(first) + np.arange(count, dtype=np.uint64) * np.uint64(8))
    if not ops.any():
        kernel.gaps.add(KIND, f"{first:#x}", "no line discipline is registered")
    registered: U64 = ops[ops != 0]
    return registered


def _used(kernel: Kernel) -> U64:
    """Those of the terminals that are open."""
    head = kernel.symbols.get("tty_drivers")
    if head is None:
        kernel.gaps.add(KIND, "", "no symbol `tty_drivers`")
        return np.zeros(0, np.uint64)
    _, node = list_nodes(kernel, u64(head), KIND, _MAX_DRIVERS)
    driver = kernel.container(node, "tty_driver", "tty_drivers")
    array = kernel.pointer(driver, "tty_driver", "ttys")
    count = np.minimum(kernel.read(driver, "tty_driver", "num").astype(np.uint64), np.uint64(_MAX_TERMINALS))
    terminal = kernel.pointers(slots(kernel, array, np.where(array != 0, count, np.uint64(0)), 8, KIND))
    discipline = kernel.pointer(terminal[terminal != 0], "tty_struct", "ldisc")
    ops = kernel.pointer(discipline, "tty_ldisc", "ops")
    used: U64 = ops[ops != 0]
    return used
