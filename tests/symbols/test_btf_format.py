# SPDX-License-Identifier: Apache-2.0
"""The BTF file format: headers, where types start, names; real kernels, and what is none."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.errors import BtfError
from memir.symbols import btf
from memir.symbols import btf_format as f
from memir.symbols.btf_format import Blob, RawType, find_btf_header_ok
from memir.symbols.types import Member, TypeRef
from tests.fuzz import cases, mutations
from tests.symbols.btf_maker import Maker
from tests.symbols.btf_real import kernel_btf, real

INT32 = TypeRef("int", 4, "int", signed=True)


def two() -> Maker:
    """An int, and a struct of it."""
    make = Maker()
    make.struct("s", 8, ("a", make.int32(), 0), ("b", 1, 4 << 24 | 32), flag=True)
    return make


def test_a_header_says_how_long_the_blob_is() -> None:
    data = two().blob()
    assert find_btf_header_ok(data) == (24, len(data))
    assert find_btf_header_ok(data + bytes(100)) == (24, len(data))
    assert find_btf_header_ok(memoryview(data)[:24]) == (24, len(data))
    for head in (b"", data[:23], b"\0" + data[1:], data[:4] + b"\xff\xff\xff\xff" + data[8:]):
        assert find_btf_header_ok(head) is None
    # odd offsets, sections that overlap, and sections that no kernel has
    for sizes in ((1, 12, 13, 1), (0, 12, 8, 1), (0, 0, 0, 1), (0, 1 << 27, 1 << 27, 1), (0, 12, 12, 0)):
        assert find_btf_header_ok(data[:8] + struct.pack("<4I", *sizes)) is None


def test_types_as_the_format_has_them() -> None:
    blob = Blob(two().blob())
    assert (blob.first, blob.end) == (1, 3)
    assert blob.raw(1) == RawType(1, "int", f.INT, False, 4, [1 << 24 | 32])
    found = blob.raw(2)
    assert (found.name, found.kind, found.kind_flag, found.size_or_type) == ("s", f.STRUCT, True, 8)
    assert [blob.string(at) for at in found.words[::3]] == ["a", "b"]
    assert found.words[1::3] == [1, 1]
    assert found.words[2::3] == [0, 4 << 24 | 32]
    assert blob.kinds().tolist() == [f.INT, 0x80 | f.STRUCT]
    assert blob.names((f.STRUCT,)) == {b"s": 2}
    assert blob.named((f.INT,), "int") == 1
    assert blob.named((f.INT,), "s") is None
    assert str(blob.error(2, "is odd")) == "BTF type 2 at offset 40 is odd"
    assert str(blob.error(0, "is odd")) == "BTF type 0 (void) is odd"
    for number in (0, 3, 1 << 31):
        with pytest.raises(BtfError, match=rf"BTF type number {number} is outside 1\.\.2"):
            blob.raw(number)
    for offset in (99, 1 << 31):
        with pytest.raises(BtfError, match=f"BTF string at offset {offset}"):
            blob.string(offset)


def test_names_of_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of two of one name; a name may be the end of another's text. Too much of it is refused each time."""
    make = two()
    make.struct("other", 4)
    make.struct("s", 4)
    make.types += struct.pack("<3I", make.strings.index(b"her\0"), f.STRUCT << 24, 4)
    assert list(Blob(make.blob()).names((f.STRUCT,)).items()) == [(b"s", 2), (b"other", 3), (b"her", 5)]
    make.struct("x" * 1023, 4)
    assert Blob(make.blob()).named((f.STRUCT,), "x" * 1023) == 6
    monkeypatch.setattr(f, "_MAX_NAMES", 1033)
    within, beyond = Blob(make.blob()), Blob(make.blob())
    assert len(within.names((f.STRUCT,))) == 4
    monkeypatch.setattr(f, "_MAX_NAMES", 1032)
    make.struct("y" * 1024, 4)
    longer = Blob(make.blob())
    for _ in range(2):
        with pytest.raises(BtfError, match="BTF names together are longer than 1032 bytes"):
            beyond.names((f.STRUCT,))
        with pytest.raises(BtfError, match=r"BTF (string at offset \d+ .* too long|names together)"):
            longer.names((f.STRUCT,))


@given(
    st.lists(st.tuples(st.sampled_from((f.STRUCT, f.ENUM)), st.text("ab", max_size=3)), min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from((f.STRUCT, f.ENUM)), st.text("ab", max_size=3)), min_size=1, max_size=6),
    st.text("ab", max_size=3),
)
def test_few_names_are_looked_for_as_the_table_has_them(
    first: list[tuple[int, str]], second: list[tuple[int, str]], sought: str
) -> None:
    """Of the kernel's and of a module's types, whose names may stand in the kernel's strings or end another's."""
    make = Maker()
    for kind, name in first:
        make.add(kind, name)
    base = Blob(make.blob())
    more = Maker(base.end, len(make.strings))
    for kind, name in second:
        place = make.strings.find(name.encode() + b"\0") if name else -1
        if place > 0:
            more.types += struct.pack("<3I", place, kind << 24, 0)
        else:
            more.add(kind, name)
    more.text("c")  # strings are never empty
    table = Blob(more.blob(), Blob(make.blob()))
    for kinds in ((f.ENUM,), (f.STRUCT, f.ENUM)):
        fresh = Blob(more.blob(), base)
        assert fresh.named(kinds, sought, few=True) == table.named(kinds, sought)
        assert base.named(kinds, sought, few=True) == Blob(make.blob()).named(kinds, sought)


