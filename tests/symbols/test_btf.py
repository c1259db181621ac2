# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import time

import numpy as np
import pytest

from memir.errors import BtfError
from memir.symbols import btf
from memir.symbols import btf_format as f
from memir.symbols.types import KernelTypes, Member, TypeRef
from tests.fuzz import cases
from tests.images import ImageCase
from tests.symbols.btf_maker import Maker
from tests.symbols.btf_real import arm64, blobs, kernel_btf, real, version

INT32 = TypeRef("int", 4, "int", signed=True)


def test_members_and_anonymous_ones_flat() -> None:
    make = Maker()
    number = make.int32()
    pointer = make.add(f.PTR, "", 5)
    array = make.add(f.ARRAY, "", 0, number, number, 3)
    inner = make.struct("", 12, ("x", number, 0), ("y", array, 0), kind=f.UNION)
    make.struct("list", 32, ("", inner, 64), ("next", pointer, 0), ("named", inner, 160))
    types = btf.parse(make.blob())
    found = types.struct("list")
    assert found is not None
    size, members = found
    assert size == 32
    assert members["x"] == Member(8, INT32)
    assert members["y"] == Member(8, TypeRef("array", 12, "int[3]", count=3, element=INT32))
    assert members["next"].type == TypeRef("pointer", 8, "list *", element=TypeRef("struct", 32, "list"))
    assert members["named"] == Member(20, TypeRef("struct", 12, f"#{inner}"))
    assert types.struct(f"#{inner}") == (12, {"x": Member(0, INT32), "y": Member(0, members["y"].type)})
    assert KernelTypes(types).offset("list", "named.x") == 20
    assert types.struct("absent") is types.struct("#1") is types.struct("#99999999999999") is None


def test_typedefs_lead_to_structs() -> None:
    make = Maker()
    number = make.int32()
    anonymous = make.struct("", 4, ("counter", number, 0))
    atomic = make.add(f.TYPEDEF, "atomic_t", make.add(f.VOLATILE, "", make.add(f.CONST, "", anonymous)))
    make.struct("refs", 4, ("count", make.add(f.TYPE_TAG, "user", atomic), 0))
    make.add(f.TYPEDEF, "number_t", number)
    types = btf.parse(make.blob())
    assert types.struct("atomic_t") == (4, {"counter": Member(0, INT32)})
    assert KernelTypes(types).offset("refs", "count.counter") == 0
    assert types.struct("number_t") is None


def test_bit_fields_new_and_old() -> None:
    make = Maker()
    number = make.int32()
    narrow = make.add(f.INT, "unsigned int", 4, 3)
    shifted = make.add(f.INT, "unsigned int", 4, 2 << 16 | 5)
    make.struct("new", 16, ("a", number, 32 | 7 << 24), ("b", number, 39 | 1 << 24), ("c", number, 64), flag=True)
    make.struct("packed", 9, ("a", number, 30 | 12 << 24), flag=True)
    make.struct("old", 8, ("a", narrow, 32), ("b", narrow, 35), ("c", shifted, 0))
    types = btf.parse(make.blob())
    assert types.struct("new") == (
        16,
        {"a": Member(4, INT32, 0, 7), "b": Member(4, INT32, 7, 1), "c": Member(8, INT32)},
    )
    assert types.struct("packed") == (9, {"a": Member(3, TypeRef("int", 8, "int", signed=True), 6, 12)})
    unsigned = TypeRef("int", 4, "unsigned int")
    old = {"a": Member(4, unsigned, 0, 3), "b": Member(4, unsigned, 3, 3), "c": Member(0, unsigned, 2, 5)}
    assert types.struct("old") == (8, old)


def test_enums_of_all_kinds() -> None:
    make = Maker()
    minus = (1 << 32) - 1
    make.add(f.ENUM, "old", 4, make.text("A"), 1, make.text("B"), minus, vlen=2)
    old = btf.parse(make.blob())
    assert old.enum("old") == {"A": 1, "B": -1}
    make.add(f.ENUM, "signed", 4, make.text("C"), minus, vlen=1, flag=True)
    wide = make.add(f.ENUM64, "wide", 8, make.text("D"), 1, 2, vlen=1)
    make.add(f.ENUM64, "negative", 8, make.text("E"), minus, minus, vlen=1, flag=True)
    make.add(f.TYPEDEF, "wide_t", wide)
    new = btf.parse(make.blob())
    assert new.enum("old") == {"A": 1, "B": minus}  # this pahole sets the flag where a value is signed
    assert new.enum("signed") == {"C": -1}
    assert new.enum("wide") == new.enum("wide_t") == {"D": 1 | 2 << 32}
    assert new.enum("negative") == {"E": -1}
    assert new.enum("none") is None


