# SPDX-License-Identifier: Apache-2.0
"""Searches over RAM: on a real image against what VMCOREINFO and symbols say, and on memory that holds traps."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from memir.errors import AbsentMemoryError
from memir.image.memory import PhysicalMemory, Range
from memir.symbols import btf
from memir.symbols.search import (
    IMAGE_SPAN,
    btf_between,
    find_banner,
    find_btf,
    find_init_tasks,
    image_span,
)
from memir.symbols.table import Symbols
from memir.symbols.types import KernelTypes
from tests.damage import PAGE, damaged, patched, zeroed
from tests.images import case
from tests.symbols.btf_maker import Maker
from tests.symbols.located import located, recorded_system

NAME = "s-6.1-small"


def ram(content: bytes, start: int = 0x100000) -> PhysicalMemory:
    def read(pa: int, size: int) -> bytes:
        return content[pa - start :][:size]

    return PhysicalMemory.from_reader([Range(start, len(content))], read, "made", "raw")


def test_image_span() -> None:
    memory, anchors = located(NAME)
    text = anchors.image_pa(anchors.symbols["_stext"])
    low, span = image_span(memory, text)
    assert low <= text < low + len(span)
    assert low % (2 << 20) == 0 or any(low == part.start for part in memory.ranges)
    assert len(span) <= IMAGE_SPAN
    assert span[text - low :][:64].tobytes() == memory.read(text, 64)
    short = image_span(memory, text, 1 << 20)
    assert (short[0], len(short[1])) == (low, 1 << 20)
    with pytest.raises(AbsentMemoryError, match="physical address 0x100000000000 is not in the image"):
        image_span(memory, 1 << 44)


def test_an_image_span_with_absent_pages() -> None:
    """What cannot be read of it is zeros: the span is searched, never trusted."""

    def read(pa: int, size: int) -> bytes | None:
        return None if pa <= 0x201000 < pa + size else b"\1" * size

    memory = PhysicalMemory.from_reader([Range(0x200000, 0x4000)], read, "made", "raw")
    low, span = image_span(memory, 0x200000)
    assert (low, len(span)) == (0x200000, 0x4000)
    assert np.unique(span[:0x1000]).tolist() == [1]
    assert np.unique(span[0x1000:0x2000]).tolist() == [0]


def test_btf_by_symbols_and_by_search() -> None:
    memory, anchors = located(NAME)
    named = btf_between(memory, anchors.symbols, anchors.image_delta)
    near = find_btf(memory, anchors.image_pa(anchors.symbols["_stext"]))
    anywhere = find_btf(memory, None)
    assert named is not None
    assert near is not None
    assert anywhere is not None
    assert named.blob.tag() == near.blob.tag() == anywhere.blob.tag()
    assert named.struct("task_struct") == near.struct("task_struct")


@pytest.mark.parametrize("stop", [-8, 0, 64 << 20, 1 << 40])
def test_btf_where_symbols_cannot_be_right(stop: int) -> None:
    memory, anchors = located(NAME)
    start = anchors.symbols["__start_BTF"]
    wrong = Symbols.from_pairs([("__start_BTF", start), ("__stop_BTF", start + stop)], "made")
    assert btf_between(memory, wrong, anchors.image_delta) is None
    assert btf_between(memory, Symbols.from_pairs([("__start_BTF", start)], "made"), anchors.image_delta) is None
    assert btf_between(memory, anchors.symbols, anchors.image_delta + (1 << 44)) is None


def test_btf_of_a_module_is_passed_over() -> None:
    """Headers that are cut, small ones, and a large one without task_struct; the kernel's own is behind them."""
    small = Maker()
    small.struct("task_struct", 4, ("a", small.int32(), 0))
    large = Maker()
    large.struct("other", 4, ("a", large.int32(), 0))
    large.strings += b"x" * (1 << 19) + b"\0"
    kernel = Maker()
    kernel.struct("task_struct", 8, ("a", kernel.int32(), 32))
    kernel.strings += b"y" * (1 << 19) + b"\0"
    traps = [b"\x9f\xeb\x01\0" + b"\xff" * 60, small.blob(), large.blob()]
    content = b"".join(blob + bytes(-len(blob) % 8) for blob in (*traps, kernel.blob()))
    found = find_btf(ram(content), None)
    assert found is not None
    assert found.struct("task_struct") == btf.parse(kernel.blob()).struct("task_struct")
    assert find_btf(ram(content[: -len(kernel.blob()) - 8]), None) is None
    assert find_btf(ram(b"\x9f\xeb\x01\0" * 4096), None) is None


