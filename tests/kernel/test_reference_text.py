# SPDX-License-Identifier: Apache-2.0
"""Text and read-only data against the kernel's build: clean boots have no row, one changed byte gives one.

samples/s-6.1-small.vmlinuz is a part of Debian's real kernel (tests/lab/thin_kernel.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memir.errors import SymbolsError
from memir.kernel.buildid import build_id
from memir.kernel.code_address import Hook
from memir.kernel.reference_text import KIND, Reference, changed_text, read_reference, strike
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from tests.images import ROOT, cases
from tests.kernel.hooked import changed, code_of
from tests.kernel.made_kernel import bzimage, elf, notes

NodeOf = Callable[[str], RamSource]
VMLINUZ = ROOT / "samples" / "s-6.1-small.vmlinuz"
RELEASE = "6.1.0-50-cloud-amd64"


@functools.lru_cache(maxsize=2)
def reference_of(node: RamSource) -> Reference:
    return read_reference(VMLINUZ, node.kernel)


def changes(node: RamSource, bytes_at: dict[int, bytes]) -> tuple[list[Hook], dict[str, int]]:
    """(rows, gaps by reason) where those bytes are others."""
    other = changed(node, bytes_at)
    hooks = changed_text(other.kernel, code_of(other), reference_of(node))
    return hooks, {gap.why: gap.count for gap in other.gaps if gap.kind == KIND}


def flipped(node: RamSource, address: int) -> dict[int, bytes]:
    raw, _ = node.kernel.read_bytes(u64(address), 1)
    return {address: bytes([raw[0, 0] ^ 0x40])}


def places(reference: Reference, judged: bool, text: bool) -> list[int]:
    """Addresses of some bytes of one sort; those not judged are sites, between bytes that are."""
    index = np.flatnonzero(reference.judged == judged)
    low, high = (0, reference.text) if text else (0x1000000, 0x1000000 + (64 << 10))
    index = index[(index >= low) & (index < high)]
    return [reference.start + int(each) for each in index[:: max(1, len(index) // 4)]]


def test_clean_boots_of_this_build(node_of: NodeOf) -> None:
    """Each boot was moved elsewhere (KASLR); with MEMIR_IMAGES also one of another processor, with 5 levels."""
    names = [name for name in cases() if name in ("s-6.1-small", "s-6.1-small-la57", "node-6.1")]
    assert "s-6.1-small" in names
    for name in names:
        node = node_of(name)
        rows, gaps = changes(node, {})
        assert (rows, gaps) == ([], {"bytes that the kernel writes itself: not judged": 22599}), name
        whole = reference_of(node)
        raw, _ = node.kernel.read_bytes(u64(whole.start), 256 << 10)
        assert (raw[0] != whole.content[: 256 << 10]).sum() > 5000, "the kernel wrote to its text"


def test_what_is_compared(node_of: NodeOf) -> None:
    reference = reference_of(node_of("s-6.1-small"))
    assert reference.start == node_of("s-6.1-small").kernel.symbols["_text"]
    assert (reference.text, int(reference.judged.sum()), reference.sites) == (256 << 10, 305593, 22599)


@pytest.mark.parametrize("text", [True, False])
def test_one_changed_byte_is_one_row(text: bool, node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    chosen = places(reference_of(node), True, text)
    assert len(chosen) > 3
    for place in chosen:
        ((hook,), gaps) = changes(node, flipped(node, place))
        assert (hook.kind, hook.address) == ("text" if text else "rodata", place)
        assert hook.name == code_of(node).symbol_at(place)
        before, after = bytes.fromhex((hook.value or "")[:2]), bytes.fromhex((hook.value or "")[-2:])
        assert before[0] ^ after[0] == 0x40
        assert set(gaps) == {"bytes that the kernel writes itself: not judged"}


def test_where_the_kernel_writes_nothing_is_told(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    sites = places(reference_of(node), False, True)
    assert len(sites) > 3
    for place in sites:
        assert changes(node, flipped(node, place))[0] == []


def test_a_jump_names_where_it_leads(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    symbols = node.kernel.symbols
    index = np.flatnonzero(np.convolve(reference_of(node).judged[: 256 << 10], np.ones(24, int), "valid") == 24)
    place = reference_of(node).start + int(index[len(index) // 2])
    distance = (symbols["do_exit"] - place - 5) & 0xFFFFFFFF
    ((hook,), _) = changes(node, {place: b"\xe9" + distance.to_bytes(4, "little")})
    assert (hook.address, hook.target) == (place, symbols["do_exit"])


def test_pages_that_are_not_there(node_of: NodeOf) -> None:
    """A page of zeros was not captured; one of noise is none of the text's: both are counted, no row."""
    node = node_of("s-6.1-small")
    page = node.kernel.symbols["_text"] + 0x20000
    for content, why in ((bytes(4096), "page is not in the image: not judged"),
                         (np.random.default_rng(1).bytes(4096), "page that holds something else")):  # fmt: skip
        rows, gaps = changes(node, {page: content})
        assert rows == [] and gaps[why] == 1


