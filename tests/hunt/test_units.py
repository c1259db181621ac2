# SPDX-License-Identifier: Apache-2.0
"""What is scanned as one piece: pages that their owner sees in a row, wherever in RAM they lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memir.hunt.memory import Memory, used
from memir.hunt.units import WINDOW, file_units, process_units, whole_processes, window_units
from memir.kernel.page import ANON, FREE, KERNEL
from memir.kube.ram import RamSource
from tests.hunt.hunting import MARK, PAGE, planted, run, strings


def everyone(memory: Memory) -> Any:
    return np.ones(len(memory.mm), bool)


def halves(first: int, second: int) -> dict[int, bytes]:
    """The mark, its first half at the end of one frame and its second at the start of another."""
    middle = len(MARK) // 2
    return {(first << 12) + PAGE - middle: MARK[:middle].encode(), second << 12: MARK[middle:].encode()}


def apart(units: list[Any], memory: Memory, use: int | None = None) -> tuple[Any, int]:
    """A unit and the place of a page in it whose successor lies elsewhere in RAM."""
    for unit in units:
        far = (np.diff(unit.place) == 1) & (np.diff(unit.pfn.astype(np.int64)) != 1)
        if use is not None:
            far &= (memory.pages.use_of(unit.pfn[:-1]) == use) & (memory.pages.use_of(unit.pfn[1:]) == use)
        if far.any():
            return unit, int(np.flatnonzero(far)[0])
    raise AssertionError("no such unit")


def test_over_two_distant_pages_of_a_process(small: RamSource, memory: Memory, tmp_path: Path) -> None:
    unit, at = apart(
        [one for one in process_units(memory, everyone(memory), True) if one.mms is not None and len(one.mms) == 1],
        memory,
        ANON,
    )
    first, second = unit.pfn[at : at + 2].tolist()
    found = run(planted(small, halves(first, second)), strings(tmp_path, MARK))
    (row,) = found.rows
    assert row["paddr"] == (first << 12) + PAGE - len(MARK) // 2 and row["owner"] == "process"
    assert [row["pid"]] == memory.pids[unit.mms[0]]
    assert int(unit.name.split()[3].split("-")[0], 16) + (int(unit.place[at]) << 12) == row["vaddr"] & ~0xFFF
    # the other way round the halves do not meet
    assert run(planted(small, halves(second, first)), strings(tmp_path, MARK)).rows == []


def test_over_two_distant_pages_of_a_file(small: RamSource, memory: Memory, tmp_path: Path) -> None:
    unit, at = apart(file_units(memory), memory)
    first, second = unit.pfn[at : at + 2].tolist()
    found = run(planted(small, halves(first, second)), strings(tmp_path, MARK))
    assert {row["hit_id"] for row in found.rows} == {found.rows[0]["hit_id"]}
    assert "file cache" in {row["owner"] for row in found.rows}
    assert all(row["path"] for row in found.rows if row["owner"] == "file cache")


def test_neighbours_of_different_owners_do_not_meet(small: RamSource, memory: Memory, tmp_path: Path) -> None:
    use = memory.pages.use
    at = int(np.flatnonzero((use[:-1] == KERNEL) & (use[1:] == ANON) & memory.nonzero[:-1] & memory.nonzero[1:])[0])
    first, second = memory.pages.pfn()[at : at + 2].tolist()
    assert run(planted(small, halves(first, second)), strings(tmp_path, MARK)).rows == []


def test_process_units(memory: Memory) -> None:
    """Every page in use that a process maps is in a unit; alike regions are one unit of several processes."""
    units = process_units(memory, everyone(memory), files_apart=False)
    assert {unit.kind for unit in units} == {"process"}
    pages = np.unique(np.concatenate([unit.pfn for unit in units]))
    mapped = np.unique(np.concatenate([
        np.arange(pa >> 12, (pa + size) >> 12, dtype=np.uint64)
        for pa, size in zip(memory.mappings.pa.tolist(), memory.mappings.size.tolist(), strict=True)
    ]))  # fmt: skip
    assert pages.tolist() == mapped[used(memory, mapped)].tolist()
    assert max(len(unit.mms or ()) for unit in units) >= 3  # /pause runs in three pods
    assert all((np.diff(unit.place) > 0).all() and unit.place[-1] < unit.span for unit in units)
    nobody = np.zeros(len(memory.mm), bool)
    assert process_units(memory, nobody, files_apart=False) == []
    apart_only = process_units(memory, everyone(memory), files_apart=True)
    assert 0 < sum(unit.size for unit in apart_only) < sum(unit.size for unit in units)


def test_whole_processes(memory: Memory) -> None:
    """One unit a process, with the pages of all its regions."""
    units = whole_processes(memory, everyone(memory))
    regions = process_units(memory, everyone(memory), files_apart=False)
    assert len({(unit.mms or [-1])[0] for unit in units}) == len(units)
    for unit in units:
        assert unit.mms is not None
        (mm,) = unit.mms
        own = np.unique(np.concatenate([part.pfn for part in regions if part.mms is not None and mm in part.mms]))
        assert np.unique(unit.pfn).tolist() == own.tolist()
        assert unit.name == f"process {memory.pids[mm][0]}"


def test_file_units(memory: Memory) -> None:
    """Each page of the page cache that is not empty is in its file's unit."""
    units = file_units(memory)
    pages = np.concatenate([unit.pfn for unit in units])
    assert sorted(pages.tolist()) == sorted(memory.pages.file_pfn[used(memory, memory.pages.file_pfn)].tolist())
    some = np.array([units[0].mapping], np.uint64)
    assert [unit.pfn.tolist() for unit in file_units(memory, some)] == [
        unit.pfn.tolist() for unit in units if unit.mapping == units[0].mapping
    ]
    assert file_units(memory, np.zeros(0, np.uint64)) == []


def test_window_units(memory: Memory) -> None:
    """Kernel and free memory: every page that is not empty, once but for a window's last page."""
    every, use = memory.pages.pfn(), memory.pages.use
    kernel = window_units(memory, ["kernel"])
    assert all(len(unit.pfn) <= WINDOW and not unit.joined and unit.mms is None for unit in kernel)
    pages = np.unique(np.concatenate([unit.pfn for unit in kernel]))
    assert pages.tolist() == every[(use == KERNEL) & memory.nonzero].tolist()
    free = window_units(memory, ["free"])
    assert sum(len(unit.pfn) for unit in free) >= int(((use == FREE) & memory.nonzero).sum())
    assert window_units(memory, []) == []