def test_a_few_names_cost_no_table() -> None:
    """Names longer and shorter than a word, at the end of the strings; of two the first; none, and too long a one."""
    make = Maker()
    for name in ("xa", "a" * 8, "a" * 9, "b", "a" * 9, "b"):
        make.add(f.ENUM, name)
    make.add(f.TYPEDEF, "c")
    blob = Blob(make.blob())
    sought = {"xa": 1, "a" * 8: 2, "a" * 9: 3, "b": 4, "x": None, "a" * 7: None, "a" * 10: None, "c": None}
    assert {name: blob.named((f.ENUM,), name, few=True) for name in sought} == sought
    assert blob.named((f.TYPEDEF,), "c", few=True) == 7
    assert blob._tables == {}
    assert blob.named((f.ENUM,), "", few=True) is None
    assert blob.named((f.ENUM,), "a" * 1024, few=True) is None


def test_a_modules_blob_goes_on_where_the_kernels_ends() -> None:
    make = two()
    base = Blob(make.blob())
    more = Maker(base.end, len(make.strings))
    more.struct("m", 4, ("x", 1, 0))
    split = Blob(more.blob(), base)
    assert (split.first, split.end) == (3, 4)
    assert split.raw(3).name == "m"
    assert split.raw(2) == base.raw(2)
    assert split.named((f.STRUCT,), "s") == 2
    assert split.names((f.STRUCT,)) == {b"m": 3}
    assert split.tag() != base.tag()
    assert Blob(make.blob()).tag() == base.tag()
    more.types += struct.pack("<3I", make.strings.index(b"\0s\0") + 1, f.STRUCT << 24, 4)
    assert Blob(more.blob(), base).names((f.STRUCT,)) == {b"m": 3, b"s": 4}  # named by the kernel's text


def test_real_kernels() -> None:
    """Every type of a kernel starts where the one before it ends, and task_struct and pid are among the names."""
    case = real()[0]
    data = kernel_btf(case)
    assert find_btf_header_ok(data[:32]) == (24 if data[4] == 24 else 32, len(data))
    blob = Blob(data)
    kinds = blob.kinds()
    assert blob.first == 1
    assert len(kinds) == blob.end - 1 > 50_000
    assert set(np.unique(kinds & 0x7F).tolist()) <= set(range(f.INT, f.ENUM64 + 1))
    structs = blob.names((f.STRUCT,))
    assert {b"task_struct", b"pid", b"cgroup", b"list_head"} <= structs.keys()
    task = blob.raw(structs[b"task_struct"])
    assert task.kind == f.STRUCT
    assert len(task.words) % 3 == 0
    assert "comm" in {blob.string(at) for at in task.words[::3]}


def test_mutated_blobs_give_only_btf_errors() -> None:
    make = two()
    make.add(f.ENUM64, "w", 8, make.text("B"), 1, 2, vlen=1)
    make.add(f.FUNC_PROTO, "", 1, make.text("arg"), 1, vlen=1)
    refused = 0
    for data in mutations([make.blob()], cases(few=600)):
        try:
            blob = Blob(data)
            assert blob.names((f.STRUCT, f.INT)).keys() is not None
            assert len(blob.kinds()) == blob.end - 1
            for number in range(blob.first, blob.end):
                assert blob.raw(number).number == number
        except BtfError:
            refused += 1
    assert refused > 100


def test_a_kind_of_the_future_is_passed_over_with_a_layout_section() -> None:
    make = Maker()
    make.add(25, "new", 0, 1, 2, 3, vlen=1)
    make.struct("after", 4, ("a", make.int32(), 0))
    layout = bytearray(4 * 26)
    layout[100:102] = bytes([4, 8])
    assert btf.find_btf_header_ok(make.blob(bytes(layout))) == (32, len(make.blob(bytes(layout))))
    assert btf.parse(make.blob(bytes(layout))).struct("after") == (4, {"a": Member(0, INT32)})
    with pytest.raises(BtfError, match="offset 24: unknown kind 25"):
        btf.parse(make.blob())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no BTF header at offset 0: no data"),
        (b"\x9f\xeb\x01\0\x18\0\0\0" + bytes(16), "no BTF header"),
        (b"\x9f\xeb\x02\0\x18\0\0\0" + struct.pack("<4I", 0, 12, 12, 1) + bytes(13), "no BTF header"),
        (
            b"\x9f\xeb\x01\0\x18\0\0\0" + struct.pack("<4I", 0, 12, 12, 1) + bytes(12),
            "promises 37 bytes, 36 are",
        ),
        (
            b"\x9f\xeb\x01\0\x18\0\0\0" + struct.pack("<4I", 0, 12, 12, 1) + bytes(13),
            "at offset 24: unknown kind 0",
        ),
        (
            b"\x9f\xeb\x01\0\x18\0\0\0" + struct.pack("<4I", 0, 12, 12, 1) + bytes(12) + b"x",
            "do not end with NUL",
        ),
        (
            b"\x9f\xeb\x01\0\x18\0\0\0" + struct.pack("<7I", 0, 12, 12, 1, 0, 4 << 24 | 1, 0) + b"\0",
            "at offset 24 runs past",
        ),
    ],
)
def test_malformed_blobs(data: bytes, message: str) -> None:
    with pytest.raises(BtfError, match=message):
        btf.parse(data)
