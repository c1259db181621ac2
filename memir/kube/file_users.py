# SPDX-License-Identifier: Apache-2.0
"""Which files processes use: those that they map and those that they have open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import fdtable
from memir.kernel.pagetable import U64
from memir.kernel.vma import vmas

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel


def files_in_use(kernel: Kernel, tasks: U64) -> set[tuple[int, int]]:
    """(row in tasks, struct address_space of a file) of what each task (struct task_struct, uint64[n]) maps or has
    open."""
    mm, user = np.unique(kernel.pointer(tasks, "task_struct", "mm"), return_inverse=True)
    regions = vmas(kernel, mm)
    mapped = kernel.pointer(regions.file, "file", "f_mapping", gap=False).tolist()
    files: list[set[int]] = [set() for _ in mm]
    for space, file in set(zip(regions.owner.tolist(), mapped, strict=True)):
        files[space].add(file)
    task, _, file_of = fdtable.open_files(kernel, tasks)
    opened = kernel.pointer(file_of, "file", "f_mapping", gap=False).tolist()
    mappings = {(row, file) for row, space in enumerate(user.tolist()) for file in files[space]}
    return mappings | set(zip(task.tolist(), opened, strict=True))
