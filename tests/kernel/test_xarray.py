# SPDX-License-Identifier: Apache-2.0
"""XArrays: sparse, with large entries, and hostile."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from memir.kernel import xarray
from tests.kernel.fake import DIRECT, fake_kernel, u64

NODE = 0x2000


def node(shift: int, slots: dict[int, int]) -> bytes:
    return bytes([shift]) + bytes(39) + struct.pack("<64Q", *(slots.get(slot, 0) for slot in range(64)))


def link(number: int) -> int:
    """An internal entry: node number n."""
    return DIRECT + NODE + 1024 * number + 2


def entry(number: int) -> int:
    return DIRECT + 0x100_0000 + 64 * number


def tree(nodes: dict[int, bytes]) -> dict[int, int | bytes]:
    return {NODE + 1024 * number: content for number, content in nodes.items()}


def test_lone_entry_value_and_nothing() -> None:
    kernel = fake_kernel({})
    found = xarray.entries(kernel, u64(entry(3), 0, 7), "xa")
    assert (found.owner.tolist(), found.index.tolist(), found.entry.tolist()) == ([0], [0], [entry(3)])
    assert found.values.tolist() == [0, 0, 1]


def test_two_levels_values_and_siblings() -> None:
    """A folio of four pages from index 68, a swapped page, and a page in the first leaf."""
    sibling = (4 << 2) | 2
    nodes = {
        0: node(6, {0: link(1), 1: link(2)}),
        1: node(0, {5: entry(1), 6: 0x123 << 1 | 1}),
        2: node(0, {4: entry(2), 5: sibling, 6: sibling, 7: sibling}),
    }
    kernel = fake_kernel(tree(nodes))
    found = xarray.entries(kernel, u64(link(0)), "xa")
    assert found.index.tolist() == [5, 68, 69, 70, 71]
    assert found.entry.tolist() == [entry(1), *[entry(2)] * 4]
    assert found.values.tolist() == [1]
    assert (found.value_owner.tolist(), found.value_index.tolist(), found.value.tolist()) == ([0], [6], [0x123])
    assert list(kernel.gaps) == []


def test_large_folios() -> None:
    """Of 256 pages from index 128, of which the head stands in the first of four slots above the last level."""
    sibling = (2 << 2) | 2
    kernel = fake_kernel(tree({0: node(6, {1: link(1), 2: entry(1), 3: sibling, 4: sibling, 5: sibling, 9: 7}),
                               1: node(0, {3: entry(2)})}))  # fmt: skip
    every = xarray.entries(kernel, u64(link(0)), "xa", large=True)
    assert every.index.tolist() == [67, *range(128, 384)]
    assert every.entry.tolist() == [entry(2), *[entry(1)] * 256]
    assert (every.value_index.tolist(), every.value.tolist()) == ([576], [3])
    assert xarray.entries(kernel, u64(link(0)), "xa").index.tolist() == [67, 128, 192, 256, 320]
    hostile = fake_kernel(tree({0: node(18, {2: entry(1)})}))
    assert xarray.entries(hostile, u64(link(0)), "xa", large=True).index.tolist() == [2 << 18]


@given(st.dictionaries(st.integers(0, 64**3 - 1), st.integers(1, 1000), max_size=40))
def test_what_was_stored(content: dict[int, int]) -> None:
    """Three levels built from any set of indexes give the same entries in the order of indexes."""
    middles: dict[int, dict[int, int]] = {}
    leaves: dict[tuple[int, int], dict[int, int]] = {}
    for index, value in content.items():
        high, middle, low = index >> 12, index >> 6 & 63, index & 63
        leaves.setdefault((high, middle), {})[low] = entry(value)
    order = {key: number for number, key in enumerate(leaves, 100)}
    for (high, middle), number in order.items():
        middles.setdefault(high, {})[middle] = link(number)
    above = {high: number for number, high in enumerate(middles, 1)}
    top = {high: link(number) for high, number in above.items()}
    nodes = {0: node(12, top)} | {above[high]: node(6, slots) for high, slots in middles.items()}
    nodes |= {order[key]: node(0, slots) for key, slots in leaves.items()}
    kernel = fake_kernel(tree(nodes))
    found = xarray.entries(kernel, u64(link(0)), "xa")
    assert dict(zip(found.index.tolist(), found.entry.tolist(), strict=True)) == {
        index: entry(value) for index, value in content.items()
    }
    assert found.index.tolist() == sorted(content)
    assert list(kernel.gaps) == []


def test_tree_that_never_ends() -> None:
    """A node that leads back to itself: its shift does not fall, so it is left out and counted."""
    kernel = fake_kernel(tree({0: node(6, {slot: link(0) for slot in range(64)} | {63: entry(1)})}))
    found = xarray.entries(kernel, u64(link(0)), "xa")
    assert found.entry.tolist() == [entry(1)]
    assert [(gap.why, gap.count) for gap in kernel.gaps] == [("xarray node not readable", 63)]


def test_nodes_that_are_none() -> None:
    """A shift that is no multiple of 6 bits, and a node that is not in the image."""
    kernel = fake_kernel(
        tree(
            {
                0: node(12, {1: link(1), 2: link(1 << 20), 3: link(2)}),
                1: node(5, {0: entry(1)}),
                2: node(0, {0: entry(2)}),
            }
        )
    )
    found = xarray.entries(kernel, u64(link(0)), "xa")
    assert (found.index.tolist(), found.entry.tolist()) == ([3 << 12], [entry(2)])
    assert [(gap.why, gap.count) for gap in kernel.gaps] == [("xarray node not readable", 2)]
