# SPDX-License-Identifier: Apache-2.0
"""include/linux/dcache.h: names and paths of dentries, thousands at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import hlist_nodes, list_nodes
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_DEPTH = 512  # PATH_MAX allows 2,048 names of one letter; real paths have below 100: more is a loop
NAME_MAX = 256
_AT_ONCE = 1 << 16  # names


def name_member(kernel: Kernel) -> str:
    """The path in a dentry to the pointer to its name: 7.2 has it in a union with __d_name."""
    return kernel.first_member("dentry", "d_name.name", "__d_name.name")


class Dentries:
    """Parents and names of dentries, read once: load() brings in a set of dentries with all their ancestors."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._known: dict[int, tuple[int, bytes | None]] = {}

    def load(self, dentry: U64) -> None:
        """Read these dentries and everything above them; what cannot be read is counted as a gap."""
        kernel = self._kernel
        name_path = name_member(kernel)
        frontier = distinct(dentry[dentry != 0])
        for _ in range(_MAX_DEPTH):
            frontier = frontier[[address not in self._known for address in frontier.tolist()]]
            if not len(frontier):
                return
            parent, ok = kernel.try_read(frontier, "dentry", "d_parent")
            name, _ = kernel.try_read(frontier, "dentry", name_path)
            names = kernel.strings(name.astype(np.uint64), NAME_MAX)
            kernel.count_unread("dentry", frontier, ok)
            for address, up, text in zip(frontier.tolist(), parent.tolist(), names, strict=True):
                self._known[address] = (int(up), text or None)  # no file has an empty name
            frontier = distinct(parent[parent != 0].astype(np.uint64))
        kernel.gaps.add("dentry", f"{int(frontier[0]):#x}", "deeper than a path can be", len(frontier))

    def parent(self, dentry: int) -> int:
        """The parent of a loaded dentry; itself for a root."""
        return self._known.get(dentry, (0, None))[0]

    def name(self, dentry: int) -> bytes | None:
        """The name of a loaded dentry."""
        return self._known.get(dentry, (0, None))[1]

    def below(self, dentry: int, root: int) -> list[bytes] | None:
        """Names from `root` (left out; 0: the file system's own) down to the dentry.

        None if one of them is unreadable, or the dentry does not lie below `root`.
        """
        parts: list[bytes] = []
        for _ in range(_MAX_DEPTH):
            if not dentry:
                return None
            if dentry == root:
                return parts[::-1]
            up, name = self._known.get(dentry, (0, None))
            if up == dentry:
                return None if root else parts[::-1]
            if name is None or not up:
                return None
            parts.append(name)
            dentry = up
        return None

    def path(self, dentry: int) -> bytes | None:
        """Path within the file system that the dentry is on."""
        parts = self.below(dentry, 0)
        return None if parts is None else b"/" + b"/".join(parts)


def named(kernel: Kernel, dentry: U64, wanted: Callable[[bytes], bool]) -> Bools:
    """Which of these have a wanted name, bool[n]; the names of the others, of which a node may have a million, are not
    kept. What cannot be read is counted."""
    member = name_member(kernel)
    answer = np.zeros(len(dentry), bool)
    for begin in range(0, len(dentry), _AT_ONCE):
        part = dentry[begin : begin + _AT_ONCE]
        name, ok = kernel.try_read(part, "dentry", member)
        kernel.count_unread("dentry", part, ok)
        texts = kernel.strings(name.astype(np.uint64), NAME_MAX)
        answer[begin : begin + len(part)] = [text is not None and wanted(text) for text in texts]
    return answer


def unlinked(kernel: Kernel, dentry: U64) -> Bools:
    """d_unlinked(): no longer in the hash and not a root, so the name has been deleted."""
    pprev, ok = kernel.try_read(dentry, "dentry", "d_hash.pprev")
    parent, _ = kernel.try_read(dentry, "dentry", "d_parent")
    gone: Bools = ok & (pprev == 0) & (parent != 0) & (parent != dentry)
    return gone


def children(kernel: Kernel, dentry: U64) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], U64]:
    """Child dentries that are in memory: (index of the parent, address of the child)."""
    if kernel.types.has("dentry", "d_children"):  # 6.8 (da549bdd15c2): hlists
        owner, node = hlist_nodes(kernel, kernel.embedded(dentry, "dentry", "d_children"), "dentry children")
        return owner, kernel.container(node, "dentry", "d_sib")
    owner, node = list_nodes(kernel, kernel.embedded(dentry, "dentry", "d_subdirs"), "dentry children")
    return owner, kernel.container(node, "dentry", "d_child")
