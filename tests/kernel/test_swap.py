# SPDX-License-Identifier: Apache-2.0
"""Swapped pages of a node with a zram device for each compressor: every byte is what the process had written."""

from __future__ import annotations

import numpy as np
import pytest

from memir.kernel.mm import page_roots
from memir.kernel.pagetable import U64
from memir.kernel.swap import BEYOND, Space, Swap, is_swapped, open_swap, swap_of
from memir.kernel.user_memory import anonymous_memory
from tests.hunt.hunting import planted
from tests.kernel.held import mm_of, node, swapped
from tests.lab.held import page

COMPRESSORS = ["lzo-rle", "lz4", "zstd"]


@pytest.mark.parametrize("name", COMPRESSORS)
def test_every_byte_that_was_swapped_out(name: str) -> None:
    kernel, record = node().kernel, swapped()[name]
    roots = page_roots(kernel, mm_of(kernel, record["pid"]))
    va = np.uint64(record["address"]) + np.arange(record["pages"], dtype=np.uint64) * np.uint64(4096)
    pa, known = kernel.space.user_physical(np.repeat(roots, len(va)), va, swap_of(kernel).places)
    assert known.all() and is_swapped(pa).all()
    data, ok = kernel.memory.gather(pa, 4096)
    assert ok.all() and kernel.memory.present(pa).all()
    assert [row.tobytes() for row in data] == [page(name, number) for number in range(record["pages"])]
    # nobody who does not ask for them is given any
    assert not kernel.space.user_physical(np.repeat(roots, len(va)), va)[1].any()


def test_spaces_and_counts() -> None:
    kernel, truth = node().kernel, swapped()
    assert [(space.type, space.name, space.pages) for space in swap_of(kernel).spaces.values()] == [
        (0, "zram0", 4096), (1, "zram1", 4096), (2, "zram2", 4096)
    ]  # fmt: skip
    mm = np.concatenate([mm_of(kernel, truth[name]["pid"]) for name in COMPRESSORS])
    readable, lost = swap_of(kernel).counts(page_roots(kernel, mm))
    # the kernel's own count may lag by some pages a thread
    for name, count in zip(COMPRESSORS, readable.tolist(), strict=True):
        assert abs(count - truth[name]["swapped_kib"] // 4) <= 4
        assert count >= truth[name]["pages"]
    assert lost.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", COMPRESSORS)
def test_environments_and_own_memory(name: str) -> None:
    """The environment lies in swap too, and is read as if it did not."""
    process = next(row for row in node().processes.rows if row.pid == swapped()[name]["pid"])
    environ = [text if isinstance(text, str) else text.decode() for text in process.environ or []]
    assert f"MEMIR_A={name}-first-word" in environ and f"MEMIR_Z={name}-last-word" in environ
    assert any(f"memir-swap {name} page 000123 line 007".encode() in data
               for _, data in anonymous_memory(node().kernel, process.task))  # fmt: skip


def test_a_page_that_zram_has_not_is_not_known() -> None:
    swap = swap_of(node().kernel)
    entry = swap_entry(0, np.arange(4096, dtype=np.uint64))
    place, known = swap.places(entry)
    assert 500 < known.sum() < 700 and not known[0]  # the header is no page
    assert (place[known] >> np.uint64(12) == np.flatnonzero(known).astype(np.uint64) | np.uint64(BEYOND >> 12)).all()
    for odd in (swap_entry(3, np.array([5], np.uint64)), swap_entry(0, np.array([1 << 20], np.uint64))):
        assert not swap.places(odd)[1].any()


def swap_entry(kind: int, number: U64) -> U64:
    """As x86-64 writes it."""
    return np.uint64(kind << 59) | ((~number << np.uint64(14)) >> np.uint64(5))


def test_a_damaged_stream_is_a_gap_and_no_other_page() -> None:
    kernel, record = node().kernel, swapped()["zstd"]
    roots = page_roots(kernel, mm_of(kernel, record["pid"]))
    va = np.array([record["address"] + 300 * 4096], np.uint64)  # a page of text
    place = kernel.space.user_physical(roots, va, swap_of(kernel).places)[0]
    # whose swap space it is, the processor's own stock of free places decides
    number, kind = int(place[0] >> np.uint64(12)) & 0xFFFF, int(place[0] >> np.uint64(46)) & 31
    slots = swap_of(kernel).spaces[kind].stores[0].slots(np.array([number]))  # type: ignore[attr-defined]  # a zram device
    other = planted(node(), {int(slots.objects.first[0]): b"\0\0\0\0"}).kernel
    pa, known = other.space.user_physical(roots, va, swap_of(other).places)
    assert known.all()
    data, ok = other.memory.gather(pa, 4096)
    assert not ok.any() and not data.any()
    assert [gap.where for gap in other.gaps if gap.kind == "zram"] == [f"page {number}"]


def test_without_swap() -> None:
    assert open_swap(node().kernel).spaces.keys() == {0, 1, 2}
    none = Swap(node().kernel, [])
    assert not none.places(np.array([1 << 9], np.uint64))[1].any()
    assert none.counts(np.zeros(2, np.uint64))[0].tolist() == [0, 0]
    device = Swap(node().kernel, [Space(0, None, 4096, ())])
    assert not device.places(swap_entry(0, np.array([7], np.uint64)))[1].any()
