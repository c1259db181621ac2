# SPDX-License-Identifier: Apache-2.0
"""Places that the kernel writes itself, by each of its tables."""

from __future__ import annotations

import copy
import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memir.errors import SymbolsError
from memir.kernel.bzimage import KernelFile, open_kernel
from memir.kernel.patch_sites import patch_sites
from memir.kernel.vmlinux import Vmlinux
from memir.kube.ram import RamSource
from memir.symbols.types import KernelTypes
from tests.images import ROOT
from tests.kernel.made_kernel import elf

NodeOf = Callable[[str], RamSource]
BASE, TABLE = -0x7F000000, -0x7D000000


def sites(node: RamSource, sections: dict[str, tuple[int, bytes]], shift: int = 0) -> set[tuple[int, int]]:
    data = elf(sections)
    vmlinux = Vmlinux(KernelFile(Path("vmlinux"), io.BytesIO(data), len(data)))
    every = patch_sites(vmlinux, node.kernel, shift)
    pairs = {pair for places, sizes in every for pair in zip(places.tolist(), sizes.tolist(), strict=True) if pair[1]}
    return pairs - {(place, 5) for place in ftrace_calls(node, shift)}


def ftrace_calls(node: RamSource, shift: int) -> set[int]:
    """Where ftrace's trampolines call who traces: on every kernel, whatever the tables say."""
    symbols = node.kernel.symbols
    names = [name for name in ("ftrace_call", "ftrace_regs_call", "ftrace_graph_call") if name in symbols]
    assert len(names) >= 2
    return {symbols[name] - (1 << 64) - shift for name in names}


def pointed(place: int, *targets: int, more: bytes = b"") -> bytes:
    """A table at `place` of distances from each entry to its target."""
    entry = 4 + len(more)
    return b"".join(struct.pack("<i", target - place - entry * row) + more for row, target in enumerate(targets))


@pytest.mark.parametrize(
    ("name", "size"),
    [(".retpoline_sites", 6), (".return_sites", 5), (".call_sites", 5), (".ibt_endbr_seal", 4), (".smp_locks", 1),
     ("runtime_ptr_dentry_hashtable", 8), ("runtime_shift_d_hash_shift", 1)],
)  # fmt: skip
def test_tables_of_distances(name: str, size: int, node_of: NodeOf) -> None:
    content = pointed(TABLE, BASE + 5, BASE + 77)
    assert sites(node_of("s-6.1-small"), {name: (TABLE, content)}) == {(BASE + 5, size), (BASE + 77, size)}


@pytest.mark.parametrize("name", ["s-5.10-small-v1", "s-6.1-small", "s-6.12-intruded"])
def test_alternatives_and_paravirt(name: str, node_of: NodeOf) -> None:
    """struct alt_instr has another length on each of these kernels."""
    node = node_of(name)
    size, at = node.kernel.types.size("alt_instr"), node.kernel.types.offset("alt_instr", "instrlen")
    entry = bytearray(size)
    entry[:4], entry[at] = struct.pack("<i", BASE + 9 - TABLE), 7
    # the last one has no padding behind it
    paravirt = struct.pack("<qBB6x", BASE + 100, 3, 6) + struct.pack("<qBB2x", BASE + 130, 3, 7)
    tables = {".altinstructions": (TABLE, bytes(entry)), ".parainstructions": (TABLE + 4096, paravirt)}
    assert sites(node, tables) == {(BASE + 9, 7), (BASE + 100, 6), (BASE + 130, 7)}


def test_tables_that_symbols_name(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    symbols, shift = node.kernel.symbols, node.kernel.symbols["_text"] - (BASE + (1 << 64))
    tables = {}
    for name, first, last in (("jump", "__start___jump_table", "__stop___jump_table"),
                              ("calls", "__start_static_call_sites", "__stop_static_call_sites"),
                              ("mcount", "__start_mcount_loc", "__stop_mcount_loc")):  # fmt: skip
        start, size = symbols[first] - (1 << 64) - shift, symbols[last] - symbols[first]
        filled = struct.pack("<q", BASE + 300) if name == "mcount" else pointed(start, BASE + 200)
        tables[name] = start, filled.ljust(size, b"\0")
    found = sites(node, tables, shift)
    assert {(BASE + 300, 5), (BASE + 200, 5)} <= found
    assert {place for place, _ in found if BASE <= place < BASE + 0x100000} == {BASE + 200, BASE + 300}


def test_a_real_kernel(node_of: NodeOf) -> None:
    """Every table of the part of Debian's 6.1 names places in the part of the text that it has."""
    node = node_of("s-6.1-small")
    vmlinux = Vmlinux(open_kernel(ROOT / "samples" / "s-6.1-small.vmlinuz"))
    text = vmlinux.sections[".text"]
    shift = node.kernel.symbols["_text"] - (text.address + (1 << 64))
    counts = [int(((places >= text.address) & (places < text.address + text.size) & (sizes > 0)).sum())
              for places, sizes in patch_sites(vmlinux, node.kernel, shift)]  # fmt: skip
    alternatives, retpolines, returns, calls, seals, locks, paravirt, jumps, static, entries = counts[:10]
    ftrace, trampolines = counts[10:]
    assert min(alternatives, retpolines, returns, locks, paravirt, jumps, static, entries) > 0
    every = {place for places, _ in patch_sites(vmlinux, node.kernel, shift) for place in places.tolist()}
    assert ftrace == 0 and ftrace_calls(node, shift) <= every  # they lie in a part that this copy lacks
    assert (calls, seals, trampolines) == (0, 0, 0)  # 6.1 has none, and no trampolines so early in its text
    assert returns == int(np.sum(vmlinux.content(".return_sites").view("<i4") != 0))


def test_types_without_alternatives(node_of: NodeOf) -> None:
    kernel = node_of("s-6.1-small").kernel
    bare = copy.copy(kernel)
    bare.types = KernelTypes()
    data = elf({".text": (BASE, b"code")})
    vmlinux = Vmlinux(KernelFile(Path("vmlinux"), io.BytesIO(data), len(data)))
    with pytest.raises(SymbolsError, match=r"the image's types lack `alt_instr`.*--btf"):
        list(patch_sites(vmlinux, bare, 0))
