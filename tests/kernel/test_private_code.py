# SPDX-License-Identifier: Apache-2.0
"""Pages of code that a process has as its own copy: none on any image, the one that was written where one was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.private_code import PrivateCode, private_code
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import PAGE
from tests.injected import changed, copied, mm_of, pages_of, place, written
from tests.kernel.hooked import IMAGES

NodeOf = Callable[[str], RamSource]


def found(node: RamSource) -> PrivateCode:
    return private_code(node.kernel, *node.regions)


def gaps(node: RamSource) -> dict[str, int]:
    return {gap.why: gap.count for gap in node.gaps if gap.kind == "code page"}


def shell(node: RamSource) -> int:
    """A process in a container that has pages of its own to spare."""
    return next(
        p.pid for p in node.processes.rows if p.alive and p.pid > 1 and len(pages_of(node, p.pid, code=False)) > 2
    )


def test_none_where_nobody_wrote(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    assert len(found(node)) == 0
    assert gaps(node) == {}


@pytest.mark.parametrize("name", IMAGES)
def test_one_byte(name: str, node_of: NodeOf) -> None:
    """A breakpoint: one byte of one page of one process."""
    clean = node_of(name)
    pid = shell(clean)
    page = pages_of(clean, pid, code=True)[1]
    before = clean.kernel.memory.read(page.pa, PAGE)
    node, code, frame = written(clean, pid, 1, {0x123: bytes([before[0x123] ^ 0xFF])})
    own = found(node)
    assert own.va.tolist() == [code.va] and own.pa.tolist() == [frame] and own.known.tolist() == [code.pa]
    assert own.differing.tolist() == [1] and own.first.tolist() == [0x123]
    assert own.file == [before[0x123 : 0x123 + 16]]
    assert own.changed == [bytes([before[0x123] ^ 0xFF]) + before[0x124 : 0x123 + 16]]
    mm, every = node.regions
    assert mm[every.owner[own.region]].tolist() == [mm_of(node, pid)]
    assert gaps(node) == {}


def test_copy_that_says_the_same(node_of: NodeOf) -> None:
    """A breakpoint that was taken out again leaves the copy: no byte differs."""
    clean = node_of(IMAGES[1])
    node, code, _ = written(clean, shell(clean), 0, {})
    own = found(node)
    assert own.va.tolist() == [code.va] and own.differing.tolist() == [0] and own.first.tolist() == [-1]
    assert own.changed == own.file == [None]


def test_file_that_is_not_cached(node_of: NodeOf) -> None:
    """Nothing to compare with: how much differs is not known; a page of zeros counts as never read."""
    clean = node_of(IMAGES[1])
    node, code, _ = written(clean, shell(clean), 0, {8: b"\xcc"})
    blank = changed(node, {code.pa: bytes(PAGE)})
    assert found(blank).differing.tolist() == [-1]
    _, every = node.regions
    row = int(found(node).region[0])
    torn = changed(node, {int(node.kernel.space.physical(u64(int(every.file[row])))[0][0])
                          + node.kernel.types.offset("file", "f_mapping"): bytes(8)})  # fmt: skip
    mine = found(torn)
    assert code.va in mine.va.tolist() and set(mine.differing.tolist()) == {-1} and set(mine.known.tolist()) == {0}


def test_vdso_that_was_written(node_of: NodeOf) -> None:
    """It has no file: other processes have the page that nobody wrote."""
    clean = node_of(IMAGES[1])
    mm, every = clean.regions
    pid = shell(clean)
    own = every.owner == int(np.searchsorted(mm, np.uint64(mm_of(clean, pid))))
    bare = own & (every.file == 0) & (every.flags & np.uint64(4) != 0)
    (start,) = every.start[bare].tolist()
    vdso, spare = place(clean, mm_of(clean, pid), start), pages_of(clean, pid, code=False)[-1]
    data = bytearray(clean.kernel.memory.read(vdso.pa, PAGE))
    data[0x800:0x804] = b"\xde\xad\xbe\xef"
    node = changed(clean, copied(clean, pid, vdso, spare, bytes(data)))
    code = found(node)
    assert code.va.tolist() == [start] and code.known.tolist() == [vdso.pa]
    assert 0 < code.differing[0] <= 4 and code.first[0] >= 0x800


@pytest.mark.parametrize("name", IMAGES)
def test_frame_that_became_another_processs(name: str, node_of: NodeOf) -> None:
    """The page table was read, the file's page given up, its frame taken by another process, and then read: a gap."""
    clean = node_of(name)
    pid = shell(clean)
    code, copy = pages_of(clean, pid, code=True)[0], pages_of(clean, pid, code=False)[-1]
    entry = (code.entry - code.pa + copy.pa).to_bytes(8, "little")
    node = changed(clean, {code.entry_at: entry})
    assert len(found(node)) == 0
    assert gaps(node) == {"neither the file's page nor a private copy": 1}


def test_frame_that_is_neither(node_of: NodeOf) -> None:
    """A page table that names a frame of something else was read at another moment: a gap, and no row."""
    clean = node_of(IMAGES[1])
    code = pages_of(clean, shell(clean), code=True)
    entry = (code[0].entry - code[0].pa + code[1].pa).to_bytes(8, "little")
    node = changed(clean, {code[0].entry_at: entry})
    assert len(found(node)) == 0
    assert gaps(node) == {"neither the file's page nor a private copy": 1}
