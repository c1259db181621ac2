# SPDX-License-Identifier: Apache-2.0
"""Text and read-only data against another image of the same build: what differs is counted, never a row.

samples/s-6.1-hidden is another boot of s-6.1-small's kernel, elsewhere in memory, with an eighth of its text and a
function that hider.c has overwritten; with MEMIR_IMAGES there are boots with other processors too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memir.errors import SymbolsError
from memir.kernel.reference_image import KIND, ImageReference, moved, not_judged, pages_of, read_image_reference
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from memir.tables.table import tables
from tests.images import cases
from tests.kernel.hooked import changed, code_of
from tests.kernel.test_hidden import node as hidden_node

NodeOf = Callable[[str], RamSource]
DIFFERS = "bytes that differ from the other image's and that no surviving table names: not judged"
SITES = "bytes that the kernel writes itself: not judged"
ELSEWHERE = Path("other.raw")


def of(node: RamSource, other: RamSource) -> ImageReference:
    return read_image_reference(ELSEWHERE, other.kernel, node.kernel)


def told(node: RamSource, reference: ImageReference, bytes_at: dict[int, bytes]) -> dict[str, tuple[int, str]]:
    """Count and place of each gap, by reason, where those bytes are others."""
    there = changed(node, bytes_at)
    not_judged(there.kernel, code_of(there), reference)
    return {gap.why: (gap.count, gap.where) for gap in there.gaps if gap.kind == KIND}


def flipped(node: RamSource, address: int) -> dict[int, bytes]:
    raw, _ = node.kernel.read_bytes(u64(address), 1)
    return {address: bytes([raw[0, 0] ^ 0x40])}


def test_another_boot_of_the_build(node_of: NodeOf) -> None:
    """KASLR has moved 16,792 bytes' words, which are equal; the patched function alone differs, either way."""
    small, hidden = node_of("s-6.1-small"), hidden_node()
    for node, other in ((small, hidden), (hidden, small)):
        reference = of(node, other)
        assert reference.shift and reference.start == node.kernel.symbols["_text"]
        gaps = told(node, reference, {})
        assert gaps[DIFFERS] == (7, "__x64_sys_swapoff+0x5")
        assert gaps[SITES][0] == reference.sites > 20_000
    assert told(small, of(small, hidden), {})["page is not in the other image: not judged"][0] == 3914
    assert told(hidden, of(hidden, small), {})["page is not in the image: not judged"][0] == 3849


def test_the_same_image(node_of: NodeOf) -> None:
    """Nothing differs; nothing of what is not moved is taken for moved."""
    node = node_of("s-6.1-small")
    gaps = told(node, of(node, node), {})
    assert set(gaps) == {SITES, "page is not in the other image: not judged"}
    assert gaps[SITES][0] > 200_000


def test_a_changed_byte_is_counted_and_no_row(node_of: NodeOf) -> None:
    """Where the kernel writes itself it is not even counted: its tables name those bytes."""
    node, other = node_of("s-6.1-small"), hidden_node()
    reference = of(node, other)
    now, there = pages_of(node.kernel, reference.start, len(reference.content))
    whole = reference.judged & np.repeat(there, 4096)[: len(now)] & (now == reference.content)
    places = np.flatnonzero(np.convolve(whole, np.ones(16, int), "same") == 16)
    for place in places[:: len(places) // 3].tolist():
        bytes_at = flipped(node, reference.start + place)
        assert told(node, reference, bytes_at)[DIFFERS][0] == 8
        after = changed(node, bytes_at)
        after.reference = reference
        rows = tables()["hooks"].read(after).rows()
        assert not [row for row in rows if row["kind"] in ("text", "rodata")]
        assert (KIND, DIFFERS, 8) in [(gap.kind, gap.why, gap.count) for gap in after.gaps]
    symbols = node.kernel.symbols
    table = symbols["__start___jump_table"]
    raw, _ = node.kernel.read_bytes(u64(table), 4)
    site = table + int(np.ascontiguousarray(raw).view("<i4")[0, 0])
    assert told(node, reference, flipped(node, site))[DIFFERS] == told(node, reference, {})[DIFFERS]


def test_other_processors(node_of: NodeOf) -> None:
    """A whole Kubernetes node's text is that of the small image's; with 5 levels alternatives differ, and are told."""
    here = set(cases())
    for name, most in (("node-6.1", 0), ("s-6.1-small-la57", 4096)):
        if name in here:
            node, other = node_of(name), node_of("s-6.1-small")
            count = told(node, of(node, other), {}).get(DIFFERS, (0, ""))[0]
            assert (count > 0) == (most > 0) and count <= most, name


def test_moved() -> None:
    """Words of 32 bits at any place, up or down; a byte that differs by itself is not one."""
    before = np.arange(32, dtype=np.uint8)
    now = before.copy()
    for place, shift in ((5, 0x21E00000), (17, -0x21E00000)):
        word = int(before[place : place + 4].copy().view("<u4")[0])
        now[place : place + 4] = np.array([(word + shift) % (1 << 32)], "<u4").view(np.uint8)
    now[30] ^= 1
    equal = moved(now, before, 0x21E00000)
    assert ((now != before) & ~equal).nonzero()[0].tolist() == [30]
    assert not moved(now, before, 0).any()


def test_what_is_refused(node_of: NodeOf) -> None:
    small, older = node_of("s-6.1-small"), node_of("s-5.10-small-v1")
    with pytest.raises(SymbolsError, match="an image of another kernel's build"):
        of(small, older)
    pairs = [(name, small.kernel.symbols[name]) for name in ("_text", "_etext", "vmlinux_build_id", "init_task",
             "__start_notes", "__stop_notes") if name in small.kernel.symbols]  # fmt: skip
    bare = changed(small, {})
    bare.kernel.symbols = Symbols.from_pairs(pairs, "none")
    with pytest.raises(SymbolsError, match="no symbol `__start_rodata`"):
        of(small, bare)


def test_the_reference_keeps_no_image(node_of: NodeOf) -> None:
    """It is bytes alone: the other image is closed when it has been read."""
    reference = of(node_of("s-6.1-small"), node_of("s-6.1-small"))
    assert {field.name for field in dataclasses.fields(reference)} == {
        "start", "content", "shift", "judged", "sites", "absent",
    }  # fmt: skip
