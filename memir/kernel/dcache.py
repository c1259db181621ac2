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
class _Names:
    """Names that were read, in the order of `text`, which is NUL, name, NUL, name ... NUL.

    dentry: uint64[n]. begin: where each name begins, and the end of all, int64[n + 1]. ok: whether it could be read,
    bool[n]. order: rows by address, int64[n].
    """

    dentry: U64
    begin: I64
    ok: Bools
    text: bytes
    order: I64

    def rows(self, dentry: U64) -> I64:
        """Rows of these dentries, -1 for one whose name was not read."""
        place = rows_of(self.dentry[self.order], dentry)
        return np.where(place >= 0, self.order[place] if len(self.order) else -1, -1)


def named(kernel: Kernel, dentry: U64, wanted: re.Pattern[bytes]) -> Bools:
    """In which of these names the pattern is found, bool[n]; what cannot be read is counted.

    No name holds a NUL and each stands between two: `(?<=\\0)` is where one begins, `(?=\\0)` where it ends. A node may
    have a million names; they are read once for all who ask.
    """
    known = _read_names(kernel, dentry)
    row = known.rows(dentry)
    kernel.count_unread("dentry", dentry, known.ok[row])
    place = np.fromiter((match.start() for match in wanted.finditer(known.text)), np.int64)
    hit = np.zeros(len(known.dentry), bool)
    hit[np.searchsorted(known.begin, place, "right") - 1] = True
    answer: Bools = hit[row]
    return answer


def names(kernel: Kernel, dentry: U64) -> list[bytes | None]:
    """The name of each, None where it cannot be read or is empty, which no file's is. Nothing is counted."""
    known = _read_names(kernel, dentry)
    row = known.rows(dentry)
    ends = zip(known.begin[row].tolist(), (known.begin[row + 1] - 1).tolist(), strict=True)
    return [known.text[begin:end] or None for begin, end in ends]


def _read_names(kernel: Kernel, dentry: U64) -> _Names:
    """What was read before, and the names of these too."""
    nothing = np.zeros(0, np.int64)
    known = kernel.read_once.get("names") or _Names(
        nothing.astype(np.uint64), np.ones(1, np.int64), nothing.astype(bool), b"\0", nothing
    )
    new = distinct(dentry)
    new = new[known.rows(new) < 0]
    if not len(new):
        return known
    texts, lengths, oks = [known.text], [np.diff(known.begin)], [known.ok]
    for first in range(0, len(new), _AT_ONCE):
        part = new[first : first + _AT_ONCE]
        pointer, ok = kernel.try_read(part, "dentry", name_member(kernel))
        every = [name or b"" for name in kernel.strings(pointer.astype(np.uint64), NAME_MAX)]
        texts.append(b"\0".join(every) + b"\0")
        lengths.append(np.array([len(name) + 1 for name in every], np.int64))
        oks.append(ok)
    address = np.concatenate((known.dentry, new))
    begin = np.concatenate(([1], 1 + np.cumsum(np.concatenate(lengths))))
    order = np.argsort(address, kind="stable")
    kernel.read_once["names"] = known = _Names(address, begin, np.concatenate(oks), b"".join(texts), order)
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
