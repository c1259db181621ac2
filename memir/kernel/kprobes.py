# SPDX-License-Identifier: Apache-2.0
"""include/linux/kprobes.h: probes set on instructions of the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.code_address import CodeMap, Hook
from memir.kernel.list import hlist_nodes, list_nodes, slots
from memir.kernel.pagetable import U64
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "kprobes"
_BUCKETS = 64  # KPROBE_TABLE_SIZE
_MAX_PROBES = 1 << 16


def kprobe_hooks(kernel: Kernel, code: CodeMap) -> list[Hook]:
    """Every handler of every kprobe, by the address that is probed, also of kretprobes and several on one address."""
    place = kernel.symbols.get("kprobe_table")
    if place is None:
        kernel.gaps.add(KIND, "", "no symbol `kprobe_table`")
        return []
    _, node = hlist_nodes(kernel, slots(kernel, u64(place), u64(_BUCKETS), 8, KIND), KIND, _MAX_PROBES)
    probe = kernel.container(node, "kprobe", "hlist")
    _, node = list_nodes(kernel, kernel.embedded(_several(kernel, probe), "kprobe", "list"), KIND, _MAX_PROBES)
    probe = np.concatenate((probe, kernel.container(node, "kprobe", "list")))
    probed = kernel.pointer(probe, "kprobe", "addr").tolist()
    hooks = []
    for name in ("kprobe.pre_handler", "kprobe.post_handler", "kretprobe.handler", "kretprobe.entry_handler"):
        struct, member = name.split(".")
        these = probe if struct == "kprobe" else _returning(kernel, probe)
        places = kernel.embedded(these, struct, member).tolist()
        target = kernel.pointer(these, struct, member).tolist()
        rows = zip(probed, places, target, strict=True)
        hooks += [Hook("kprobe", f"{_name(code, on)} ({member})", where, to) for on, where, to in rows if to]
    return sorted(hooks, key=lambda hook: (hook.name, hook.address))


def _several(kernel: Kernel, probe: U64) -> U64:
    """Those that stand for several on one address: their own handler calls those of the list."""
    aggregate = kernel.symbols.get("aggr_pre_handler", 0)
    several: U64 = probe[kernel.pointer(probe, "kprobe", "pre_handler") == np.uint64(aggregate or 1)]
    return several


def _returning(kernel: Kernel, probe: U64) -> U64:
    """struct kretprobe of those that are one, 0 of the others; its kprobe stands at its start."""
    handler = kernel.symbols.get("pre_handler_kretprobe", 0)
    mine = kernel.pointer(probe, "kprobe", "pre_handler") == np.uint64(handler or 1)
    return np.where(mine, kernel.container(probe, "kretprobe", "kp"), np.uint64(0))


def _name(code: CodeMap, address: int) -> str:
    return code.find(address).text or f"{address:#x}"