def test_every_other_kind_is_passed_over_or_named() -> None:
    make = Maker()
    number = make.int32()
    proto = make.add(f.FUNC_PROTO, "", number, make.text("arg"), number, vlen=1)
    make.add(f.FUNC, "call", proto, vlen=1)
    make.add(f.VAR, "jiffies", number, 1)
    make.add(f.DATASEC, ".data..percpu", 4, 4, 0, 4, vlen=1)
    double = make.add(f.FLOAT, "double", 8)
    make.add(f.DECL_TAG, "tag", proto, (1 << 32) - 1)
    forward = make.add(f.FWD, "later", 0)
    pointers = [make.add(f.PTR, "", target) for target in (0, proto, forward)]
    make.struct("all", 32, ("d", double, 0), *((f"p{i}", p, 64 + 64 * i) for i, p in enumerate(pointers)))
    types = btf.parse(make.blob())
    members = KernelTypes(types).members("all")
    assert members["d"].type == TypeRef("float", 8, "double", signed=True)
    targets = [members[name].type.element for name in ("p0", "p1", "p2")]
    assert targets == [
        TypeRef("void", 0, "void"),
        TypeRef("function", 0, "function"),
        TypeRef("struct", 0, "later"),
    ]
    assert types.struct("later") is None


def test_structs_of_one_name_are_told_apart() -> None:
    make = Maker()
    number = make.int32()
    make.struct("config", 4, ("a", number, 0))
    other = make.struct("config", 8, ("b", number, 32))
    make.struct("user", 8, ("mine", other, 0))
    types = KernelTypes(btf.parse(make.blob()))
    assert types.size("config") == 4
    assert types.offset("user", "mine.b") == 4


def test_split_btf_continues_the_base() -> None:
    make = Maker()
    number = make.int32()
    inode = make.struct("inode", 4, ("i_ino", number, 0))
    base = btf.parse(make.blob())
    more = Maker(base.blob.end, len(make.strings))
    again = more.struct("inode", 100, ("junk", number, 0))
    anonymous = more.struct("", 4, ("z", number, 0))
    more.struct("ovl_inode", 16, ("vfs_inode", inode, 64), ("copy", again, 0), ("anon", anonymous, 32))
    split = btf.parse(more.blob(), base)
    members = KernelTypes(base).with_source(split).members("ovl_inode")
    assert members["vfs_inode"] == Member(8, TypeRef("struct", 4, "inode"))
    assert members["copy"].type.name == "inode"
    assert split.struct("inode") == base.struct("inode") == (4, {"i_ino": Member(0, INT32)})
    assert base.struct(members["anon"].type.name) is None
    assert split.struct(members["anon"].type.name) == (4, {"z": Member(0, INT32)})


def test_numpy_memoryview_and_trailing_bytes() -> None:
    make = Maker()
    make.struct("s", 4, ("a", make.int32(), 0))
    blob = make.blob() + b"trailing"
    for data in (blob, memoryview(blob), np.frombuffer(b"x" + blob, np.uint8)[1:]):
        assert btf.parse(data).struct("s") == (4, {"a": Member(0, INT32)})


def hostile() -> dict[str, bytes]:
    out = {}
    make = Maker()
    make.struct("s", 8, ("", 1, 0))
    out["holds itself"] = make.blob()
    make = Maker()
    make.add(f.TYPEDEF, "t", 1)
    make.struct("s", 8, ("a", 1, 0))
    out["typedef of itself"] = make.blob()
    make = Maker()
    make.add(f.PTR, "", 1)
    make.struct("s", 8, ("a", 1, 0))
    out["pointer to itself"] = make.blob()
    make = Maker()
    make.int32()
    for level in range(40):
        make.struct("s" if level == 39 else "", 8, ("", level + 1, 0), ("", level + 1, 0))
    out["anonymous structs that double"] = make.blob()
    make = Maker()
    make.int32()
    for level in range(40):
        make.add(f.ARRAY, "", 0, level + 1, 1, 1 << 31)
    make.struct("s", 8, ("a", 41, 0))
    out["array beyond memory"] = make.blob()
    make = Maker()
    make.struct("s", 8, ("a", 77, 0))
    out["type that is not there"] = make.blob()
    make = Maker()
    make.struct("s", 8, ("a", make.int32(), 3))
    out["inside a byte"] = make.blob()
    make = Maker()
    make.add(f.DATASEC, "d", 0)
    make.struct("s", 8, ("a", 1, 0))
    out["no value"] = make.blob()
    return out


