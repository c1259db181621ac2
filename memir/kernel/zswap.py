# SPDX-License-Identifier: Apache-2.0
"""mm/zswap.c: pages on their way to a swap space, which lie compressed in RAM, and in that space once they had to go.

What they lie in: zsmalloc; zbud, where a page frame holds two of them and the handle is the address of one; z3fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.image.packed_page import ALGORITHMS, unpack
from memir.kernel import rbtree, xarray, z3fold, zsmalloc
from memir.kernel.engine import texts
from memir.kernel.list import slots
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import distinct, rows_of
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

PAGE = 4096
_OFFSET = np.uint64((1 << 34) - 1)  # of a swap entry: more than any swap space has
_MOST_TREES = 1 << 16  # one for each 64 MiB of a swap space
_NAME = 128  # CRYPTO_MAX_ALG_NAME
_ZSMALLOC, _ZBUD, _Z3FOLD = "zsmalloc", "zbud", "z3fold"


@dataclass(frozen=True)
class Entries:
    """Pages of one swap space, by number, ascending. size: bytes packed, 0 for a page of one word repeated, which is
    the handle. handle: of zsmalloc, else the address. kind: of the pool, algorithm: its compressor; head: bytes before
    what is packed."""

    number: I64
    handle: U64
    size: I64
    kind: list[str]
    algorithm: list[str]
    head: I64


class Zswap:
    """The pages of one swap space that zswap has."""

    def __init__(self, kernel: Kernel, entries: Entries) -> None:
        self._kernel = kernel
        self._entries = entries
        is_zs = np.array([kind == _ZSMALLOC for kind in entries.kind], bool)
        length = np.where(entries.size > 0, entries.size + entries.head, 0)
        self._objects = zsmalloc.locate(
            kernel, np.where(is_zs, entries.handle, np.uint64(0)), np.where(is_zs, length, 0)
        )
        pa, known = kernel.space.physical(np.where(is_zs, np.uint64(0), entries.handle))
        inside = (pa & np.uint64(PAGE - 1)).astype(np.int64) + length <= PAGE
        self._pa = np.where(known & inside & ~is_zs, pa, np.uint64(0))
        packed = np.array([name in ALGORITHMS for name in entries.algorithm], bool) | (entries.size == PAGE)
        there = self._objects.ok | ((self._pa != 0) & kernel.memory.present(self._pa))
        self._there = (entries.size == 0) | (there & packed)

    def __len__(self) -> int:
        return len(self._entries.number)

    def there(self, number: I64) -> Bools:
        """Which of these pages of the swap space can be unpacked."""
        row = rows_of(self._entries.number, np.asarray(number, np.int64))
        answer: Bools = (row >= 0) & self._there[np.maximum(row, 0)] if len(self) else np.zeros(len(row), bool)
        return answer

    def pages(self, number: I64) -> list[bytes | None]:
        """4,096 bytes of each page, None for one that zswap has not or, which is a gap, does not unpack."""
        answer: list[bytes | None] = []
        for place, there in zip(np.asarray(number, np.int64).tolist(), self.there(number).tolist(), strict=True):
            page = None
            if there:
                try:
                    page = self._page(int(np.searchsorted(self._entries.number, place)))
                except ValueError as error:
                    self._kernel.gaps.add("zswap", f"page {place}", f"does not unpack: {error}")
            answer.append(page)
        return answer

    def _page(self, row: int) -> bytes | None:
        entries = self._entries
        size, head = int(entries.size[row]), int(entries.head[row])
        if not size:
            return int(entries.handle[row]).to_bytes(8, "little") * (PAGE // 8)
        if self._pa[row]:
            data, holes = self._kernel.memory.read_partial(int(self._pa[row]), size + head)
            content = None if holes else data
        else:
            content = zsmalloc.content(self._kernel, self._objects, row, size + head)
        if content is None or size == PAGE:  # 6.18: what does not shrink is kept as it is
            return None if content is None else content[head:]
        return unpack(entries.algorithm[row], content[head:])


def zswap(kernel: Kernel, type_: int, pages: int) -> Zswap | None:
    """The pages of a swap space (its number, its size in pages) that zswap has; None where it has none."""
    if "zswap_trees" not in kernel.symbols or not kernel.types.exists("zswap_entry"):
        return None
    entry = distinct(_entries(kernel, type_))
    if not len(entry):
        return None
    types = kernel.types
    # 6.8 (7dbbc8f5a4d1): the whole swap entry; before its number alone
    raw = kernel.read(entry, "zswap_entry", kernel.first_member("zswap_entry", "swpentry.val", "offset"))
    number = (raw.astype(np.uint64) & _OFFSET).astype(np.int64)
    size = kernel.read(entry, "zswap_entry", "length").astype(np.int64)
    sound = (number > 0) & (number < pages) & (size >= 0) & (size <= PAGE)
    kernel.count_unread("zswap entry", entry, sound)
    number, first = np.unique(number[sound], return_index=True)
    entry, size = entry[sound][first], size[sound][first]
    pool, back = np.unique(kernel.pointer(entry, "zswap_entry", "pool"), return_inverse=True)
    back = back.reshape(-1)
    kind = _kinds(kernel, pool)
    algorithm = texts(kernel.strings(kernel.embedded(pool, "zswap_pool", "tfm_name"), _NAME))
    head = np.zeros(len(pool), np.int64)
    if types.exists("zswap_header") and types.has("zpool", "evictable"):  # until 6.5 (0bb488498c98)
        store = kernel.pointer(pool, "zswap_pool", "zpool")
        evictable = kernel.read(store, "zpool", "evictable").astype(np.int64) != 0
        head = np.where(evictable, types.size("zswap_header"), 0)
    handle = kernel.read(entry, "zswap_entry", "handle").astype(np.uint64)
    readable = {_ZSMALLOC, _ZBUD}
    for row in (row for row, name in enumerate(kind) if name == _Z3FOLD):
        of_module = z3fold.module_types(kernel, _drivers(kernel, pool[row : row + 1]))
        if of_module is not None:
            readable.add(_Z3FOLD)
            own = (back == row) & (size > 0)
            handle[own] = z3fold.content(kernel, of_module, handle[own])
    strange = np.array([kind[row] not in readable for row in back.tolist()], bool) & (size > 0)
    for name in sorted({kind[row] for row in back[strange].tolist()}):
        count = int((strange & np.array([kind[row] == name for row in back.tolist()], bool)).sum())
        where = f"type {type_}: {name or 'kind not known'}"
        kernel.gaps.add("zswap", where, "pages in a pool of a kind that is not read", count)
    kept = np.flatnonzero(~strange)
    of = back[kept]
    return Zswap(kernel, Entries(
        number[kept], handle[kept], size[kept], [kind[row] for row in of.tolist()],
        [algorithm[row] or "" for row in of.tolist()], head[of],
    ))  # fmt: skip


def _entries(kernel: Kernel, type_: int) -> U64:
    """Every struct zswap_entry of a swap space."""
    first = kernel.pointers(u64(kernel.symbols["zswap_trees"] + 8 * type_))
    if kernel.types.exists("zswap_tree") and kernel.types.has("zswap_tree", "rbroot"):
        # 6.8 (44c7c734a513) made several trees of one, 6.10 (796c2c23e14e) xarrays of them
        many = _number(kernel, type_)
        tree = slots(kernel, first, u64(many), kernel.types.size("zswap_tree"), "zswap tree")
        root = kernel.pointer(tree, "zswap_tree", "rbroot.rb_node", gap=False)
        return kernel.container(rbtree.nodes(kernel, root, "zswap tree")[1], "zswap_entry", "rbnode")
    tree = slots(kernel, first, u64(_number(kernel, type_)), kernel.types.size("xarray"), "zswap tree")
    head = kernel.pointer(tree, "xarray", "xa_head", gap=False)
    return xarray.entries(kernel, head, "zswap tree").entry


def _number(kernel: Kernel, type_: int) -> int:
    """How many trees a swap space has."""
    counts = kernel.symbols.get("nr_zswap_trees")
    if counts is None:
        return 1
    number = int(kernel.pointers(u64((counts + 4 * type_) & ~7))[0]) >> (32 * (type_ & 1)) & 0xFFFF_FFFF
    if number > _MOST_TREES:
        kernel.gaps.add("zswap tree", f"type {type_}", "absurd number of trees")
    return number if number <= _MOST_TREES else 0


def _kinds(kernel: Kernel, pool: U64) -> list[str]:
    """What each pool keeps its pages in."""
    if not kernel.types.has("zswap_pool", "zpool"):  # 6.18 (2ccd9fecd919): zsmalloc alone
        return [_ZSMALLOC] * len(pool)
    names = kernel.strings(kernel.pointer(_drivers(kernel, pool), "zpool_driver", "type"), 32)
    return [name or "" for name in texts(names)]


def _drivers(kernel: Kernel, pool: U64) -> U64:
    """The struct zpool_driver of each pool."""
    return kernel.pointer(kernel.pointer(pool, "zswap_pool", "zpool"), "zpool", "driver")
