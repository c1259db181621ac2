# SPDX-License-Identifier: Apache-2.0
"""include/linux/cgroup-defs.h: every cgroup of every hierarchy, also those without tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.blank import whole
from memir.kernel.cgroup import kernfs_nodes, kernfs_paths, roots_of_tasks
from memir.kernel.list import list_nodes
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_ONLINE = 1 << 1  # CSS_ONLINE: cleared when it is removed
_DEPTH, _MOST = 256, 1 << 20


@dataclass(frozen=True)
class Cgroups:
    """Cgroups, one row each, parents first. hierarchy: 0 is the unified one. ident: 0 where it cannot be read.

    dying: it has been removed; pages that are charged to it keep it. controllers: those that have a state there.
    memory: address of the struct mem_cgroup that is charged for it, 0 for none.
    """

    cgroup: U64
    hierarchy: I64
    path: list[str | None]
    ident: U64
    level: I64
    dying: Bools
    controllers: list[list[str]]
    memory: U64

    def __len__(self) -> int:
        return len(self.cgroup)


def cgroups(kernel: Kernel, task: U64) -> Cgroups:
    """Every cgroup of the hierarchies that these tasks are in: each task is in all of them."""
    root = roots_of_tasks(kernel, task)
    top = kernel.embedded(root, "cgroup_root", "cgrp")
    _, state = _below(kernel, kernel.embedded(top, "cgroup", "self"))
    every = kernel.container(state, "cgroup", "self")
    memory, charged = _memory(kernel, top)
    late = np.setdiff1d(charged, every)  # nothing but memory knows them any more
    every = np.concatenate((every, late[late != 0]))
    good = whole(kernel, every, kernel.types.size("cgroup"))
    back = kernel.try_read(every, "cgroup", "root")[0].astype(np.uint64)
    good &= among(back, root)
    kernel.count_unread("cgroup", every, good, "torn")
    every, back = every[good], back[good]
    number = dict(zip(root.tolist(), kernel.read(root, "cgroup_root", "hierarchy_id").tolist(), strict=True))
    node = kernfs_nodes(kernel, every)
    paths = kernfs_paths(kernel, node)
    kernel.count_unread("cgroup path", every, np.array([path is not None for path in paths], bool))
    flags = kernel.read(every, "cgroup", "self.flags").astype(np.int64)
    of_cgroup = dict(zip(charged.tolist(), memory.tolist(), strict=True))
    return Cgroups(
        cgroup=every,
        hierarchy=np.array([number[address] for address in back.tolist()], np.int64),
        path=paths,
        ident=kernel.pointer(node, "kernfs_node", "id"),
        level=kernel.read(every, "cgroup", "level").astype(np.int64),
        dying=(flags & _ONLINE) == 0,
        controllers=_controllers(kernel, every),
        memory=np.array([of_cgroup.get(value, 0) for value in every.tolist()], np.uint64),
    )


def _below(kernel: Kernel, top: U64) -> tuple[NDArray[np.int64], U64]:
    """(row of top, cgroup_subsys_state) of these and all below them, level by level."""
    owner, state = np.arange(len(top)), top
    owners, states, seen = [owner], [state], set(top.tolist())
    for _ in range(_DEPTH):
        which, node = list_nodes(kernel, kernel.embedded(state, "cgroup_subsys_state", "children"), "cgroup list")
        child = kernel.container(node, "cgroup_subsys_state", "sibling")
        # a child names its parent: what a torn list leads to does not
        parent, ok = kernel.try_read(child, "cgroup_subsys_state", "parent")
        fits = ok & (parent == state[which])
        kernel.count_unread("cgroup list", child, fits)
        fits &= np.array([address not in seen for address in child.tolist()], bool)
        owner, state = owner[which[fits]], child[fits]
        if not len(state):
            break
        seen.update(state.tolist())
        if len(seen) > _MOST:
            kernel.gaps.add("cgroup list", f"{int(top[0]):#x}", f"more than {_MOST} cgroups", len(state))
            break
        owners.append(owner)
        states.append(state)
    return np.concatenate(owners), np.concatenate(states)


def states(kernel: Kernel, cgroup: U64, controller: str) -> U64:
    """The controller's state in each cgroup, 0 where it has none."""
    number = (kernel.types.enum("cgroup_subsys_id") or {}).get(f"{controller}_cgrp_id")
    if number is None:
        return np.zeros(len(cgroup), np.uint64)
    every = kernel.pointer(cgroup, "cgroup", "subsys").reshape(len(cgroup), -1 if len(cgroup) else 0)
    state: U64 = every[:, number] if len(cgroup) else np.zeros(0, np.uint64)
    return state


def _memory(kernel: Kernel, top: U64) -> tuple[U64, U64]:
    """(mem_cgroup, its cgroup) of all: a removed cgroup has let go of its own, which stays below its parent's."""
    if not kernel.types.exists("mem_cgroup"):
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    first = states(kernel, top, "memory")
    _, state = _below(kernel, first[first != 0])
    return kernel.container(state, "mem_cgroup", "css"), kernel.pointer(state, "cgroup_subsys_state", "cgroup")


def _controllers(kernel: Kernel, cgroup: U64) -> list[list[str]]:
    states = kernel.pointer(cgroup, "cgroup", "subsys").reshape(len(cgroup), -1 if len(cgroup) else 0)
    kind, ok = kernel.try_read(states.reshape(-1), "cgroup_subsys_state", "ss")
    kernel.count_unread("cgroup controllers", states.reshape(-1), ok & (kind != 0))
    unique, back = np.unique(np.where(ok, kind, 0).astype(np.uint64), return_inverse=True)
    names = kernel.strings(kernel.pointer(unique, "cgroup_subsys", "name", gap=False), 32)
    texts = [None if name is None else name.decode("ascii", "backslashreplace") for name in names]
    return [[texts[place] or "" for place in row if texts[place]] for row in back.reshape(states.shape).tolist()]