def made(tmp_path: Path, build: str | None, moved: bool = True, names: tuple[str, ...] = (".rodata", ".data")) -> Path:
    base = -0x7F000000
    parts = {".text": (base, b"\xcc" * 4096), ".notes": (base + 0x20000, notes(build or "00"))}
    parts |= {name: (base + 0x10000 * row + 0x10000, bytes(4096)) for row, name in enumerate(names)}
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(elf(parts, ([base + 8], [base + 16]) if moved else None), "zstd"))
    return path


def test_what_is_refused(tmp_path: Path, node_of: NodeOf) -> None:
    kernel = node_of("s-6.1-small").kernel
    own = build_id(kernel)
    assert own == "bb603a9147d3efe4744bf83c83eee397c591cc20"
    for path, words in (
        (made(tmp_path, "12" * 20), f"another kernel's build .build id {'12' * 20}, the image's is {own}.: give "
                                    f"/boot/vmlinuz-{RELEASE} of the node"),
    ):  # fmt: skip
        with pytest.raises(SymbolsError, match=words):
            read_reference(path, kernel)
    with pytest.raises(SymbolsError, match="has no relocations, and the image's kernel was moved"):
        read_reference(made(tmp_path, own, moved=False), kernel)
    with pytest.raises(SymbolsError, match="without text and read-only data"):
        read_reference(made(tmp_path, own, names=(".rodata",)), kernel)
    with pytest.raises(SymbolsError, match="the image's kernel is arm64: only the text of x86-64"):
        read_reference(VMLINUZ, node_of("arm64-6.12-small-lpa2").kernel)


def test_relocated_words(tmp_path: Path, node_of: NodeOf) -> None:
    """Words of 32 bits and of 64 that hold addresses have the shift added; the kernel's are where the table says."""
    kernel = node_of("s-6.1-small").kernel
    own = build_id(kernel)
    reference = read_reference(made(tmp_path, own), kernel)
    shift = kernel.symbols["_text"] - 0xFFFFFFFF81000000
    assert int(reference.content[8:12].view("<u4")[0]) == (0xCCCCCCCC + shift) % (1 << 32)
    assert int(reference.content[16:24].view("<u8")[0]) == (0xCCCCCCCCCCCCCCCC + shift) % (1 << 64)
    assert reference.content[:8].tobytes() == b"\xcc" * 8


def test_strike() -> None:
    """Overlapping places, one that runs over the end, some before the start and behind it."""
    judged = np.ones(10, np.bool_)
    strike(judged, [(np.array([1, 2, 8]), np.array([2, 2, 9])), (np.array([-1, 10, 5]), np.array([5, 1, 0]))])
    assert np.flatnonzero(judged).tolist() == [0, 4, 5, 6, 7]


def test_symbols_that_are_missing(node_of: NodeOf) -> None:
    """Without `_text` nothing is compared; without the bounds of what is written at the start, no read-only data."""
    node = node_of("s-6.1-small")
    pairs = [(name, node.kernel.symbols[name]) for name in ("_text", "_stext", "_etext", "init_task",
             "vmlinux_build_id")]  # fmt: skip
    other = changed(node, {})
    other.kernel.symbols = Symbols.from_pairs(pairs, "none")
    reference = read_reference(VMLINUZ, other.kernel)
    assert not reference.judged[reference.text :].any() and reference.judged[: reference.text].any()
    assert [gap.why for gap in other.gaps if gap.kind == KIND] == ["no such symbol: read-only data is not judged"]
    other.kernel.symbols = Symbols.from_pairs(pairs[3:], "none")
    with pytest.raises(SymbolsError, match=r"no symbol `_text`.; give its addresses with --kallsyms"):
        read_reference(VMLINUZ, other.kernel)
