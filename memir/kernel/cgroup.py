# SPDX-License-Identifier: Apache-2.0
"""include/linux/cgroup.h and kernfs.h: css_set -> cgroup -> kernfs path, for v2 and for every v1 hierarchy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.list import list_nodes
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_DEPTH = 256  # cgroup.max.depth aside, pods are 4 to 6 deep; a longer way is a loop
_CSS_ONLINE = 1 << 1


@dataclass(frozen=True)
class Hierarchies:
    """The cgroups of one css_set: (hierarchy id, controllers as /proc/PID/cgroup names them, path) each.

    Hierarchy 0 is the unified one, which /proc shows only once it has been mounted. Controllers and path are None where
    unreadable.
    dead: the unified cgroup has been removed, which leaves only tasks that have ended in it.
    """

    rows: tuple[tuple[int, str | None, str | None], ...]
    dead: bool = False

    def lines(self) -> list[str]:
        """As /proc/PID/cgroup has them, highest hierarchy first; those not wholly known are left out."""
        gone = " (deleted)" if self.dead else ""
        return [
            f"{of}:{names}:{path}{gone if of == 0 else ''}"
            for of, names, path in self.rows
            if path is not None and names is not None
        ]

    def path(self) -> str | None:
        """The path to identify a process by: the deepest of all hierarchies' (on a hybrid node v2 may hold nothing)."""
        known = [(path.count("/") if path != "/" else 0, -number, path) for number, _, path in self.rows if path]
        unified = next((path for number, _, path in self.rows if number == 0 and path and path != "/"), None)
        named = next((path for _, names, path in self.rows if names == "name=systemd" and path and path != "/"), None)
        return unified or named or (max(known)[2] if known else None)


def kernfs_nodes(kernel: Kernel, cgroup: U64) -> U64:
    """The kernfs node of each cgroup, 0 where it is not known: a node of sysfs has a path too, which is no cgroup's."""
    node = kernel.pointer(cgroup, "cgroup", "kn")
    back, read = kernel.try_read(node, "kernfs_node", "priv")
    own = ~read | (back == cgroup) | (back == 0)  # 0 once nothing has the cgroup any more (css_release_work_fn)
    kernel.count_unread("cgroup path", cgroup, own | (node == 0), "its kernfs node is of something else")
    return np.where(own, node, np.uint64(0))


def kernfs_paths(kernel: Kernel, node: U64) -> list[str | None]:
    """Absolute path of each kernfs node; None where a parent or a name cannot be read or the parents loop."""
    # 6.15 (633488947ef6) renamed parent to __parent and made it RCU-protected
    parent_name = kernel.first_member("kernfs_node", "__parent", "parent")
    node = np.asarray(node, np.uint64)
    known: dict[int, tuple[int, bytes | None]] = {}
    frontier = distinct(node[node != 0])
    for _ in range(_MAX_DEPTH):
        if not len(frontier):
            break
        parents, ok = kernel.try_read(frontier, "kernfs_node", parent_name)
        names = kernel.strings(kernel.pointer(frontier, "kernfs_node", "name"), 4096)
        for address, parent, name, fine in zip(frontier.tolist(), parents.tolist(), names, ok.tolist(), strict=True):
            known[address] = (int(parent), name if fine and (name or not parent) else None)  # only a root has no name
        upward = distinct(parents[parents != 0].astype(np.uint64))
        frontier = upward[[address not in known for address in upward.tolist()]]
    return [_path(known, address) if address else None for address in node.tolist()]


def _path(known: dict[int, tuple[int, bytes | None]], address: int) -> str | None:
    parts: list[str] = []
    for _ in range(_MAX_DEPTH):
        parent, name = known.get(address, (0, None))
        if name is None:
            return None
        if parent == 0:
            return "/" + "/".join(reversed(parts))
        parts.append(name.decode("utf-8", "backslashreplace"))
        address = parent
    return None


def hierarchies(kernel: Kernel, task: U64) -> list[Hierarchies | None]:
    """The cgroups of each task, None where its css_set cannot be read. Tasks that share a css_set share the object."""
    css_set = kernel.pointer(task, "task_struct", "cgroups")
    unique, back = np.unique(css_set, return_inverse=True)
    dfl = kernel.pointer(unique, "css_set", "dfl_cgrp")
    owner, cgroup = _cgroups(kernel, unique, dfl)
    root = kernel.pointer(cgroup, "cgroup", "root")
    sound = _is_root(kernel, root)
    unified = int(sound[: int((dfl != 0).sum())].sum())
    kernel.count_unread("cgroup root", cgroup, sound)
    owner, cgroup, root = owner[sound], cgroup[sound], root[sound]
    number = kernel.read(root, "cgroup_root", "hierarchy_id").astype(np.int64)
    kn = kernfs_nodes(kernel, cgroup)
    unique_kn, kn_back = np.unique(kn, return_inverse=True)
    paths = kernfs_paths(kernel, unique_kn)
    bad = [index for index, path in zip(unique_kn.tolist(), paths, strict=True) if path is None and index]
    if bad:
        kernel.gaps.add("cgroup path", f"{bad[0]:#x}", "not readable", len(bad))
    names = _controllers(kernel, unique, root, number)
    visible = _default_visible(kernel)
    if visible is None:  # the symbol is not known: hidden if v1 is in use and nothing is below the unified root
        visible = not (number != 0).any() or any(paths[index] != "/" for index in kn_back[number == 0])
    rows: list[dict[int, tuple[int, str | None, str | None]]] = [{} for _ in unique]
    for index, of, which in zip(owner.tolist(), number.tolist(), range(len(owner)), strict=True):
        path = paths[kn_back[which]]
        # a controller that is off below some cgroup of the unified hierarchy names that one: dfl_cgrp is the task's
        if of == 0 and (which >= unified or (not visible and path in ("/", None))):
            continue
        rows[index].setdefault(of, (of, names.get(int(root[which])) if of else "", path))
    online, read = kernel.try_read(dfl, "cgroup", "self.flags")
    dead = read & ((online.astype(np.uint64) & np.uint64(_CSS_ONLINE)) == 0)
    rows_of = [
        Hierarchies(tuple(row for _, row in sorted(of.items(), reverse=True)), bool(gone)) if of else None
        for of, gone in zip(rows, dead, strict=True)
    ]
    kernel.count_unread("css_set", unique, np.array([listed is not None for listed in rows_of], bool))
    return [rows_of[index] for index in back]


