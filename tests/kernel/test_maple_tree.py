# SPDX-License-Identifier: Apache-2.0
"""Maple trees that no kernel would make."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memir.gaps import Gaps
from memir.kernel import maple_tree

U64 = NDArray[np.uint64]
BASE = 0xFFFF_8880_0000_0000
LEAF, RANGE, ARANGE = 1, 2, 3


class FakeTypes:
    def exists(self, name: str) -> bool:
        return name in ("maple_range_64", "maple_arange_64")


class FakeKernel:
    """Nodes by number; node n lies at BASE + 256 n."""

    def __init__(self, nodes: dict[int, bytes]) -> None:
        self.nodes, self.gaps, self.types = nodes, Gaps(), FakeTypes()

    def try_read(self, address: U64, name: str, path: str) -> tuple[U64, NDArray[np.bool_]]:
        pivots = 15 if name == "maple_range_64" else 9
        offset, count = (8, pivots) if path == "pivot" else (8 + 8 * pivots, pivots + 1)
        rows, ok = [], []
        for at in address.tolist():
            raw = self.nodes.get((at - BASE) // 256)
            ok.append(raw is not None)
            rows.append(np.frombuffer(raw or bytes(256), "<u8", count, offset))
        return np.array(rows, np.uint64).reshape(len(rows), count), np.array(ok)

    def count_unread(self, kind: str, address: U64, ok: NDArray[np.bool_]) -> None:
        self.gaps.add(kind, "", "not readable", int((~ok).sum()))


def node(kind: int, pivots: list[int], slots: list[int]) -> bytes:
    count = 9 if kind == ARANGE else 15
    raw = struct.pack(
        f"<Q{count}Q{count + 1}Q", 0, *pivots, *[0] * (count - len(pivots)), *slots, *[0] * (count + 1 - len(slots))
    )
    return raw.ljust(256, b"\0")


def child(number: int, kind: int) -> int:
    return (BASE + 256 * number) | kind << 3 | 4


def root(number: int, kind: int) -> int:
    return child(number, kind) | 2


def entries(nodes: dict[int, bytes], *roots: int) -> tuple[list[tuple[int, int]], Gaps]:
    kernel: Any = FakeKernel(nodes)
    owner, entry = maple_tree.entries(kernel, np.array(roots, np.uint64), "vma")
    return list(zip(owner.tolist(), entry.tolist(), strict=True)), kernel.gaps


def test_entries_in_order_and_nothing_behind_the_last_pivot() -> None:
    nodes = {
        0: node(ARANGE, [0xFFF, 2**64 - 1], [child(2, LEAF), child(1, LEAF), child(9, LEAF)]),
        1: node(LEAF, [0x1FFF, 0x2FFF, 2**64 - 1], [0x300, 0, 0x400, 0x500]),
        2: node(LEAF, [0xFF, 0x1FF], [0x100, 0x200, 0]),
    }
    found, gaps = entries(nodes, root(0, ARANGE), 0, 0x700)
    assert found == [(0, 0x100), (0, 0x200), (0, 0x300), (0, 0x400), (2, 0x700)] and not len(gaps)


def test_a_full_leaf_has_one_slot_more_than_pivots() -> None:
    slots = [0x1000 + 16 * at for at in range(16)]
    found, _ = entries({0: node(LEAF, [16 * (at + 1) for at in range(15)], slots)}, root(0, LEAF))
    assert [entry for _, entry in found] == slots


def test_loops_end() -> None:
    pivots = [16 * (at + 1) for at in range(9)]
    nodes = {0: node(ARANGE, pivots, [child(0, ARANGE)] * 10), 1: node(RANGE, [], [child(1, RANGE)])}
    found, gaps = entries(nodes, root(0, ARANGE), root(1, RANGE))
    assert found == [] and {gap.why for gap in gaps} == {"maple tree loops"}


def test_nodes_that_are_absent_or_of_no_kind_are_counted() -> None:
    nodes = {
        0: node(RANGE, [0xFF, 0x1FF, 0x2FF], [child(5, LEAF), child(6, 0), child(7, 9), child(1, LEAF)]),
        1: node(LEAF, [], [0x100]),
    }
    found, gaps = entries(nodes, root(0, RANGE))
    assert found == [(0, 0x100)]
    assert {(gap.why, gap.count) for gap in gaps} == {("not readable", 1), ("maple node of an unknown type", 2)}
