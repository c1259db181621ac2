# SPDX-License-Identifier: Apache-2.0
"""kernel/trace/ftrace.c: who has functions traced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.code_address import CodeMap, Hook
from memir.kernel.list import hlist_nodes, slots
from memir.kernel.pagetable import U64
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "ftrace"
_MAX_OPS = 1 << 12
_MAX_NAMES = 8
_MAX_BITS = 20  # of a hash of functions; the kernel makes none larger than 10 bits


def ftrace_hooks(kernel: Kernel, code: CodeMap) -> list[Hook]:
    """Every ftrace_ops that is registered, in the order of the list; name: functions that it asked for."""
    symbols = kernel.symbols
    absent = [name for name in ("ftrace_ops_list", "ftrace_list_end") if name not in symbols]
    if absent:
        kernel.gaps.add(KIND, "", f"no symbol `{absent[0]}`")
        return []
    hooks: list[Hook] = []
    place, read = kernel.try_pointers(u64(symbols["ftrace_ops_list"]))
    if not read[0] or not place[0]:
        kernel.gaps.add(KIND, "ftrace_ops_list", "not readable")
        return []
    seen: set[int] = set()
    while int(place[0]) != symbols["ftrace_list_end"]:
        ops = int(place[0])
        if ops in seen or len(seen) >= _MAX_OPS:
            kernel.gaps.add(KIND, f"{ops:#x}", "list loops")
            break
        seen.add(ops)
        (target,) = kernel.pointer(place, "ftrace_ops", "func").tolist()
        if target:
            hooks.append(Hook("ftrace", _functions(kernel, place, code), ops, target))
        place, read = kernel.try_read(place, "ftrace_ops", "next")
        place = place.astype(np.uint64)
        if not read[0] or not place[0]:
            kernel.gaps.add(KIND, f"{ops:#x}", "link not readable")
            break
    return hooks


def _functions(kernel: Kernel, ops: U64, code: CodeMap) -> str:
    """Names of the functions that an ftrace_ops filters for; all, where it has no filter."""
    table = kernel.pointer(kernel.pointer(ops, "ftrace_ops", "func_hash"), "ftrace_ops_hash", "filter_hash")
    if not table[0] or not int(kernel.read(table, "ftrace_hash", "count")[0]):
        return "every function"
    bits = kernel.read(table, "ftrace_hash", "size_bits").astype(np.int64)
    if not 0 <= int(bits[0]) <= _MAX_BITS:
        return "functions not readable"
    buckets = kernel.pointer(table, "ftrace_hash", "buckets")
    heads = slots(kernel, buckets, u64(1 << int(bits[0])), 8, KIND)
    _, node = hlist_nodes(kernel, heads, KIND, _MAX_OPS)
    entry = kernel.container(node, "ftrace_func_entry", "hlist")
    places = sorted(kernel.pointer(entry, "ftrace_func_entry", "ip").tolist())
    # the traced call stands a few bytes behind the start of its function
    names = [code.find(place).symbol or f"{place:#x}" for place in places[:_MAX_NAMES]]
    return ", ".join(names) + (f" and {len(places) - _MAX_NAMES} more" if len(places) > _MAX_NAMES else "")
