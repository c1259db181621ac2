# SPDX-License-Identifier: Apache-2.0
"""kernel/module/: every loaded module, by each of the structures that link it.

Something that hides a module takes it out of the list that /proc/modules prints and out of sysfs; the tree by which
the kernel looks up addresses of stack traces, and the module's memory itself, still have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import rbtree
from memir.kernel.list import list_nodes, ring
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among, distinct
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

WITNESSES = ("list", "kset", "tree", "scan")
"""list: `modules`; kset: /sys/module; tree: mod_tree; scan: all memory between the bounds of mod_tree."""
_MAX_MODULES = 1 << 14
_MAX_SCAN = 1 << 31  # bytes: module space is no larger on any processor
_BLOCK = 1024  # pages read at once
_UNFORMED = 3  # the last of enum module_state


@dataclass(frozen=True)
class Modules:
    """Loaded modules: of n modules the addresses, uint64[n], sorted.

    seen: by witness, bool[n]. judged: by witness, bool[n]: whether that it lacks a module proves anything, as it was
    read whole. whole: bool[n], the struct module itself can be read.
    """

    module: U64
    seen: dict[str, Bools]
    judged: dict[str, Bools]
    whole: Bools

    def __len__(self) -> int:
        return len(self.module)


def modules(kernel: Kernel, known: Callable[[], U64]) -> Modules:
    """Every module that any witness has. known: addresses of some modules, asked for where symbols are missing.

    A witness that cannot be read, or not to its end, is a gap of the kind `module WITNESS`.
    """
    listed = _list(kernel, known)
    sets = {"list": listed, "kset": _kset(kernel, listed[0]), "tree": _tree(kernel), "scan": _scan(kernel)}
    module = distinct(np.concatenate([addresses for addresses, _ in sets.values()]))
    module = module[(module != 0) & kernel.try_read(module, "module", "state")[1]]
    seen = {name: among(module, addresses) for name, (addresses, _) in sets.items()}
    judged = {name: np.full(len(module), complete) for name, (_, complete) in sets.items()}
    judged["scan"] &= _page_has_data(kernel, kernel.embedded(module, "module", "mkobj.mod"))
    whole = is_module(kernel, module)
    kernel.count_unread("module", module, whole, "its struct module is not whole")
    return Modules(module, seen, judged, whole)


def is_module(kernel: Kernel, module: U64) -> Bools:
    """Whether there is a loaded module at each address: named, in its own memory, in use at least by itself.

    refcnt, near the end of the struct, is never 0 in a module that is loaded; the name stands at its start.
    """
    state = kernel.try_read(module, "module", "state")[0]
    name, _ = kernel.read_bytes(kernel.embedded(module, "module", "name"), 1, module)
    count = kernel.try_read(module, "module", "refcnt.counter")[0]
    inside = np.zeros(len(module), bool)
    for base, size in parts(kernel, module):
        inside |= (base <= module) & (module - base < size)
    answer: Bools = (state <= _UNFORMED) & (name[:, 0] != 0) & (count > 0) & inside
    return answer


def parts(kernel: Kernel, module: U64) -> list[tuple[U64, U64]]:
    """(base, size) uint64[n] of each kind of memory of modules, the first the one that starts with text."""
    types = kernel.types
    if types.has("module", "mem"):  # 6.4: ac3b43283923 ("module: replace module_layout with module_memory")
        step, count = types.size("module_memory"), types.member("module", "mem").type.count
        first = kernel.embedded(module, "module", "mem")
        memory = [np.where(first != 0, first + np.uint64(step * kind), first) for kind in range(count)]
        kinds = [("module_memory", address) for address in memory]
    else:
        kinds = [("module_layout", kernel.embedded(module, "module", f"{name}_layout")) for name in ("core", "init")]
    return [
        (kernel.pointer(address, struct, "base", gap=False), _size(kernel, address, struct))
        for struct, address in kinds
    ]


def _size(kernel: Kernel, address: U64, struct: str) -> U64:
    size: U64 = kernel.try_read(address, struct, "size")[0].astype(np.uint64)
    return size


def _list(kernel: Kernel, known: Callable[[], U64]) -> tuple[U64, bool]:
    """(modules, complete) of the list that /proc/modules prints; without its symbol from any member."""
    kind, before = "module list", kernel.gaps.total
    head = kernel.symbols.get("modules")
    if head is not None:
        _, node = list_nodes(kernel, u64(head), kind, _MAX_MODULES)
        return kernel.container(node, "module", "list"), kernel.gaps.total == before
    every = ring(kernel, "module", "list", known(), kind)
    every = every[is_module(kernel, every)]
    if not len(every):
        kernel.gaps.add(kind, "", "no symbol `modules`, and no module is known otherwise")
    return every, len(every) > 0 and kernel.gaps.total == before


def _kset(kernel: Kernel, listed: U64) -> tuple[U64, bool]:
    """(modules, complete) of the kobjects below /sys/module; those of built-in code have no module."""
    kind, before = "module kset", kernel.gaps.total
    place = kernel.symbols.get("module_kset")
    if place is not None:
        kset = kernel.pointers(u64(place))
    else:
        named = kernel.pointer(listed, "module", "mkobj.kobj.kset", gap=False)
        kset = distinct(named[named != 0])[:1]
    head = kernel.embedded(kset, "kset", "list")
    if not len(head) or not head[0]:
        kernel.gaps.add(kind, "", "no kset is known" if place is None else "not readable")
        return np.zeros(0, np.uint64), False
    _, node = list_nodes(kernel, head, kind, _MAX_MODULES)
    entry = kernel.container(kernel.container(node, "kobject", "entry"), "module_kobject", "kobj")
    module = kernel.pointer(entry, "module_kobject", "mod")
    return module[module != 0], kernel.gaps.total == before


def _tree(kernel: Kernel) -> tuple[U64, bool]:
    """(modules, complete) of both copies of the latched tree of addresses (mod_tree)."""
    kind, before = "module tree", kernel.gaps.total
    place = kernel.symbols.get("mod_tree")
    if place is None:
        kernel.gaps.add(kind, "", "no symbol `mod_tree`")
        return np.zeros(0, np.uint64), False
    first, size = kernel.embedded(u64(place), "mod_tree_root", "root.tree"), kernel.types.size("rb_node")
    root = kernel.pointers(np.concatenate((first, first + np.uint64(kernel.types.size("rb_root")))))
    copy, node = rbtree.nodes(kernel, root, kind)
    if not root.all() or not _tied(kernel, root, copy, node):
        kernel.gaps.add(kind, f"{place:#x}", "a node does not lead back to its parent")
    inside = node - copy.astype(np.uint64) * np.uint64(size)
    entry = kernel.container(inside, "mod_tree_node", "node")
    module = kernel.pointer(entry, "mod_tree_node", "mod")
    kernel.count_unread(kind, entry, module != 0, "a node without a module")
    return distinct(module[module != 0]), kernel.gaps.total == before


def _tied(kernel: Kernel, root: U64, copy: NDArray[np.int64], node: U64) -> bool:
    """Whether each node of the trees names its parent, and a root none: a page of zeros looks like a leaf otherwise."""
    word = kernel.try_read(node, "rb_node", "__rb_parent_color")[0].astype(np.uint64)
    top = node == root[copy]
    return bool(np.where(top, word == 1, among(word & ~np.uint64(3), node)).all())  # bit 0: black, as roots are


def _scan(kernel: Kernel) -> tuple[U64, bool]:
    """(modules, complete) of all struct modules between the bounds of module memory, whoever links them."""
    kind = "module scan"
    place = kernel.symbols.get("mod_tree")
    low, high = (0, 0) if place is None else _bounds(kernel, u64(place))
    if place is None or not 0 < high - low <= _MAX_SCAN:
        why = "no symbol `mod_tree`" if place is None else "bounds of module memory not readable"
        kernel.gaps.add(kind, "", why)
        return np.zeros(0, np.uint64), False
    pages = np.arange(low & ~0xFFF, high + 1, 4096, dtype=np.uint64)
    pages = pages[kernel.space.physical(pages)[1]]
    offset = np.uint64(kernel.types.offset("module", "mkobj.mod"))
    step = np.arange(512, dtype=np.uint64) * np.uint64(8) - offset
    met: list[U64] = [np.zeros(0, np.uint64)]
    for begin in range(0, len(pages), _BLOCK):
        page = pages[begin : begin + _BLOCK]
        raw, ok = kernel.read_bytes(page, 4096)
        kernel.count_unread(kind, page, ok)
        mine = page[:, None] + step[None, :]
        met.append(mine[(raw.view("<u8") == mine) & ok[:, None]])
    module = np.concatenate(met)
    return module[is_module(kernel, module)], True


def _bounds(kernel: Kernel, tree: U64) -> tuple[int, int]:
    """Lowest and highest address of modules; 6.4 keeps those of data apart on some processors (data_addr_min)."""
    names = [name for name in ("addr", "data_addr") if kernel.types.has("mod_tree_root", f"{name}_min")]
    values = [[int(kernel.read(tree, "mod_tree_root", f"{name}_{end}")[0]) for end in ("min", "max")] for name in names]
    real = [(low, high) for low, high in values if 0 < low < high]
    return (min(low for low, _ in real), max(high for _, high in real)) if real else (0, 0)


def _page_has_data(kernel: Kernel, address: U64) -> Bools:
    """Whether the page of each address can be read and is not zeros throughout."""
    raw, ok = kernel.read_bytes(address & ~np.uint64(0xFFF), 4096, address)
    answer: Bools = ok & (raw != 0).any(axis=1)
    return answer