@pytest.mark.parametrize("name", hostile())
def test_hostile_types_are_errors_and_quick(name: str) -> None:
    types = btf.parse(hostile()[name])
    begin = time.process_time()
    with pytest.raises(BtfError, match="BTF type"):
        types.struct("s")
    assert time.process_time() - begin < 20


def ask_everything(blob: bytes, base: btf.BtfTypes | None = None) -> None:
    types = btf.parse(blob, base)
    for name in ("cgroup", "ovl_fs", "#3", "s", "atomic_t"):
        types.struct(name)
        types.enum(name)
    for number in range(types.blob.first, types.blob.end):
        try:
            kind = types.blob.raw(number).kind
            if kind in btf.STRUCTS:
                types.layout(number)
            elif kind in btf.ENUMS:
                types.constants(number)
            else:
                types.resolve(number)
        except BtfError:
            continue


def test_mutated_blobs_give_only_btf_errors() -> None:
    make = Maker()
    number = make.int32()
    narrow = make.add(f.INT, "u8", 1, 3)
    inner = make.struct("", 8, ("x", number, 0), ("y", narrow, 32))
    make.add(f.TYPEDEF, "atomic_t", make.add(f.CONST, "", inner))
    make.add(f.ENUM, "e", 4, make.text("A"), 1, vlen=1)
    make.add(f.ENUM64, "w", 8, make.text("B"), 1, 2, vlen=1)
    pointer = make.add(f.PTR, "", inner)
    array = make.add(f.ARRAY, "", 0, pointer, number, 3)
    make.struct("s", 64, ("", inner, 0), ("a", array, 64), ("b", number, 256 | 3 << 24), flag=True)
    make.add(f.FUNC_PROTO, "", number, make.text("arg"), number, vlen=1)
    sources: list[tuple[bytes, btf.BtfTypes | None]] = [(make.blob(), None)]
    for case in real()[:1]:
        base = btf.parse(kernel_btf(case))
        sources += [(blob, base) for blob in blobs(case) if len(blob) < 20_000][:2]
    rounds = cases(300)
    dice = random.Random(7)
    for turn in range(rounds):
        blob, parent = sources[0 if turn % 20 else turn // 20 % len(sources)]
        data = bytearray(blob)
        for _ in range(dice.choice((1, 2, 8))):
            at = dice.randrange(len(data))
            data[at : at + 4] = dice.choice((dice.randbytes(4), bytes(4), b"\xff" * 4, bytes([dice.randrange(32)])))
        try:
            ask_everything(bytes(data), parent)
        except BtfError:
            continue


# Offsets in bytes on 5.10, 6.1, 6.12 and 7.2, measured on Debian's cloud kernels; those equal on arm64 first.
# mnt_namespace.mounts is the tree of mounts from 6.12 on, a count before.
EQUAL = {
    "cgroup.kn": (248, 248, 256, 296),
    "cgroup.root": (480, 656, 720, 808),
    "cgroup.cset_links": (488, 664, 728, 816),
    "css_set.dfl_cgrp": (120, 128, 128, 128),
    "css_set.cgrp_links": (456, 480, 480, 480),
    "kernfs_node.name": (16, 16, 16, 16),
    "ns_common.inum": (16, 16, 16, 88),
    "nsproxy.uts_ns": (8, 8, 8, 8),
    "nsproxy.cgroup_ns": (64, 64, 64, 64),
    "pid.numbers": (96, 96, 112, 128),
    "mount.mnt_devname": (128, 136, 144, 144),
    "mount.mnt_ns": (224, 232, 240, 232),
    "mount.mnt_id": (284, 292, 300, 308),
    "super_block.s_root": (104, 104, 104, 104),
    "super_block.s_fs_info": (904, 920, 912, 904),
    "file.f_path": (16, 16, 64, 64),
    "file.f_inode": (32, 32, 40, 32),
    "file.private_data": (200, 200, 32, 24),
}
X86 = {
    "kernfs_node.id": (104, 104, 96, 96),
    "kernfs_node.priv": (96, 96, 104, 104),
    "cgroup_root.cgrp": (48, 48, 64, 4224),
    "cgroup_root.hierarchy_id": (12, 12, 12, 12),
    "cgroup_root.name": (6848, 5952, 6480, 4152),
    "pid_namespace.level": (72, 64, 64, 176),
    "pid_namespace.parent": (80, 72, 72, 184),
    "pid_namespace.ns": (120, 112, 112, 256),
    "mnt_namespace.root": (32, 24, 24, 256),
    "mnt_namespace.list": (40, 32, None, None),
    "mnt_namespace.mounts": (120, 112, 32, 264),
    "net.ns": (128, 128, 120, 192),
    "net.list": (32, 32, 24, 24),
    "net.dev_base_head": (152, 152, 144, 448),
    "mm_struct.user_ns": (920, 928, 1160, None),
    "vm_area_struct.vm_file": (160, 112, 128, 88),
    "vm_area_struct.vm_pgoff": (152, 104, 120, 80),
    "vm_area_struct.anon_vma": (136, 88, 104, 64),
    "vm_area_struct.vm_flags": (80, 32, 32, 32),
    "page.index": (32, 32, 32, None),
    "page.__folio_index": (None, None, None, 32),
    "page.compound_head": (8, 8, 8, None),
    "file_system_type.next": (56, 56, 56, None),
    "taint_flag.module": (2, 2, 2, None),
    "task_struct.__state": (None, 24, 24, 24),
}
SIZES = {"ns_common": (24, 24, 24, 256), "inode": (600, 632, 624, 560), "page": (64, 64, 64, 64)}
KERNELS = ("5.10", "6.1", "6.12", "7.2")


@pytest.mark.parametrize("case", [one for one in real() if version(one) in KERNELS], ids=lambda case: case.name)
def test_layouts_of_real_kernels(case: ImageCase) -> None:
    blob = kernel_btf(case)
    column = KERNELS.index(version(case))
    source = btf.parse(blob)
    source.struct("task_struct")
    types = KernelTypes(source)
    for path, values in (EQUAL | ({} if arm64(case) else X86)).items():
        struct_name, _, member = path.partition(".")
        offset = types.offset(struct_name, member) if types.has(struct_name, member) else None
        assert offset == values[column], path
    for name, sizes in ({} if arm64(case) else SIZES).items():
        assert types.size(name) == sizes[column], name
    for name in ("kernel_cap_t", "atomic_t", "refcount_t", "seqcount_spinlock_t", "nodemask_t"):
        assert types.size(name) > 0
    assert types.members("task_struct")["comm"].type.count == 16
    assert types.enum("pid_type") == {
        name: value for value, name in enumerate(("PIDTYPE_PID", "PIDTYPE_TGID", "PIDTYPE_PGID", "PIDTYPE_SID"))
    } | {"PIDTYPE_MAX": 4}


@pytest.mark.parametrize("case", [c for c in real() if version(c) != "5.10"], ids=lambda case: case.name)
def test_overlay_of_real_kernels(case: ImageCase) -> None:
    base = btf.parse(kernel_btf(case))
    for blob in blobs(case):
        if b"\0ovl_fs\0" not in blob[24:] or len(blob) > 100_000:
            continue
        try:
            types = KernelTypes(base, btf.parse(blob, base))
            found = [types.offset("ovl_fs", name) for name in ("numlayer", "layers", "config")]
            upper = types.offset("ovl_inode", "__upperdentry"), types.offset("ovl_inode", "vfs_inode")
        except BtfError:
            continue  # a header without its data: struct btf holds a copy of it
        assert found == ([0, 8, 56] if version(case) == "6.1" else [0, 16, 56])
        assert upper == (upper[1] + types.size("inode"), 32)
        if not arm64(case):
            assert upper[0] == {"6.1": 664, "6.12": 656, "7.2": 592}.get(version(case), upper[0])
        return
    pytest.fail("no BTF of overlay in the image")
