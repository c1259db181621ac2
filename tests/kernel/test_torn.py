# SPDX-License-Identifier: Apache-2.0
"""Real images that lack exactly one thing the analysis starts from: it finds another way, or says what to supply."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memir.errors import BtfError
from memir.gaps import Gap, Gaps
from memir.kernel.engine import Kernel
from memir.kernel.pagetable import translate
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols import vmcoreinfo
from memir.symbols.anchors import Anchors
from memir.symbols.locate import Given, locate
from memir.tables.hooks import CHECKS
from tests.damage import PAGE, Damaged, damaged, patched, zeroed
from tests.images import case
from tests.rows import rows_of

IMAGES = ("s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")
KEPT = ("s-7.2-small-la57",)
EACH = [
    pytest.param(name, marks=() if name in KEPT else pytest.mark.long("the same damage on another image"))
    for name in IMAGES
]
Tables = dict[str, list[dict[str, Any]]]


@functools.cache
def clean(name: str) -> tuple[Damaged, Anchors, Kernel, Tables]:
    memory = damaged(case(name).open(), {})
    anchors = locate(memory)
    kernel = Kernel(memory, anchors)
    tables = rows_of(RamSource(kernel))
    memory.limit = memory.work * 50
    return memory, anchors, kernel, tables


def frames(anchors: Anchors, first: str, last: str | None = None, size: int = 1) -> range:
    low = anchors.image_pa(anchors.symbols[first])
    high = anchors.image_pa(anchors.symbols[last]) if last else low + size
    return range(low // PAGE, -(-high // PAGE))


def analyse(memory: Damaged, given: Given | None = None) -> tuple[Anchors, Tables, list[Gap]]:
    gaps = Gaps()
    anchors = locate(memory, given, None, gaps)
    return anchors, rows_of(RamSource(Kernel(memory, anchors, gaps))), list(gaps)


def whole(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the witnesses of the tasks themselves, and without what their own links say."""
    return [{column: value for column, value in row.items() if column not in ("seen_by", "unlinked")} for row in rows]


def by_kind(pages: list[dict[str, Any]]) -> dict[str, int]:
    """Frames of each kind."""
    found: dict[str, int] = {}
    for row in pages:
        found[row["kind"]] = found.get(row["kind"], 0) + row["frames"]
    return found


def seen_by(tables: Tables) -> dict[int, list[str]]:
    return {row["pid"]: row["seen_by"] for row in tables["processes"]}


def tasks_in_order(kernel: Kernel) -> tuple[list[int], int]:
    """Tasks as the list has them, and the offset of its links."""
    offset = kernel.types.offset("task_struct", "tasks")
    at = kernel.anchors.init_task
    order: list[int] = []
    while True:
        at = int(kernel.pointers(np.array([at + offset], np.uint64))[0]) - offset
        if at == kernel.anchors.init_task:
            return order, offset
        order.append(at)


def place_of(kernel: Kernel, va: int) -> int:
    pa, known = kernel.space.physical(np.array([va], np.uint64))
    assert known[0]
    return int(pa[0])


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("link", ["null", "absent", "itself", "back"])
def test_task_list_broken(name: str, link: str) -> None:
    """One task's next pointer leads nowhere or back: the other witnesses know all tasks, both ends are followed."""
    memory, anchors, kernel, tables = clean(name)
    order, offset = tasks_in_order(kernel)
    middle = len(order) // 2
    target = {
        "null": 0,
        "absent": order[0] | 0xFFF_0000_0000,
        "itself": order[middle] + offset,
        "back": order[3] + offset,
    }
    at = place_of(kernel, order[middle] + offset)
    torn = damaged(memory, patched(memory, {at: target[link].to_bytes(8, "little")}), limit=memory.limit)
    gaps = Gaps()
    found = rows_of(RamSource(Kernel(torn, anchors, gaps)))
    assert whole(found["processes"]) == whole(tables["processes"])
    assert {name: rows for name, rows in found.items() if name not in ("processes", "containers")} == {
        name: rows for name, rows in tables.items() if name not in ("processes", "containers")
    }
    assert [(row["container_id"], row["state"]) for row in found["containers"]] == [
        (row["container_id"], row["state"]) for row in tables["containers"]
    ]
    told = [(gap.kind, gap.where) for gap in gaps if gap.kind == "task list"]
    assert told == [("task list", f"after {order[middle]:#x}")]
    assert seen_by({"processes": found["processes"]}) == seen_by(tables)


