# SPDX-License-Identifier: Apache-2.0
"""include/linux/list.h: many linked lists walked in step, one hop of all of them at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import U64
from memir.kernel.rows import among, distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

LIMIT = 1 << 20
"""Hops after which a list is given up: none on a real node is longer."""
_MAX_SLOTS = 1 << 24  # of a hash table or ring: more than the kernel makes of any
_RAM_A_SLOT = 128  # bytes, at the least: the kernel's largest table has one for each 128 KiB
_RAM_A_NODE = 64  # bytes: no object that is in a list is smaller, and each is in one list of a kind
_FEW = 4  # lists, of which walking one after the other is quicker than all in step
_PIECES = 16  # a list that was cut in so many places is not put together any more


def slots(kernel: Kernel, base: U64, count: U64, size: int, kind: str) -> U64:
    """Addresses of the slots of tables: base uint64[n] each with count slots of `size` bytes; absurd ones are a gap."""
    absurd = count > np.uint64(min(_MAX_SLOTS, kernel.memory.end // _RAM_A_SLOT))
    kernel.gaps.add(kind, f"{int(base[absurd][0]):#x}" if absurd.any() else "", "absurd size", int(absurd.sum()))
    parts = [
        np.uint64(start) + np.arange(number, dtype=np.uint64) * np.uint64(size)
        for start, number in zip(base.tolist(), np.where(absurd | (base == 0), 0, count).tolist(), strict=True)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def list_nodes(kernel: Kernel, heads: U64, kind: str, limit: int = LIMIT) -> tuple[NDArray[np.int64], U64]:
    """Nodes of circular lists (struct list_head): (index of the head int64[n], address of the node uint64[n]).

    Within a head nodes keep their order. A list that cannot be read on, or that loops without coming back to its head,
    ends there and is counted as a gap; what was met before stays.
    """
    return _walk(kernel, np.asarray(heads, np.uint64), kernel.pointers(heads), kind, limit, circular=True)


def hlist_nodes(kernel: Kernel, heads: U64, kind: str, limit: int = LIMIT) -> tuple[NDArray[np.int64], U64]:
    """Nodes of struct hlist_head lists, which end with NULL; otherwise as list_nodes."""
    return _walk(kernel, np.asarray(heads, np.uint64), kernel.pointers(heads), kind, limit, circular=False)


def hash_nodes(
    kernel: Kernel, heads: U64, kind: str, limit: int = LIMIT, *, locked: bool = False
) -> tuple[NDArray[np.int64], U64]:
    """Nodes of hash chains that end with NULL or with a word whose bit 0 is set (hlist_nulls, rhashtable).

    locked: bit 0 of a head itself is an rhashtable's lock, and an empty head may hold its own address. As list_nodes.
    """
    heads = np.asarray(heads, np.uint64)
    first = kernel.pointers(heads)
    if locked:
        first = first & ~np.uint64(1)
        first = np.where(first == heads, np.uint64(0), first)
    return _walk(kernel, heads, first, kind, limit, circular=False)


def ring(kernel: Kernel, struct: str, link: str, members: U64, kind: str) -> U64:
    """Every object of one circular list of which members are known, sorted; its head, which is none, may be among them.

    For a list whose head no symbol names. Where it is torn, the pieces that members lie on are walked one by one.
    """
    addresses = distinct(np.asarray(members, np.uint64))
    addresses = rest = addresses[addresses != 0]
    for _ in range(_PIECES):
        if not len(rest):
            break
        _, node = list_nodes(kernel, kernel.embedded(rest[:1], struct, link), kind)
        node = node[kernel.try_pointers(node)[1]]  # the last one met may be an address of nothing
        piece = np.concatenate((rest[:1], kernel.container(node, struct, link)))
        addresses, rest = np.union1d(addresses, piece), rest[~among(rest, piece)]
    return addresses


def chain(kernel: Kernel, first: U64, offset: int, kind: str, limit: int = LIMIT) -> tuple[NDArray[np.int64], U64]:
    """Objects linked by a `next` pointer at `offset`, NULL at the end: (index of the start, address of the object)."""
    return _walk(
        kernel,
        np.asarray(first, np.uint64),
        np.asarray(first, np.uint64),
        kind,
        limit,
        circular=False,
        offset=offset,
    )


def _walk(
    kernel: Kernel, heads: U64, first: U64, kind: str, limit: int, *, circular: bool, offset: int = 0
) -> tuple[NDArray[np.int64], U64]:
    alive = np.flatnonzero(heads != 0)
    node = first[alive]
    marker = np.zeros(len(alive), np.uint64)  # Brent: a node met again under way means a loop
    next_mark = 1
    owners: list[NDArray[np.int64]] = []
    nodes: list[U64] = []
    left = kernel.memory.end // _RAM_A_NODE
    for hop in range(limit):
        if len(alive) <= _FEW:
            for row, start, mark in zip(alive.tolist(), node.tolist(), marker.tolist(), strict=True):
                steps = _Steps(start, mark, hop, next_mark)
                walked = _one(kernel, int(heads[row]), steps, kind, limit, left, circular=circular, offset=offset)
                left -= len(walked)
                owners.append(np.full(len(walked), row, np.int64))
                nodes.append(np.array(walked, np.uint64))
            break
        # hlist_nulls end with an odd word; no object lies at an odd address
        done = (node == heads[alive]) if circular else (node == 0) | ((node & np.uint64(1)) != 0)
        broken = ~done & circular & (node == 0)
        looped = ~done & ~broken & (node == marker) if hop else np.zeros(len(node), bool)
        if broken.any():
            kernel.gaps.add(kind, f"list at {int(heads[alive][broken][0]):#x}", "link not readable", int(broken.sum()))
        if looped.any():
            kernel.gaps.add(kind, f"list at {int(heads[alive][looped][0]):#x}", "list loops", int(looped.sum()))
        keep = ~(done | broken | looped)
        alive, node, marker = alive[keep], node[keep], marker[keep]
        left -= len(alive)
        if left < 0:
            kernel.gaps.add(kind, f"list at {int(heads[alive][0]):#x}", "more nodes than RAM can hold", len(alive))
            break
        if not len(alive):
            break
        owners.append(alive)
        nodes.append(node)
        if hop == next_mark:
            marker, next_mark = node, next_mark * 2
        following, ok = kernel.try_pointers(node + np.uint64(offset))
        if not ok.all():
            kernel.gaps.add(kind, f"{int(node[~ok][0]):#x}", "link not readable", int((~ok).sum()))
            alive, following, marker = alive[ok], following[ok], marker[ok]
        node = following
    else:
        where = f"list at {int(heads[alive][0]):#x}" if len(alive) else ""
        kernel.gaps.add(kind, where, f"longer than {limit}", len(alive))
    if not owners:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    owner, addresses = np.concatenate(owners), np.concatenate(nodes)
    order = np.argsort(owner, kind="stable")
    return owner[order].astype(np.int64), addresses[order]


class _Steps(NamedTuple):
    """How far a walk has come: where it is, the node that must not come again, hops so far, when the next is marked."""

    node: int
    marker: int
    hop: int
    next_mark: int


def _one(
    kernel: Kernel, head: int, steps: _Steps, kind: str, limit: int, left: int, *, circular: bool, offset: int
) -> list[int]:
    """Nodes of one list from there on, as _walk() has them. left: how many RAM can still hold."""
    node, marker, hop, next_mark = steps
    nodes: list[int] = []
    why = f"longer than {limit}"
    while hop < limit:
        if node == head if circular else not node or node & 1:
            return nodes
        if not node or (hop and node == marker):
            why = "list loops" if node else "link not readable"
            break
        if len(nodes) == left:
            why = "more nodes than RAM can hold"
            break
        nodes.append(node)
        if hop == next_mark:
            marker, next_mark = node, next_mark * 2
        following = kernel.word((node + offset) % (1 << 64))
        if following is None:
            kernel.gaps.add(kind, f"{node:#x}", "link not readable")
            return nodes
        node, hop = following, hop + 1
    kernel.gaps.add(kind, f"list at {head:#x}", why)
    return nodes
