# SPDX-License-Identifier: Apache-2.0
"""Regions of processes, against /proc/PID/maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.task_mmu import permissions
from memir.kernel.vma import mapped_files, vmas
from memir.kube.ram import RamSource
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_regions_are_those_of_proc(node_of: NodeOf, image: str) -> None:
    """Byte for byte, for every process whose maps were recorded; the recorder itself went on running."""
    node = node_of(image)
    kernel = node.kernel
    mm = kernel.read(node.processes.task, "task_struct", "mm").astype(np.uint64)
    found = vmas(kernel, mm)
    counts = kernel.read(mm, "mm_struct", "map_count")
    assert np.array_equal(np.bincount(found.owner, minlength=len(mm)), np.where(mm == 0, 0, counts))
    if not case(image).small:
        return
    rows = {one.pid: at for at, one in enumerate(node.processes.rows)}
    compared = 0
    for record in case(image).raw_truth()["proc"]:
        lines = [line for line in record.get("maps", "").splitlines() if "[vsyscall]" not in line]
        if not lines or record["comm"] == "truth" or record["pid"] not in rows:
            continue
        mine = np.flatnonzero(found.owner == rows[record["pid"]])
        columns = (found.start[mine].tolist(), found.end[mine].tolist(), permissions(found.flags[mine]))
        shown = [f"{start:08x}-{end:08x} {letters}" for start, end, letters in zip(*columns, strict=True)]
        assert shown == [" ".join(line.split()[:2]) for line in lines], record["comm"]
        compared += 1
    assert compared >= 10


def test_no_process_has_no_regions(node_of: NodeOf, image: str) -> None:
    assert len(vmas(node_of(image).kernel, np.zeros(3, np.uint64))) == 0


def test_mapped_files_are_each_process_s_own(node_of: NodeOf) -> None:
    """As the regions of each process have them, each file once; a thread of the kernel has none."""
    node = node_of("s-6.12-intruded")
    kernel, living = node.kernel, node.processes.living
    mm, every = node.regions
    task, file = mapped_files(kernel, living, mm, every)
    space = kernel.pointer(living, "task_struct", "mm")
    wanted = {
        (one, each)
        for one, home in zip(living.tolist(), space.tolist(), strict=True)
        if home
        for each in every.file[(mm[every.owner] == np.uint64(home)) & (every.file != 0)].tolist()
    }
    found = list(zip(task.tolist(), file.tolist(), strict=True))
    assert set(found) == wanted and len(found) == len(wanted) > 40
