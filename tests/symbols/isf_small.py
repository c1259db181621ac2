# SPDX-License-Identifier: Apache-2.0
"""A kernel of a few types as an ISF."""

from __future__ import annotations

from memir.symbols import btf
from memir.symbols import btf_format as f
from memir.symbols.isf_make import IsfSource
from tests.symbols.btf_maker import Maker

BANNER = b"Linux version 6.1.0 (someone@somewhere) #1 SMP"
TEXT = 0xFFFFFFFF81000000


def small() -> IsfSource:
    """A kernel of a few types."""
    make = Maker()
    number = make.int32()
    make.add(f.INT, "unsigned long", 8, 64)
    make.add(f.INT, "_Bool", 1, 4 << 24 | 8)
    head = make.struct("list_head", 16, ("next", 5, 0), ("prev", 5, 64))
    assert make.add(f.PTR, "", head) == 5
    anonymous = make.struct("", 4, ("counter", number, 0))
    atomic = make.add(f.TYPEDEF, "atomic_t", anonymous)
    inner = make.struct("", 8, ("x", number, 0), ("y", number, 0), kind=f.UNION)
    enum = make.add(f.ENUM, "state", 4, make.text("OFF"), 0, make.text("ON"), 1, vlen=2)
    make.add(f.TYPEDEF, "mode_t", make.add(f.ENUM, "", 4, make.text("A"), (1 << 32) - 1, vlen=1, flag=True))
    array = make.add(f.ARRAY, "", 0, atomic, number, 3)
    later = make.add(f.PTR, "", make.add(f.FWD, "later", 0))
    proto = make.add(f.PTR, "", make.add(f.FUNC_PROTO, "", number))
    double = make.add(f.FLOAT, "double", 8)
    make.struct(
        "thing", 96, ("", inner, 0), ("list", head, 64), ("a", array, 192), ("s", enum, 288),
        ("l", later, 320), ("f", proto, 384), ("d", double, 448), ("b", number, 3 << 24 | 512),
        ("c", number, 5 << 24 | 515), flag=True,
    )  # fmt: skip
    make.struct("thing", 4, ("other", number, 0))
    make.struct("", 16, ("seq", number, 0), ("timekeeper", make.struct("timekeeper", 8, ("t", number, 0)), 64))
    make.struct("taint_flag", 3, ("c", number, 0))
    make.add(f.VAR, "per_cpu_list", head, 1)
    symbols = {
        "_text": TEXT, "modules": TEXT + 0x100, "tk_core": TEXT + 0x200, "taint_flags": TEXT + 0x300,
        "after": TEXT + 0x340, "per_cpu_list": 0x1000, "linux_banner": TEXT + 0x400,
        "idt_table": TEXT + 0x500, "prb": TEXT + 0x600,
    }  # fmt: skip
    return IsfSource(btf.parse(make.blob()), symbols, BANNER)
