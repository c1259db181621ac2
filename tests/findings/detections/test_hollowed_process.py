# SPDX-License-Identifier: Apache-2.0
"""A process that does not run what its exe says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kube.ram import RamSource
from tests.findings.real import INTRUDED, NODE, SMALL, brief, kind, of_source, on_the_node
from tests.injected import member_at, mm_of, pid_of, with_members

NodeOf = Callable[[str], RamSource]
KIND = "hollowed-process"


@pytest.mark.parametrize("name", [SMALL, "s-7.2-small-la57", "arm64-6.12-small-lpa2"])
def test_exe_of_another_file(name: str, node_of: NodeOf) -> None:
    """prctl(PR_SET_MM_EXE_FILE): exe says init's program, the code is another's."""
    clean = node_of(name)
    pid = pid_of(clean, "secretd")
    other = member_at(clean, mm_of(clean, 1), "mm_struct", "exe_file")[1]
    (row,) = of_source(with_members(clean, {(mm_of(clean, pid), "mm_struct", "exe_file"): other}), KIND)
    assert brief([row]) == {("high", "miner-0", "miner", pid)}
    assert row["title"].endswith("secretd where the code of /bin/busybox belongs")
    assert row["path"] == "/bin/busybox"


def test_program_that_was_unmapped(node_of: NodeOf) -> None:
    """Other memory in the place of its code, and then in the place of a part of it."""
    clean = node_of(SMALL)
    pid = pid_of(clean, "secretd")
    mm, every = clean.regions
    own = every.owner == int(np.searchsorted(mm, np.uint64(mm_of(clean, pid))))
    code = every.vma[own & (every.flags & np.uint64(4) != 0) & (every.file != 0)].tolist()
    gone = {(vma, "vm_area_struct", "vm_file"): 0 for vma in code}
    (row,) = of_source(with_members(clean, gone), KIND)
    assert brief([row]) == {("high", "miner-0", "miner", pid)}
    assert "has memory of no file that may be run where the code of /app/secretd belongs" in row["title"]
    end = member_at(clean, mm_of(clean, pid), "mm_struct", "end_code")[1]
    (row,) = of_source(with_members(clean, {(mm_of(clean, pid), "mm_struct", "end_code"): end + (1 << 24)}), KIND)
    assert row["severity"] == "medium"


def test_region_that_could_not_be_read(node_of: NodeOf) -> None:
    """One that is lost says nothing."""
    clean = node_of(SMALL)
    pid = pid_of(clean, "secretd")
    mm, every = clean.regions
    own = every.owner == int(np.searchsorted(mm, np.uint64(mm_of(clean, pid))))
    lost = {(vma, "vm_area_struct", "vm_mm"): 0 for vma in every.vma[own & (every.file != 0)].tolist()}
    node = with_members(clean, lost)
    assert of_source(node, KIND) == [] and "vma" in {gap.kind for gap in node.gaps}


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
