# SPDX-License-Identifier: Apache-2.0
"""Hunt a collected pod: the cores of its processes, a region at a time, and every hit is its container's.

Files of the pod (upper.tar, rootfs.tar, deleted files) are not memory and are not scanned.
"""

from __future__ import annotations

from memir.collected.cores import Cores, PageRuns
from memir.collected.rows import Row, process_rows, regions
from memir.collected.source import CollectedSource
from memir.errors import UsageError
from memir.hunt.dumped import Dump, Dumped, check_kinds, hunt_dump, units
from memir.hunt.hunt import Hunt, Options
from memir.hunt.rules import RuleSet
from memir.hunt.scanning import Progress
from memir.hunt.units import Unit
from memir.kube.owner_batch import Owner

_WHAT = "a collected pod"


def hunt_collected(
    source: CollectedSource, cores: Cores, rules: RuleSet, options: Options, *, progress: Progress | None = None
) -> Hunt:
    """Scan the memory of a collected pod. What could not be read or judged is in source.gaps.

    UsageError if only kinds of memory are asked for that a collection does not hold, or it has no memory at all.
    """
    check_kinds(options, _WHAT)
    if not cores.runs:
        raise UsageError(
            f"{source.path} holds no memory: it was collected with --no-memory, or its core files are gone"
        )
    owners = owners_of(source)
    by_pid = {record["pid"]: record for record in source.processes if record["pid"] in cores.runs}
    processes = [Dumped(pid, cores.runs[pid], owners[pid], f"clear/memory/{pid}.core") for pid in by_pid]
    dump = Dump(str(source.path), _WHAT, cores, source.gaps, source.secrets, processes)

    def cut(process: Dumped, whole: bool) -> list[Unit]:
        return units_of(by_pid[process.pid], cores.runs[process.pid], whole=whole)

    return hunt_dump(dump, cut, rules, options, progress)


def owners_of(source: CollectedSource) -> dict[int, Owner]:
    """The one owner of each process, by pid."""
    rows, keys = process_rows(source)
    batch = source.owners.by("task", keys)
    return {row["pid"]: batch[number][0] for number, row in enumerate(rows)}


def units_of(record: Row, runs: PageRuns, *, whole: bool = False) -> list[Unit]:
    """The units of a process: dumped.units(). Whose a file is, is not known here."""
    program = str((record.get("links") or {}).get("exe") or "").removesuffix(" (deleted)")
    return units(record["pid"], runs, regions(record), program, whole=whole)
