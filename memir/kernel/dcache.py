# SPDX-License-Identifier: Apache-2.0
"""include/linux/dcache.h: names and paths of dentries, thousands at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import hlist_nodes, list_nodes
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import distinct, rows_of

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


@dataclass(frozen=True)
class _Read:
    """Names that were read: struct dentry uint64[n] ascending, where each begins in `text` (int64[n]), whether it could
    be read (bool[n]); text: NUL, name, NUL, name ... NUL."""

    dentry: U64
    begin: I64
    ok: Bools
    text: bytes


def named(kernel: Kernel, dentry: U64, wanted: re.Pattern[bytes]) -> Bools:
    """In which of these names the pattern is found, bool[n]; what cannot be read is counted.

    No name holds a NUL and each stands between two: `(?<=\\0)` is where one begins, `(?=\\0)` where it ends. A node may
    have a million names; they are read once for all who ask.
    """
    if not len(dentry):
        return np.zeros(0, bool)
    known = _read_names(kernel, dentry)
    row = rows_of(known.dentry, dentry)
    kernel.count_unread("dentry", dentry, known.ok[row])
    starts, order = np.sort(known.begin), np.argsort(known.begin, kind="stable")
    place = np.fromiter((match.start() for match in wanted.finditer(known.text)), np.int64)
    hit = np.zeros(len(known.dentry), bool)
    hit[order[np.searchsorted(starts, place, "right") - 1]] = True
    answer: Bools = hit[row]
    return answer


def _read_names(kernel: Kernel, dentry: U64) -> _Read:
    """What was read before, and the names of these too."""
    nothing = np.zeros(0, np.int64)
    known = kernel.read_once.get("names") or _Read(nothing.astype(np.uint64), nothing, nothing.astype(bool), b"\0")
    new = distinct(dentry)
    new = new[rows_of(known.dentry, new) < 0]
    texts, begins, oks, size = [known.text], [known.begin], [known.ok], len(known.text)
    for first in range(0, len(new), _AT_ONCE):
        part = new[first : first + _AT_ONCE]
        pointer, ok = kernel.try_read(part, "dentry", name_member(kernel))
        names = [name or b"" for name in kernel.strings(pointer.astype(np.uint64), NAME_MAX)]
        length = np.array([len(name) + 1 for name in names], np.int64)
        begins.append(size + np.cumsum(length) - length)
        size += int(length.sum())
        texts.append(b"\0".join(names) + b"\0")
        oks.append(ok)
    if len(new):
        every, begin, ok = np.concatenate((known.dentry, new)), np.concatenate(begins), np.concatenate(oks)
        order = np.argsort(every, kind="stable")
        known = _Read(every[order], begin[order], ok[order], b"".join(texts))
        kernel.read_once["names"] = known
    return known


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