@pytest.mark.parametrize("name", EACH)
def test_vmcoreinfo_is_gone(name: str) -> None:
    memory, anchors, _, tables = clean(name)
    pages = [info.address // PAGE for info in vmcoreinfo.find(memory)]
    assert pages
    found, rows, gaps = analyse(damaged(memory, zeroed(pages)))
    assert (found.arch, found.image_delta, found.init_task) == (anchors.arch, anchors.image_delta, anchors.init_task)
    assert found.sources["kernel"] == "init_task"
    assert rows == tables
    assert [(gap.kind, gap.why) for gap in gaps] == [
        ("VMCOREINFO", "not in the image: the kernel was found by its first task")
    ]


@pytest.mark.parametrize("name", EACH)
def test_btf_is_gone(name: str, tmp_path: Path) -> None:
    memory, anchors, _, tables = clean(name)
    start, stop = (anchors.image_pa(anchors.symbols[symbol]) for symbol in ("__start_BTF", "__stop_BTF"))
    file = tmp_path / "vmlinux.btf"
    file.write_bytes(memory.read(start, stop - start))
    torn = damaged(memory, patched(memory, {start: bytes(64)}))
    with pytest.raises(BtfError, match=r"is not whole in the image .*Give --btf FILE .* or --isf FILE"):
        locate(torn)
    found, rows, gaps = analyse(torn, Given(btf=file))
    assert (found.sources["types"], rows, gaps) == ("BTF file", tables, [])


@pytest.mark.parametrize("name", EACH)
def test_kallsyms_are_gone(name: str) -> None:
    memory, anchors, _, tables = clean(name)
    pages = frames(anchors, "kallsyms_token_table", "kallsyms_token_index")
    found, rows, gaps = analyse(damaged(memory, zeroed(pages)))
    assert len(found.symbols.addresses) == 0
    assert (found.image_delta, found.init_task) == (anchors.image_delta, anchors.init_task)
    # netlink's table and the boot id are found by names that only kallsyms gives
    lost = [row for row in tables["sockets"] if row["family"] == "netlink" and row["seen_in"] == "netlink"]
    assert rows.pop("sockets") == [row for row in tables["sockets"] if row not in lost] and lost
    # so are the page of zeros, which counts as resident then, and what special mappings are
    special = ("[vdso]", "[vvar]", "[vvar_vclock]")
    for row, before in zip(rows.pop("vmas"), tables["vmas"], strict=True):
        assert row["rss"] >= before["rss"] and row["path"] == (None if before["path"] in special else before["path"])
        assert {**row, "rss": 0, "path": None, "swapped": 0} == {**before, "rss": 0, "path": None}
        assert row["swapped"] is None  # where swap lies is found by the kernel's names
    # and the tree of modules, whose bounds a search for them needs
    assert rows.pop("modules") == [{**row, "seen_by": ["list", "kset"]} for row in tables["modules"]]
    # and where the kernel's text lies, by which hooks are judged
    assert rows.pop("hooks") == []
    # and the offsets of security blobs; and what the kernel's names tell of its own frames, which are then not known
    assert [{**row, "label": "unconfined"} for row in rows.pop("processes")] == tables["processes"]
    known, now = by_kind(tables["pages"]), by_kind(rows.pop("pages"))
    assert sum(now.values()) == sum(known.values()) and now["not known"] > known["not known"]
    more = {kind for kind in now if now[kind] > known.get(kind, 0)}
    assert more <= {"not known", "reserved", "large kmalloc"}
    changed = ("sockets", "vmas", "modules", "hooks", "processes", "pages")
    assert rows == {name: table for name, table in tables.items() if name not in changed}
    assert {gap.kind for gap in gaps} == {
        *CHECKS, "BPF programs", "BPF maps", "BPF links", "vsock", "kallsyms", "module tree", "module scan", "boot id",
        "netlink table", "names of special mappings", "security label", "vmalloc area",
        *({"page"} if "arm64" not in name else ()),  # the zones, and with them what processors keep to themselves
    }  # fmt: skip


def maps_second_task(memory: Damaged) -> bool:
    """Whether the table in use maps the second task, which lies in the direct map."""
    kernel = Kernel(memory, locate(memory))
    links = u64(kernel.anchors.init_task + kernel.types.offset("task_struct", "tasks"))
    following = kernel.pointers(links)
    found, mapped = translate(memory, kernel.space.fmt, u64(kernel.space.root), following)
    return bool(mapped[0]) and int(found[0]) == place_of(kernel, int(following[0]))


@pytest.mark.parametrize("name", EACH)
def test_page_table_root_is_gone(name: str) -> None:
    """Another table of the kernel's serves, else the direct map is where the kernel says; what needs one is a gap."""
    memory, _, kernel, tables = clean(name)
    torn = damaged(memory, zeroed([kernel.space.root // PAGE]))
    _, rows, gaps = analyse(torn)
    stated = ("page tables", "the direct map could not be confirmed: taken as the kernel states it")
    assert (stated in [(gap.kind, gap.why) for gap in gaps]) == (not maps_second_task(torn))
    columns = (
        "pid",
        "ppid",
        "uid",
        "cap_effective",
        "args",
        "environ",
        "exe",
        "cgroup_path",
        "container_id",
        "pod_name",
    )
    assert [[row[column] for column in columns] for row in rows["processes"]] == [
        [row[column] for column in columns] for row in tables["processes"]
    ]


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("inode", ["none", "another"])
def test_executable_used_anew(name: str, inode: str) -> None:
    """A process that ended while memory was taken: its file's dentry has become another one, also of no file at all."""
    memory, anchors, kernel, tables = clean(name)
    task = next(row["task"] for row in tables["processes"] if row["exe"] and row["pid"] > 1)
    dentry = exe_dentry(kernel, task)
    at = place_of(kernel, dentry + kernel.types.offset("dentry", "d_inode"))
    value = 0 if inode == "none" else int(kernel.read(u64(dentry), "dentry", "d_inode")[0]) + 0x1000
    torn = damaged(memory, patched(memory, {at: value.to_bytes(8, "little")}), limit=memory.limit)
    gaps = Gaps()
    found = rows_of(RamSource(Kernel(torn, anchors, gaps)), "processes")["processes"]
    shared = [row for row in tables["processes"] if row["exe"] and exe_dentry(kernel, row["task"]) == dentry]
    lost = {row["pid"] for row in shared}
    assert task in {row["task"] for row in shared}
    for row, before in zip(found, tables["processes"], strict=True):
        unknown = dict.fromkeys(("exe", "exe_deleted", "exe_sha256", "exe_code"))
        expected = {**before, **unknown} if row["pid"] in lost else before
        assert row == expected
    assert [gap.count for gap in gaps if gap.kind == "exe"] == [len(lost)]


def exe_dentry(kernel: Kernel, task: int) -> int:
    at = u64(task)
    for struct, member in (("task_struct", "mm"), ("mm_struct", "exe_file"), ("file", "f_path.dentry")):
        at = kernel.read(at, struct, member).astype(np.uint64)
    return int(at[0])
