# SPDX-License-Identifier: Apache-2.0
"""BTF types in volatility3's words: every kind, names that are taken, old names, hostile types, a real kernel."""

from __future__ import annotations

import time

import pytest

from memir.errors import BtfError
from memir.symbols import btf
from memir.symbols import btf_format as f
from memir.symbols.isf_describe import VOID, Describer
from tests.symbols.btf_maker import Maker
from tests.symbols.btf_real import kernel_btf, real

INT = {"kind": "base", "name": "int"}


def described(make: Maker) -> Describer:
    return Describer(btf.parse(make.blob()))


def test_every_kind() -> None:
    make = Maker()
    number = make.int32()
    struct = make.struct("s", 4, ("a", number, 0))
    union = make.struct("u", 4, ("a", number, 0), kind=f.UNION)
    enum = make.add(f.ENUM, "e", 4, make.text("A"), 7, vlen=1)
    proto = make.add(f.FUNC_PROTO, "", number)
    wanted = {
        0: VOID,
        number: INT,
        struct: {"kind": "struct", "name": "s"},
        union: {"kind": "union", "name": "u"},
        enum: {"kind": "enum", "name": "e"},
        proto: {"kind": "function"},
        make.add(f.FUNC, "call", proto): {"kind": "function"},
        make.add(f.PTR, "", struct): {"kind": "pointer", "subtype": {"kind": "struct", "name": "s"}},
        make.add(f.ARRAY, "", 0, number, number, 3): {"kind": "array", "count": 3, "subtype": INT},
        make.add(f.CONST, "", make.add(f.TYPEDEF, "s_t", struct)): {"kind": "struct", "name": "s"},
        make.add(f.FLOAT, "double", 8): {"kind": "base", "name": "double"},
        make.add(f.FWD, "s", 0): {"kind": "struct", "name": "s"},
        make.add(f.FWD, "nowhere", 0): VOID,
    }
    describer = described(make)
    assert {number: describer.descriptor(number) for number in wanted} == wanted
    assert describer.base("int") == INT
    assert describer.base("no such") == VOID
    assert describer.base_types["double"] == {"size": 8, "signed": True, "kind": "float", "endian": "little"}
    assert describer.base_types["pointer"]["size"] == 8


def test_structs_and_their_fields() -> None:
    make = Maker()
    number = make.int32()
    inner = make.struct("", 8, ("x", number, 0), ("y", number, 32))
    make.struct("s", 16, ("", inner, 0), ("b", number, 3 << 24 | 69), ("c", number, 96), flag=True)
    describer = described(make)
    bits = {"kind": "bitfield", "bit_position": 5, "bit_length": 3, "type": INT}
    anonymous = {"type": {"kind": "struct", "name": f"unnamed_{inner}"}, "offset": 0, "anonymous": True}
    assert describer.user_type("s") == {
        "kind": "struct",
        "size": 16,
        "fields": {
            "unnamed_field_0": anonymous,
            "b": {"type": bits, "offset": 8},
            "c": {"type": INT, "offset": 12},
        },
    }
    fields = {"x": {"type": INT, "offset": 0}, "y": {"type": INT, "offset": 4}}
    assert describer.user_type(f"unnamed_{inner}") == {"kind": "struct", "size": 8, "fields": fields}
    assert describer.user_type("none") is None
    assert describer.enum("s") is None


def test_names_of_what_has_none() -> None:
    """By a typedef that leads straight to it; a name that is taken gets the BTF id behind it."""
    make = Maker()
    number = make.int32()
    plain = make.struct("", 4, ("a", number, 0))
    make.add(f.TYPEDEF, "plain_t", plain)
    lost = make.struct("", 4, ("b", number, 0))
    first = make.struct("config", 4, ("c", number, 0))
    second = make.struct("config", 8, ("d", number, 0))
    enum = make.add(f.ENUM, "", 4, make.text("A"), (1 << 32) - 1, vlen=1, flag=True)
    make.add(f.TYPEDEF, "mode_t", enum)
    describer = described(make)
    names = {"plain_t": plain, f"unnamed_{lost}": lost, "config": first, f"config_{second}": second}
    assert describer.structs == names
    assert describer.enums == {"mode_t": enum}
    assert describer.enum("mode_t") == {"size": 4, "base": "int", "constants": {"A": -1}}


def test_old_names_for_volatility3() -> None:
    """page.index went to __folio_index, page.flags into a struct of its own (6.18), taint_flag.module away."""
    make = Maker()
    make.int32()
    word = make.add(f.INT, "long unsigned int", 8, 64)
    flags = make.struct("", 8, ("f", word, 0))
    memdesc = make.add(f.TYPEDEF, "memdesc_flags_t", flags)
    make.struct("page", 16, ("flags", memdesc, 0), ("__folio_index", word, 64))
    make.struct("taint_flag", 2, ("c_true", make.add(f.INT, "char", 1, 8), 0))
    describer = described(make)
    page = describer.user_type("page")
    assert page is not None
    unsigned = {"kind": "base", "name": "long unsigned int"}
    assert page["fields"]["index"] == {"type": unsigned, "offset": 8}
    assert page["fields"]["flags"] == {"type": unsigned, "offset": 0}
    taint = describer.user_type("taint_flag")
    assert taint is not None
    assert taint["fields"]["module"] == taint["fields"]["c_true"]


def test_hostile_types_are_errors_and_quick() -> None:
    make = Maker()
    number = make.int32()
    loop = make.add(f.TYPEDEF, "t", 2)
    for level in range(100):
        make.add(f.PTR, "", loop + level + 1 if level < 99 else number)
    section = make.add(f.DATASEC, "d", 0)
    make.add(f.ENUM, "wide", 3, make.text("A"), 1, vlen=1)
    describer = described(make)
    begin = time.process_time()
    for target, words in ((loop, "refers to itself"), (loop + 1, "nested too deep"), (section, "not the type of")):
        with pytest.raises(BtfError, match=words):
            describer.descriptor(target)
    with pytest.raises(BtfError, match="is an enum of 3 bytes"):
        describer.enum("wide")
    assert time.process_time() - begin < 20


def test_a_real_kernel() -> None:
    """Offsets as btf.py, which the truth of every image holds against the node, reads them."""
    types = btf.parse(kernel_btf(real()[0]))
    describer = Describer(types)
    task = describer.user_type("task_struct")
    mine = types.struct("task_struct")
    assert task is not None
    assert mine is not None
    assert task["size"] == mine[0]
    for name in ("comm", "pid", "tgid", "mm", "files", "nsproxy", "cgroups"):
        assert task["fields"][name]["offset"] == mine[1][name].offset
    char = {"kind": "base", "name": "char"}
    assert task["fields"]["comm"]["type"] == {"kind": "array", "count": 16, "subtype": char}
    enum = describer.enum("pid_type")
    assert enum is not None
    assert enum["constants"]["PIDTYPE_MAX"] == 4
