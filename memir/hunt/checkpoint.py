# SPDX-License-Identifier: Apache-2.0
"""Hunt a checkpoint: the dumped pages of each process, a region at a time, and every hit is its container's.

The changes of the root file system (rootfs-diff.tar) are not memory and are not scanned.
"""

from __future__ import annotations

from memir.checkpoint.rows import regions
from memir.checkpoint.source import CheckpointSource
from memir.checkpoint.tree import Process
from memir.hunt.dumped import Dump, Dumped, hunt_dump, units
from memir.hunt.hunt import Hunt, Options
from memir.hunt.rules import RuleSet
from memir.hunt.scanning import Progress
from memir.hunt.units import Unit


def hunt_checkpoint(
    source: CheckpointSource, rules: RuleSet, options: Options, *, progress: Progress | None = None
) -> Hunt:
    """Scan the memory in a checkpoint. What could not be read or judged is in source.gaps.

    UsageError if only kinds of memory are asked for that a checkpoint does not hold.
    """
    by_pid = {process.pid: process for process in source.tree.processes}
    processes = [
        Dumped(pid, process.memory, source.container.owner, f"pagemap-{pid}.img")
        for pid, process in by_pid.items() if process.memory is not None
    ]  # fmt: skip
    path = str(source.archive.path)
    dump = Dump(path, "a checkpoint", source.tree.pages, source.gaps, source.secrets, processes)
    return hunt_dump(
        dump, lambda process, whole: units_of(source, by_pid[process.pid], whole=whole), rules, options, progress
    )


def units_of(source: CheckpointSource, process: Process, *, whole: bool = False) -> list[Unit]:
    """The units of a process, none if its pages were not dumped: dumped.units()."""
    if process.memory is None:
        return []
    exe = source.tree.files.get(process.mm.get("exe_file_id", -1))
    program, uid = (exe.path if exe is not None else None) or "", process.creds.get("uid")
    user = "" if uid is None else "root" if uid == 0 else str(uid)
    return units(process.pid, process.memory, regions(source, process), program, user, whole=whole)
