# SPDX-License-Identifier: Apache-2.0
"""The table `modules`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel.engine import texts
from memir.kernel.module_witnesses import WITNESSES, Modules, parts
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    name             string       name of the module, as /proc/modules has it
    state            string       live; coming, going or unformed while it is loaded or unloaded
    hidden           bool         a witness that was read to its end lacks it, and its state does not explain that
    seen_by          list<string> witnesses that have it: list (/proc/modules), kset (/sys/module), tree, scan
    missing_from     list<string> witnesses that were read to their end and lack it
    base             uint64       kernel virtual address of its text
    size             int64        bytes of all its memory
    refcount         int64        how many hold it
    taints           list<string> proprietary, forced, staging, out_of_tree, unsigned, livepatch, test
    args             string       parameters that it was loaded with
    version          string       MODULE_VERSION of its source
    srcversion       string       checksum of its source, where the build made one
    module           uint64       kernel virtual address of struct module
    source           string       where the row comes from
""")
_STATES = ("live", "coming", "going", "unformed")
_TAINTS = {0: "proprietary", 1: "forced", 10: "staging", 12: "out_of_tree", 13: "unsigned", 15: "livepatch",
           18: "test"}  # fmt: skip
_MAX_TEXT = 4096


def read(source: RamSource) -> Frame:
    """Every loaded module, by name; what of one could not be read is null."""
    every, kernel = source.modules, source.kernel
    module, whole = every.module, every.whole
    alive = np.where(whole, module, np.uint64(0))
    memory = parts(kernel, alive)
    state = kernel.try_read(module, "module", "state")[0].tolist()
    taints = kernel.try_read(alive, "module", "taints")[0].tolist()
    pointers = {name: kernel.pointer(alive, "module", name) for name in ("args", "version", "srcversion")}
    names = [name or None for name in texts(kernel.strings(kernel.embedded(alive, "module", "name"), 64))]
    size, count = sum(part for _, part in memory), kernel.try_read(alive, "module", "refcnt.counter")[0] - 1
    data: dict[str, Any] = {
        "name": names,
        "state": [_STATES[value] if fine else None for value, fine in zip(state, whole.tolist(), strict=True)],
        **_judged(every, state),
        "base": _known(memory[0][0], whole),
        "size": _known(size, whole),
        "refcount": _known(count, whole),
        "taints": [
            [word for bit, word in _TAINTS.items() if value >> bit & 1] if fine else None
            for value, fine in zip(taints, whole.tolist(), strict=True)
        ],
        **{
            name: [text or None for text in texts(kernel.strings(place, _MAX_TEXT))] for name, place in pointers.items()
        },
        "module": module.tolist(),
        "source": ["struct module"] * len(module),
    }
    order = sorted(range(len(module)), key=lambda row: (names[row] or "", int(module[row])))
    return Frame(data).take(order)


def _known(values: Any, whole: Any) -> list[int | None]:
    return [value if fine else None for value, fine in zip(np.asarray(values).tolist(), whole.tolist(), strict=True)]


def _judged(every: Modules, state: list[int]) -> dict[str, Any]:
    """Who has each module, who lacks it, and whether that is hiding.

    A module has no kobject before it is formed and when it is unloaded; one that is not formed yet is in no line of
    /proc/modules, so that one with a kobject says it of itself falsely. What was not read whole is not judged.
    """
    rows: dict[str, list[Any]] = {"hidden": [], "seen_by": [], "missing_from": []}
    for row in range(len(every)):
        seen = [name for name in WITNESSES if every.seen[name][row]]
        missing = [name for name in WITNESSES if not every.seen[name][row] and every.judged[name][row]]
        live = _STATES[state[row]] == "live" if 0 <= state[row] < len(_STATES) else False
        odd = [name for name in missing if live or name != "kset"]
        lies = not live and state[row] == len(_STATES) - 1 and "kset" in seen
        rows["hidden"].append(bool(odd or lies) if len(seen) + len(missing) > 1 and every.whole[row] else None)
        rows["seen_by"].append(seen)
        rows["missing_from"].append(missing)
    return rows


TABLE = Table(
    "modules", "Kernel modules by several witnesses, also those that hide from /proc/modules.", COLUMNS, None,
    {"ram": read},
)  # fmt: skip
