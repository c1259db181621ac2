# SPDX-License-Identifier: Apache-2.0
"""Where programs' code lies: its size as /proc/PID/status has it, all of it of exe's file on every image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.binfmt_elf import MAPPED, NONE, program_code
from memir.kube.ram import RamSource
from tests.hunt.hunting import planted
from tests.injected import member_at, mm_of, pid_of, with_members
from tests.status import status

NodeOf = Callable[[str], RamSource]


def test_every_program(image: str, node_of: NodeOf) -> None:
    node, truth = node_of(image), status(image)
    mm, every = node.regions
    code = program_code(node.kernel, mm, every)
    assert set(code.state) == {MAPPED} and (code.mapping != 0).all()
    compared = 0
    for row, home in enumerate(mm.tolist()):
        for pid, _ in node.users_of(home):
            if "VmExe" in truth.get(pid, {}):
                end = member_at(node, home, "mm_struct", "end_code")[1]
                size = (end + 4095 & ~4095) - (int(code.start[row]) & ~4095)
                assert truth[pid]["VmExe"].split() == [str(size // 1024), "kB"]
                compared += 1
    assert compared >= (0 if image.startswith("node-") else 10)


def test_another_file(node_of: NodeOf) -> None:
    """exe_file of another process: none of that is mapped."""
    clean = node_of("s-6.1-small")
    home = mm_of(clean, pid_of(clean, "secretd"))
    other = member_at(clean, mm_of(clean, 1), "mm_struct", "exe_file")[1]
    node = with_members(clean, {(home, "mm_struct", "exe_file"): other})
    mm, every = node.regions
    code = program_code(node.kernel, mm, every)
    assert {mm[row] for row, state in enumerate(code.state) if state != MAPPED} == {home}
    assert code.state[mm.tolist().index(home)] == NONE and code.mapping[mm.tolist().index(home)] == 0


def test_bounds_that_are_none(node_of: NodeOf) -> None:
    clean = node_of("s-6.1-small")
    home = mm_of(clean, pid_of(clean, "secretd"))
    node = with_members(clean, {(home, "mm_struct", "start_code"): 0})
    mm, every = node.regions
    assert program_code(node.kernel, mm, every).state[mm.tolist().index(home)] is None


def test_a_damaged_name_of_a_mapped_file(node_of: NodeOf) -> None:
    """A dentry that leads to no inode says of nothing which file it is: not known, rather than another file."""
    clean = node_of("s-6.12-intruded")
    kernel, (mm, every) = clean.kernel, clean.regions
    state = program_code(kernel, mm, every).state
    row = next(row for row, known in enumerate(state) if known == MAPPED)
    region = int(np.flatnonzero((every.owner == row) & (every.file != 0))[0])
    path = kernel.pointers(every.file[[region]] + np.uint64(kernel.types.offset("file", "f_path.dentry")))
    place = int(kernel.space.physical(kernel.embedded(path, "dentry", "d_inode"))[0][0])
    torn = planted(clean, {place: b"AAAAAAAA"})
    assert program_code(torn.kernel, *torn.regions).state[row] is None
