# SPDX-License-Identifier: Apache-2.0
"""The kernel's own symbol table: every layout, with and without being told where it lies, and damaged."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.errors import KallsymsError
from memir.symbols import kallsyms
from memir.symbols.search import image_span
from tests.fuzz import cases, mutations
from tests.images import cases as every_image
from tests.symbols.located import located


def test_tables_found_by_search_alone(image: str) -> None:
    """Before 6.4, 6.4 to 6.19, from 7.0; x86-64 and arm64: the shape of the tables is enough to find them."""
    memory, anchors = located(image)
    low, span = image_span(memory, anchors.image_pa(anchors.symbols["_stext"]))
    found = kallsyms.find_layouts(span)
    names = {kallsyms.expand_names(span, layout) for layout in found}
    assert names == {anchors.symbols.names}
    every = [kallsyms.addresses(span, one, (low + one.offsets + anchors.image_delta) & (2**64 - 1)) for one in found]
    fitting = [addresses for addresses in every if (addresses == np.uint64(anchors.symbols["_stext"])).any()]
    assert any(np.array_equal(addresses, anchors.symbols.addresses) for addresses in fitting)


def test_whole_table_of_the_nodes() -> None:
    """Every name and address of the core kernel that /proc/kallsyms of the node showed, in its order."""
    nodes = {name: one for name, one in every_image().items() if not one.small}
    for name, one in nodes.items():
        shown = one.truth.with_name(f"{name}.kallsyms.gz")
        lines = [
            line.split(" ") for line in gzip.decompress(shown.read_bytes()).decode().splitlines() if "\t" not in line
        ]
        _, anchors = located(name)
        assert anchors.symbols.names.decode().split("\0")[:-1] == [line[2] for line in lines]
        assert anchors.symbols.addresses.tolist() == [int(line[0], 16) for line in lines]


def small_table(names: list[str]) -> tuple[bytes, kallsyms.Layout]:
    """Tables as from 7.0 on, with one token for each byte and "ab" as token 200; offsets are 16, 32, ... from 0."""
    tokens = [bytes([code]) if 32 < code < 127 else b"\1" for code in range(256)]
    tokens[200] = b"ab"
    texts = [f"T{name}".encode().replace(b"ab", bytes([200])) for name in names]
    coded = [
        bytes([len(text) & 0x7F | 0x80, len(text) >> 7]) + text if len(text) > 127 else bytes([len(text)]) + text
        for text in texts
    ]
    starts = [sum(map(len, coded[:at])) for at in range(0, len(coded), 256)]
    parts = {"names": b"".join(coded), "markers": np.array(starts, "<u4").tobytes()}
    parts["token_table"] = b"".join(token + b"\0" for token in tokens)
    parts["token_index"] = np.cumsum([0, *(len(token) + 1 for token in tokens[:-1])]).astype("<u2").tobytes()
    parts["offsets"] = (16 * np.arange(1, len(names) + 1) - 4 * np.arange(len(names))).astype("<i4").tobytes()
    data, places = bytes(8), {}
    for part, content in parts.items():
        data += bytes(-len(data) % 4)
        places[part] = len(data)
        data += content
    return data + bytes(64), kallsyms.Layout(len(names), relative_base=None, **places)


@given(st.lists(st.text("abcdefgXYZ_.0123456789", min_size=1, max_size=300), min_size=1, max_size=600))
def test_names_that_were_packed(names: list[str]) -> None:
    data, layout = small_table(names)
    span = np.frombuffer(data, np.uint8)
    assert kallsyms.expand_names(span, layout) == b"".join(name.encode() + b"\0" for name in names)
    assert kallsyms.addresses(span, layout, 0x1000).tolist() == [0x1000 + 16 * at for at in range(1, len(names) + 1)]


def test_names_are_walked_to_their_end() -> None:
    names = ["a", "b" * 200, *(f"name_{number}" for number in range(254)), "last"]
    data, layout = small_table(names)
    span = np.frombuffer(data, np.uint8)
    starts, lengths, end = kallsyms.walk_names(span, layout)
    assert lengths.tolist() == [1 + len(name) for name in names]  # the type's character comes first
    assert bytes(data[starts[-1] : starts[-1] + lengths[-1]]) == b"Tlast"
    assert starts[0] == layout.names + 1
    assert starts[1] == starts[0] + 2 + 2  # a length of two bytes: 201 has its high bit set
    assert end == starts[-1] + lengths[-1]
    moved = bytearray(data)
    moved[layout.markers + 4] ^= 1
    with pytest.raises(KallsymsError, match="names and markers do not fit"):
        kallsyms.walk_names(np.frombuffer(bytes(moved), np.uint8), layout)


def test_markers_that_vmcoreinfo_leaves_out() -> None:
    """On a real kernel: told all but the markers, they are where the search of everything finds them."""
    memory, anchors = located("s-6.1-small")
    _, span = image_span(memory, anchors.image_pa(anchors.symbols["_stext"]))
    whole = kallsyms.find_layouts(span)[0]
    known = (whole.count, whole.names, whole.token_table, whole.token_index, whole.offsets, whole.relative_base)
    assert kallsyms.layouts_with_markers(span, *known) == [whole]
    with pytest.raises(KallsymsError, match="do not fit any markers"):
        kallsyms.layouts_with_markers(span, whole.count, whole.names + 1, *known[2:])


@pytest.mark.parametrize("part", ["names", "markers", "token_table", "token_index", "offsets"])
def test_tables_that_leave_the_image(part: str) -> None:
    data, layout = small_table([f"name_{number}" for number in range(300)])
    for offset in (-4, len(data) - 2, len(data), 1 << 40):
        moved = replace(layout, **{part: offset})
        with pytest.raises(KallsymsError):
            read(np.frombuffer(data, np.uint8), moved)
    with pytest.raises(KallsymsError):
        read(np.frombuffer(data, np.uint8), replace(layout, relative_base=len(data) - 4))


def read(span: kallsyms.Bytes, layout: kallsyms.Layout) -> None:
    kallsyms.expand_names(span, layout)
    kallsyms.addresses(span, layout, 0)


def test_mutated_tables() -> None:
    """Whatever the tables hold, they decode or are refused."""
    names = [f"some_function_{number:x}" for number in range(600)]
    data, layout = small_table(names)
    refused = 0
    for damaged in mutations([data], cases(few=500)):
        span = np.frombuffer(damaged, np.uint8)
        for one in (layout, *kallsyms.find_layouts(span)):
            try:
                read(span, one)
            except KallsymsError:
                refused += 1
    assert refused > 0


def test_mutated_tables_of_a_kernel() -> None:
    """The tables of a real kernel, with bytes changed anywhere in them: found and decoded, or refused."""
    memory, anchors = located("s-7.2-small-la57")
    _, whole = image_span(memory, anchors.image_pa(anchors.symbols["_stext"]))
    layout = kallsyms.find_layouts(whole)[0]
    begin, end = (layout.names - 4096) & ~7, layout.token_index + 8 * layout.count
    rng = np.random.default_rng(7)
    outcomes = set()
    for _ in range(cases(few=4, many=40)):
        span = whole[begin:end].copy()
        at = rng.integers(0, len(span), rng.integers(1, 8))
        span[at] = rng.integers(0, 256, len(at))
        for one in kallsyms.find_layouts(span):
            try:
                read(span, one)
                outcomes.add("decoded")
            except KallsymsError:
                outcomes.add("refused")
    assert outcomes
