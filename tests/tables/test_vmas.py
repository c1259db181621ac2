# SPDX-License-Identifier: Apache-2.0
"""Regions as /proc/PID/maps listed them, every field of every line; resident memory as the kernel itself counts it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from memir.kernel.rss_stat import page_counts
from memir.kube.ram import RamSource
from memir.tables.vmas import TABLE, read
from tests.kernel import held
from tests.tables.test_files import listed, maps

NodeOf = Callable[[str], RamSource]
Line = tuple[int, int, str, int, str, int, str]


def recorded(entry: dict[str, Any]) -> list[Line]:
    """Lines of maps; [vsyscall] is no region of the process's own."""
    rows = []
    for bounds, permissions, offset, device, inode, *name in maps(entry):
        start, end = (int(part, 16) for part in bounds.split("-"))
        major, minor = (int(part, 16) for part in device.split(":"))
        row = (start, end, permissions, int(offset, 16), f"{major}:{minor}", int(inode), " ".join(name))
        if row[6] != "[vsyscall]":
            rows.append(row)
    return rows


def shown(row: dict[str, Any]) -> Line:
    name = (row["path"] or "") + (" (deleted)" if row["deleted"] else "")
    where = (row["start"], row["end"], row["permissions"], row["offset"])
    return (*where, row["device"] or "0:0", row["inode"] or 0, name)


def test_every_line_of_maps(image: str, node_of: NodeOf) -> None:
    """Both ways, process by process."""
    node = node_of(image)
    rows: dict[int, list[Line]] = defaultdict(list)
    for row in TABLE.read(node).rows():
        rows[row["pid"]].append(shown(row))
    compared = 0
    for entry in listed(image, node):
        truth = recorded(entry)
        if truth:
            assert rows[entry["pid"]] == truth, entry["pid"]
            compared += len(truth)
    assert compared > (2000 if image.startswith("node-") else 90)
    assert set(rows) <= {process.pid for process in node.processes.rows if not process.kernel_thread}


def held_back(node: RamSource) -> dict[int, int]:
    """Until 6.2 (f1a7941243c1) each thread keeps up to 64 pages of each kind that its mm does not know of yet."""
    kernel, threads = node.kernel, node.processes.threads
    more: dict[int, int] = defaultdict(int)
    if kernel.types.has("task_struct", "rss_stat.count"):
        counts = kernel.read(threads.task, "task_struct", "rss_stat.count")[:, [0, 1, 3]].sum(axis=1)  # 2 is swap
        for pid, count in zip(threads.tgid.tolist(), counts.tolist(), strict=True):
            more[pid] += count
    return more


def test_resident_memory(image: str, node_of: NodeOf) -> None:
    """The sum of a process's regions is what its mm counts; the data of the vdso, which are no pages, nobody counts."""
    node = node_of(image)
    total: dict[int, int] = defaultdict(int)
    for row in TABLE.read(node).rows():
        if row["path"] not in ("[vvar]", "[vvar_vclock]"):
            total[row["pid"]] += row["rss"] // 4096
    living = [process for process in node.processes.rows if process.alive and process.pid in total]
    task = np.array([process.task for process in living], np.uint64)
    counts = page_counts(node.kernel, node.kernel.pointer(task, "task_struct", "mm"))
    more = held_back(node)
    wanted = (counts.file + counts.anonymous + counts.shared).tolist()
    assert counts.read.all() and len(living) >= 10
    wrong = [
        (process.pid, process.comm, total[process.pid], count, more[process.pid])
        for process, count in zip(living, wanted, strict=True)
        if total[process.pid] != count + more[process.pid]
    ]
    assert wrong == []


def test_swapped_memory() -> None:
    """Truth: three processes that had 512 pages swapped out and said what the kernel counted (VmSwap) just after."""
    node = held.node()
    rows = TABLE.read(node).rows()
    for record in held.truth("swap"):
        mine = [row for row in rows if row["pid"] == record["pid"]]
        assert [row["swapped"] for row in mine if row["start"] <= record["address"] < row["end"]] == [512 * 4096]
        # the kernel's count lags by what a processor has not added yet, and the process went on for a moment
        assert abs(sum(row["swapped"] for row in mine) // 1024 - record["swapped_kib"]) <= 16
        assert all(row["swapped"] + row["rss"] <= row["end"] - row["start"] for row in mine)
    swapping = {record["pid"] for record in held.truth("swap")}
    assert {row["pid"] for row in rows if row["swapped"]} == swapping


def test_kinds(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = TABLE.read(node).rows()
    for row in rows:
        assert row["anonymous"] == (row["inode"] is None) == (row["device"] is None)
        assert [flag in row["flags"] for flag in ("rd", "wr", "ex")] == [
            letter != "-" for letter in row["permissions"][:3]
        ]
        assert 0 <= row["rss"] <= row["end"] - row["start"] and row["swapped"] in (0, None)
    memfd = {row["path"] for row in rows if row["memfd"]}
    deleted = {row["path"] for row in rows if row["deleted"] and not row["memfd"]}
    assert memfd and deleted, (memfd, deleted)
    assert all(path.startswith("/memfd:") for path in memfd)
    wild = [row for row in rows if row["anonymous"] and row["permissions"] == "rwxp"]
    if not image.startswith(("node-", "s-6.12-intruded")):
        assert wild and {row["pod_uid"][:8] for row in wild} == {"bbbbbbbb"}  # pod B has such a region


def test_rows_are_sorted_and_unique(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    frame = read(node)
    order = list(zip(frame["pid"].tolist(), frame["start"], strict=True))
    assert order == sorted(set(order))
    assert not [gap for gap in node.gaps if "vma" in gap.kind or "special" in gap.kind]


def test_read_checkpoint_gives_what_its_archive_holds() -> None:
    from memir.checkpoint.source import CheckpointSource
    from memir.tables.vmas import read_checkpoint
    from tests.checkpoint.sample import archive

    assert list(read_checkpoint(CheckpointSource(archive()))["permissions"])[:3] == ["r--p", "r-xp", "r--p"]


def test_read_collected_gives_what_its_folder_holds(tmp_path: Path) -> None:
    from memir.collected.source import CollectedSource
    from memir.tables.vmas import read_collected
    from tests.collected.made import folder

    assert list(read_collected(CollectedSource(folder(tmp_path / "ev")))["path"]) == ["/usr/sbin/nginx", "[heap]"]
