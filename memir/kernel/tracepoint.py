# SPDX-License-Identifier: Apache-2.0
"""include/linux/tracepoint.h: functions that are called at the kernel's and its modules' tracepoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.code_address import Hook
from memir.kernel.engine import texts
from memir.kernel.list import slots
from memir.kernel.pagetable import U64
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "tracepoints"
_MAX_POINTS = 1 << 15
_MAX_FUNCTIONS = 256


def tracepoint_hooks(kernel: Kernel, module: U64) -> list[Hook]:
    """Every function of every tracepoint, by name. module: struct modules, whose own tracepoints are read too."""
    point = np.concatenate((_own(kernel), _of_modules(kernel, module)))
    functions = kernel.pointer(point, "tracepoint", "funcs")
    used = np.flatnonzero(functions != 0)
    names = texts(kernel.strings(kernel.pointer(point[used], "tracepoint", "name"), 128))
    size = kernel.types.size("tracepoint_func")
    hooks = []
    for row, name in zip(used.tolist(), names, strict=True):
        entry = slots(kernel, functions[row : row + 1], u64(_MAX_FUNCTIONS), size, KIND)
        target, read = kernel.try_read(entry, "tracepoint_func", "func")
        ended = np.flatnonzero(target == 0)  # the array ends with a NULL, also where memory does
        stop = int(ended[0]) if len(ended) else len(entry)
        kernel.count_unread(KIND, entry[stop : stop + 1], read[stop : stop + 1])
        places = zip(entry[:stop].tolist(), target[:stop].tolist(), strict=True)
        hooks += [Hook("tracepoint", name or "name not readable", place, to) for place, to in places]
    return sorted(hooks, key=lambda hook: (hook.name, hook.address))


def _own(kernel: Kernel) -> U64:
    """The kernel's own, by the array that links them (tracepoint_ptr_t: 4-byte relative addresses)."""
    bounds = [kernel.symbols.get(f"__{end}___tracepoints_ptrs") for end in ("start", "stop")]
    if bounds[0] is None or bounds[1] is None or not 0 <= (bounds[1] - bounds[0]) // 4 <= _MAX_POINTS:
        kernel.gaps.add(KIND, "", "no symbol `__start___tracepoints_ptrs`")
        return np.zeros(0, np.uint64)
    return _relative(kernel, np.arange(bounds[0], bounds[1], 4, dtype=np.uint64))


def _of_modules(kernel: Kernel, module: U64) -> U64:
    first = kernel.pointer(module, "module", "tracepoints_ptrs")
    count = kernel.read(module, "module", "num_tracepoints").astype(np.uint64)
    return _relative(kernel, slots(kernel, first, np.where(first != 0, count, np.uint64(0)), 4, KIND))


def _relative(kernel: Kernel, place: U64) -> U64:
    raw, read = kernel.read_bytes(place, 4)
    distance = raw.view("<i4")[:, 0].astype(np.int64)
    read &= distance != 0
    kernel.count_unread(KIND, place, read)
    return (place + distance.astype(np.uint64))[read]
