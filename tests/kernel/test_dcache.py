# SPDX-License-Identifier: Apache-2.0
"""Names and paths of dentries: working directories of recorded processes, deleted files, and chains that do not end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memir.kernel import dcache
from memir.kernel.dcache import Dentries, name_member, named, names
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.types import Member, TypeRef
from tests.images import case
from tests.kernel import fake
from tests.kernel.fake import DIRECT, POINTER, fake_kernel

NodeOf = Callable[[str], RamSource]
MADE_UP = {
    "dentry": (
        64,
        {
            "d_parent": Member(0, POINTER),
            "d_name": Member(8, TypeRef("struct", 8, "qstr")),
            "d_hash": Member(16, TypeRef("struct", 8, "hlist_bl_node")),
        },
    ),
    "qstr": (8, {"name": Member(0, POINTER)}),
    "hlist_bl_node": (8, {"pprev": Member(0, POINTER)}),
}


def executables(node: RamSource) -> dict[int, int]:
    """pid: dentry of the file that it runs, by the file that its mm names."""
    kernel = node.kernel
    mm = kernel.pointer(node.processes.task, "task_struct", "mm")
    file = kernel.pointer(mm, "mm_struct", "exe_file")
    dentry = kernel.pointer(file, "file", "f_path.dentry")
    return {row.pid: at for row, at in zip(node.processes.rows, dentry.tolist(), strict=True) if at}


def test_executables_by_name_and_path(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    found = executables(node)
    dentries = Dentries(node.kernel)
    every = np.array(list(found.values()), np.uint64)
    dentries.load(every)
    gone = dict(zip(every.tolist(), dcache.unlinked(node.kernel, every).tolist(), strict=True))
    compared = deleted = 0
    for pid, dentry in found.items():
        truth = case(image).recorded().get(pid)
        if truth is None or not truth.exe or truth.exe.startswith("/memfd:"):
            continue
        path = truth.exe.removesuffix(" (deleted)")
        name = dentries.name(dentry)
        assert name is not None and name.decode() == path.rsplit("/", 1)[1], pid
        own = dentries.path(dentry)
        assert own is not None and path.encode().endswith(own), pid  # within its file system
        assert dentries.below(dentry, dentries.parent(dentry)) == [name]
        assert gone[dentry] == truth.exe.endswith(" (deleted)"), pid
        compared += 1
        deleted += gone[dentry]
    assert compared > 10 and deleted >= 1


def test_children_lead_back_to_their_parents(node_of: NodeOf, image: str) -> None:
    """Every executable that is still there is a child of the directory above it."""
    node = node_of(image)
    kernel = node.kernel
    every = np.unique(np.array(list(executables(node).values()), np.uint64))
    present = every[~dcache.unlinked(kernel, every)]
    parent = kernel.pointer(present, "dentry", "d_parent")
    above = np.unique(parent[parent != present])
    owner, child = dcache.children(kernel, above)
    assert np.array_equal(kernel.pointer(child, "dentry", "d_parent"), above[owner])
    assert np.isin(present[parent != present], child).all()


@pytest.fixture
def dentry(monkeypatch: pytest.MonkeyPatch) -> None:
    for struct, layout in MADE_UP.items():
        monkeypatch.setitem(fake.STRUCTS, struct, layout)


def at(number: int) -> int:
    return DIRECT + 0x1000 + 64 * number


def chain(content: dict[int, tuple[int, bytes]]) -> dict[int, int | bytes]:
    """Dentry number: (parent, name)."""
    words: dict[int, int | bytes] = {}
    for number, (parent, name) in content.items():
        text = 0x4_0000 + 16 * number
        words[0x1000 + 64 * number] = at(parent)
        words[0x1000 + 64 * number + 8] = DIRECT + text
        words[text] = name + b"\0"
    return words


@pytest.mark.usefixtures("dentry")
def test_loops_depth_and_absent_parents() -> None:
    loop = {1: (2, b"a"), 2: (1, b"b")}
    deep = {number: (number - 1, b"d") for number in range(11, 11 + 600)}
    kernel = fake_kernel(
        chain({0: (0, b"/"), 10: (10, b"/"), 5: (0, b"etc"), 6: (5, b""), 7: (5, b"f"), **loop, **deep})
    )
    dentries = Dentries(kernel)
    dentries.load(u64(at(1), at(7), at(6), 0, DIRECT + (1 << 30)))
    assert dentries.path(at(7)) == b"/etc/f"
    assert dentries.below(at(7), at(5)) == [b"f"] and dentries.below(at(7), at(7)) == []
    assert dentries.path(at(6)) is None  # no file has an empty name
    assert dentries.path(at(1)) is None  # parents that go round
    assert dentries.below(at(7), at(1)) is None  # not below it
    assert dentries.path(DIRECT + (1 << 30)) is None and dentries.path(0) is None
    assert (dentries.parent(at(0)), dentries.name(at(5))) == (at(0), b"etc")
    assert [(gap.kind, gap.count) for gap in kernel.gaps] == [("dentry", 1)]
    dentries.load(u64(at(610)))
    assert dentries.path(at(610)) is None
    assert [gap.why for gap in kernel.gaps][-1] == "deeper than a path can be"


@pytest.mark.usefixtures("dentry")
def test_unlinked() -> None:
    """Not hashed and not a root; what cannot be read is not called deleted."""
    kernel = fake_kernel({**chain({0: (0, b"/"), 1: (0, b"a"), 2: (0, b"b")}), 0x1000 + 64 + 16: DIRECT + 0x100})
    assert dcache.unlinked(kernel, u64(at(0), at(1), at(2), 0, DIRECT + (1 << 30))).tolist() == [
        False, False, True, False, False,
    ]  # fmt: skip


def test_named(node_of: NodeOf, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of three and all at once: executables of one name, in their places."""
    node = node_of(image)
    dentry = np.array([*executables(node).values(), 0], np.uint64)
    tree = Dentries(node.kernel)
    tree.load(dentry)
    one = tree.name(int(dentry[-2]))
    wanted = [tree.name(each) == one for each in dentry.tolist()]
    assert any(wanted) and not all(wanted)
    before = node.kernel.gaps.total
    whole = re.compile(rb"(?<=\0)%s(?=\0)" % re.escape(one or b""))
    assert named(node.kernel, dentry[:-1], whole).tolist() == wanted[:-1]
    node.kernel.read_once.pop("names")
    monkeypatch.setattr(dcache, "_AT_ONCE", 3)
    assert named(node.kernel, dentry, whole).tolist() == wanted
    begins = re.compile(rb"(?<=\0)" + re.escape((one or b"")[:1]))
    assert named(node.kernel, dentry, begins).tolist() == [(tree.name(each) or b"")[:1] == (one or b"")[:1]
                                                           for each in dentry.tolist()]  # fmt: skip
    assert named(node.kernel, dentry[:0], whole).tolist() == []
    assert names(node.kernel, dentry) == [tree.name(each) for each in dentry.tolist()]
    assert node.kernel.gaps.total == before


@pytest.mark.usefixtures("dentry")
def test_name_member(node_of: NodeOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is there: /init's dentry bears it. Of types that have it in the union alone, in that."""
    for name in ("s-6.12-intruded", "s-7.2-small-la57"):
        kernel = node_of(name).kernel
        place = kernel.pointer(u64(executables(node_of(name))[1]), "dentry", name_member(kernel))
        assert kernel.strings(place, 256) == [Path(case(name).recorded()[1].exe or "").name.encode()]
    kernel = fake_kernel({})
    assert name_member(kernel) == "d_name.name"
    size, members = MADE_UP["dentry"]
    monkeypatch.setitem(fake.STRUCTS, "dentry", (size, {f"__{name}" if name == "d_name" else name: place
                                                        for name, place in members.items()}))  # fmt: skip
    assert name_member(fake_kernel({})) == "__d_name.name"