def test_the_first_task() -> None:
    memory, anchors = located(NAME)
    pa = anchors.image_pa(anchors.init_task)
    assert list(find_init_tasks(memory, anchors.types, None)) == [(anchors.init_task, pa)]
    assert next(find_init_tasks(memory, anchors.types, pa)) == (anchors.init_task, pa)
    parent = pa + anchors.types.offset("task_struct", "real_parent")
    other = damaged(memory, patched(memory, {parent: struct.pack("<Q", anchors.init_task + 64)}))
    assert list(find_init_tasks(other, anchors.types, pa)) == []


def test_what_only_looks_like_the_first_task() -> None:
    make = Maker()
    make.int32()
    char = make.add(2, "", 1)  # a pointer
    name = make.add(3, "", 0, 1, 1, 4)  # int[4]: 16 bytes
    links = [(link, char, 64 * at) for at, link in enumerate(("real_parent", "parent", "group_leader"))]
    make.struct("task_struct", 48, *links, ("comm", name, 192))
    types = KernelTypes(btf.parse(make.blob()))

    def task(pointer: int, comm: bytes = b"swapper/0\0") -> bytes:
        return struct.pack("<3Q", pointer, pointer, pointer) + comm.ljust(24, b"\0")

    good = 0xFFFFFFFF82000000 + 48 * 3
    content = (
        task(0x82000000)  # of user space
        + task(0xFFFFFFFF82000020, b"swapper/1\0")
        + task(0xFFFFFFFF82000FF8)  # not at the same place of its page
        + task(good)
        + b"swapper/0\0"  # at the end of RAM
    )
    assert list(find_init_tasks(ram(content), types, None)) == [(good, 0x100000 + 48 * 3)]


def test_the_banner() -> None:
    memory, anchors = located(NAME)
    release, delta, text = anchors.release, anchors.image_delta, anchors.symbols["_stext"]
    shown = recorded_system(NAME)["version"].rstrip("\n")
    bare = Symbols.from_pairs([("_stext", text)], "made")
    assert find_banner(memory, anchors.symbols, delta, release, text) == shown
    assert find_banner(memory, bare, delta, release, text) == shown  # by its words
    wrong = Symbols.from_pairs([("linux_banner", text)], "made")
    assert find_banner(memory, wrong, delta, release, text) == shown
    assert find_banner(memory, bare, delta, "9.9.9", text) is None
    assert find_banner(memory, bare, delta + (1 << 44), release, text) is None
    gone = damaged(memory, zeroed({anchors.image_pa(anchors.symbols["linux_banner"]) // PAGE}))
    found = find_banner(gone, anchors.symbols, delta, release, text)
    assert found is not None
    assert found.startswith(shown)  # printk's own buffer holds it too, with the end of a longer line behind it


def test_memory_without_anything() -> None:
    with case(NAME).open() as memory:
        nothing = ram(bytes(1 << 20))
        assert find_btf(nothing, 0) is None
        assert find_banner(nothing, Symbols.from_pairs([("a", 1)], "made"), 0, "6.1", 0x100000) is None
        assert list(find_init_tasks(nothing, located(NAME)[1].types, 1 << 44)) == []
        assert memory.ranges
