# SPDX-License-Identifier: Apache-2.0
"""filename, filepath, extension and owner are those of each unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from memir.hunt.hunt import Options, hunt
from memir.hunt.memory import read_memory
from memir.hunt.units import process_units
from memir.hunt.variables import file_variables, mapping_of, set_variables
from memir.kube.ram import RamSource
from tests.hunt.hunting import rules

NAME = "s-6.1-small"
TEXT = """
rule Elf {
    condition: uint32(0) == 0x464c457f and filename == "busybox" and filepath matches /bin$/ and owner == "root"
}
rule Other { condition: uint32(0) == 0x464c457f and filename == "nosuch" }
rule Nothing { condition: uint8(0) == 0x7f and extension == ".none" }
"""


def test_names_of_executables_are_those_of_proc(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(NAME)
    kernel = node.kernel
    rows = [row for row in node.processes.rows if row.exe]
    mm = kernel.read(np.array([row.task for row in rows], np.uint64), "task_struct", "mm").astype(np.uint64)
    mapping = mapping_of(kernel, kernel.read(mm, "mm_struct", "exe_file").astype(np.uint64))
    known = file_variables(kernel, np.unique(mapping[mapping != 0]))
    for row, at in zip(rows, mapping.tolist(), strict=True):
        assert known[at]["filename"] == (row.exe or "").rpartition("/")[2], row.exe
        assert known[at]["owner"] == "root"


def test_rules_see_each_units_own(node_of: Callable[[str], RamSource], tmp_path: Path) -> None:
    node = node_of(NAME)
    found = hunt(node.kernel, rules(tmp_path, TEXT), Options(workers=2), node=node)
    assert {row["rule"] for row in found.rows} == {"Elf"}
    paths = {row["path"] for row in found.rows if row["owner"] == "file cache"}
    assert paths and all(path is None or path.endswith("busybox") for path in paths)


def test_memory_of_no_file_is_its_programs(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(NAME)
    memory = read_memory(node.kernel, node.processes.threads.task, node.processes.threads.tgid)
    units = process_units(memory, np.ones(len(memory.mm), bool), False, [0] * len(memory.mm))
    set_variables(memory, units)
    users = {unit.variables["owner"] for unit in units if unit.variables is not None}
    assert users == {"root", "1000", "65535"}  # the node's own, the application's and the pause containers'