def roots_of_tasks(kernel: Kernel, task: U64) -> U64:
    """struct cgroup_root of every hierarchy that these tasks are in, v1 and unified, sorted; no symbol is needed."""
    css_set = distinct(kernel.pointer(task, "task_struct", "cgroups"))
    _, cgroup = _cgroups(kernel, css_set, kernel.pointer(css_set, "css_set", "dfl_cgrp"))
    root = distinct(kernel.pointer(cgroup, "cgroup", "root"))
    sound: U64 = root[_is_root(kernel, root)]
    return sound


def _cgroups(kernel: Kernel, css_set: U64, unified: U64) -> tuple[NDArray[np.int64], U64]:
    """Every cgroup of every css_set: the unified ones first, each controller's, and named ones over cgrp_links."""
    owner, link = list_nodes(kernel, kernel.embedded(css_set, "css_set", "cgrp_links"), "cgrp_links")
    linked = kernel.pointer(kernel.container(link, "cgrp_cset_link", "cgrp_link"), "cgrp_cset_link", "cgrp")
    states = kernel.pointer(css_set, "css_set", "subsys").reshape(len(css_set), -1 if len(css_set) else 0)
    row, column = np.nonzero(states)
    by_controller = kernel.pointer(states[row, column], "cgroup_subsys_state", "cgroup")
    every = np.concatenate((np.arange(len(css_set)), owner, row)).astype(np.int64)
    cgroup = np.concatenate((unified, linked, by_controller))
    return every[cgroup != 0], cgroup[cgroup != 0]


def _is_root(kernel: Kernel, root: U64) -> Bools:
    """Whether these are cgroup roots: with a kernfs of their own, and a top cgroup that is of them."""
    kf_root, ok = kernel.try_read(root, "cgroup_root", "kf_root")
    back, ok2 = kernel.try_read(kernel.embedded(root, "cgroup_root", "cgrp"), "cgroup", "root")
    sound: Bools = ok & ok2 & kernel.space.is_kernel_pointer(kf_root.astype(np.uint64)) & (back == root)
    return sound


def _controllers(kernel: Kernel, css_set: U64, root: U64, number: NDArray[np.int64]) -> dict[int, str]:
    """For each v1 root its controllers and name, as /proc/PID/cgroup writes them: "cpu,cpuacct", "name=systemd".

    A root is left out (and counted) if not all of its controllers, or not its only name, could be read.
    """
    states = kernel.pointer(css_set, "css_set", "subsys").reshape(len(css_set), -1 if len(css_set) else 0)
    _, column = np.nonzero(states)
    state = states[states != 0]
    cgroup = kernel.pointer(state, "cgroup_subsys_state", "cgroup")
    of_root = kernel.pointer(cgroup, "cgroup", "root")
    subsys = kernel.pointer(state, "cgroup_subsys_state", "ss")
    pairs = sorted(set(zip(column.tolist(), of_root.tolist(), subsys.tolist(), strict=True)))
    legacy = kernel.pointer(np.array([pair[2] for pair in pairs], np.uint64), "cgroup_subsys", "legacy_name")
    texts = kernel.strings(legacy, 32)
    controllers: dict[int, list[str]] = {}
    for (_, of, _), text in zip(pairs, texts, strict=True):
        label = (text or b"").decode("utf-8", "backslashreplace")
        if label and label not in controllers.setdefault(of, []):
            controllers[of].append(label)
    roots = distinct(root[number != 0])
    name_at = kernel.embedded(roots, "cgroup_root", "name")
    for of, name in zip(roots.tolist(), kernel.strings(name_at, 64), strict=True):
        if name:
            controllers.setdefault(of, []).append("name=" + name.decode("utf-8", "backslashreplace"))
    masks = kernel.read(roots, "cgroup_root", "subsys_mask").astype(np.uint64)
    whole = {}
    for of, mask in zip(roots.tolist(), masks.tolist(), strict=True):
        labels = controllers.get(of, [])
        if labels and sum(not label.startswith("name=") for label in labels) == int(mask).bit_count():
            whole[of] = ",".join(labels)
        else:
            kernel.gaps.add("cgroup controllers", f"{of:#x}", "not readable")
    return whole


def _default_visible(kernel: Kernel) -> bool | None:
    """cgrp_dfl_visible: /proc/PID/cgroup shows the unified hierarchy only once it was mounted; None if not known."""
    address = kernel.symbols.get("cgrp_dfl_visible")
    if address is None:
        return None
    raw, ok = kernel.read_bytes(np.array([address], np.uint64), 1)
    return bool(raw[0, 0]) if ok[0] else None
