# SPDX-License-Identifier: Apache-2.0
"""Hunt a checkpoint: the dumped pages of each process, a region at a time, and every hit is its container's.

The pages of all processes make one space (memir.checkpoint.pages): a unit's page frames, and a hit's paddr, are places
in it. The changes of the root file system (rootfs-diff.tar) are not memory and are not scanned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from memir.checkpoint.pages import PAGE, PageMap
from memir.checkpoint.rows import Row, regions
from memir.checkpoint.source import CheckpointSource
from memir.checkpoint.tree import Process
from memir.errors import UsageError
from memir.hunt.hexdump import hexdump, printable
from memir.hunt.hit import SECRET, Hit
from memir.hunt.hits import TABLE
from memir.hunt.hunt import Hunt, Options
from memir.hunt.owner import id_of, masked_secret
from memir.hunt.rules import RuleSet
from memir.hunt.scan import Scan
from memir.hunt.units import KINDS, Unit
from memir.kube.secrets import Secret

Progress = Callable[[str, int, int], None]
_EMPTY: dict[str, Any] = {column.name: None for column in TABLE.columns}


def hunt_checkpoint(
    source: CheckpointSource, rules: RuleSet, options: Options, *, progress: Progress | None = None
) -> Hunt:
    """Scan the memory in a checkpoint. What could not be read or judged is in source.gaps.

    UsageError if only kinds of memory are asked for that a checkpoint does not hold.
    """
    if "process" not in options.kinds:
        raise UsageError("a checkpoint holds the memory of processes alone: leave --kinds out, or name process")
    begun = time.perf_counter()
    for fault in rules.skipped:
        place, _, reason = fault.partition(": ")
        source.gaps.add("rules", place, f"left out: {reason}")
    chosen = [
        process for process in source.tree.processes
        if not options.wanted or options.wanted.has(source.container.owner, process.pid)
    ]  # fmt: skip
    units = [unit for process in chosen for unit in units_of(source, process, whole=options.scope == "process")]
    scan = Scan(source.tree.pages, rules, source.gaps, options.timeout)
    total, done = sum(unit.size for unit in units), 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress("hunting", done, total)

    stopped = False
    try:
        scan.run(units, options.workers, advance)
    except KeyboardInterrupt:
        stopped = True
        source.gaps.add("hunt", "bytes of memory", "interrupted by the user: not scanned", total - done)
    clear, hidden, secrets = _rows(source, scan.hits.values())
    counts: dict[str, int] = {kind: len(units) if kind == "process" else 0 for kind in KINDS}
    sizes: dict[str, int] = {kind: total if kind == "process" else 0 for kind in KINDS}
    rows = clear if options.show_secrets else hidden
    laps = {"scan": round(time.perf_counter() - begun, 4)}
    return Hunt(rows, counts, sizes, laps, rules.count, hidden, secrets, stopped)


def units_of(source: CheckpointSource, process: Process, *, whole: bool = False) -> list[Unit]:
    """A unit a region with dumped pages, or one of all of them with an empty page between two regions.

    mms: the process's id alone, by which its hits are known again.
    """
    if process.memory is None:
        return []
    exe = source.tree.files.get(process.mm.get("exe_file_id", -1))
    program, uid = (exe.path if exe is not None else None) or "", process.creds.get("uid")
    user = "" if uid is None else "root" if uid == 0 else str(uid)
    parts = []
    for region in regions(source, process):
        place, frame = _pages(process.memory, region["start"], region["end"])
        if len(frame):
            parts.append((region, place, frame))
    if not whole:
        units = []
        for region, place, frame in parts:
            start, end, asked = region["start"], region["end"], _variables(region, program, user)
            name = f"process {process.pid} region {start:#x}-{end:#x}"
            span = (end - start) // PAGE
            units.append(Unit("process", name, place, frame, span, mms=[process.pid], variables=asked))
        return units
    if not parts:
        return []
    places, base = [], 0
    for _, place, _ in parts:
        places.append(place - place[0] + base)
        base = int(places[-1][-1]) + 2
    frames = np.concatenate([frame for _, _, frame in parts])
    name = f"process {process.pid}"
    return [Unit("process", name, np.concatenate(places), frames, base, mms=[process.pid],
                 variables=_variables({}, program, user))]  # fmt: skip


def _variables(region: Row, program: str, user: str) -> dict[str, str]:
    """What rules may ask of a unit, as memir.hunt.variables gives it of RAM; a file's own user is not known here."""
    mapped = None if region.get("anonymous", True) else region["path"]
    path = PurePosixPath(mapped or program)
    where = str(path.parent) if path.name else ""
    owner = "" if mapped else user
    return {"filename": path.name, "filepath": where, "extension": path.suffix, "owner": owner}


def _pages(memory: PageMap, start: int, end: int) -> tuple[Any, Any]:
    """(int64[n] pages of a region counted from its first, uint64[n] their frames) that were dumped."""
    low = np.maximum(memory.start, np.uint64(start))
    high = np.minimum(memory.start + memory.count * np.uint64(PAGE), np.uint64(end))
    rows = np.flatnonzero(high > low)
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    count = ((high[rows] - low[rows]) // np.uint64(PAGE)).astype(np.int64)
    first = ((low[rows] - np.uint64(start)) // np.uint64(PAGE)).astype(np.int64)
    frame = memory.frame[rows] + (low[rows] - memory.start[rows]) // np.uint64(PAGE)
    step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(first, count) + step, np.repeat(frame, count) + step.astype(np.uint64)


def _rows(
    source: CheckpointSource, hits: Iterable[Hit]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Secret]]:
    """(rows in clear, rows masked, secrets by hit_id)."""
    maps = {process.pid: process.memory for process in source.tree.processes}
    owner, clear, hidden, secrets = source.container.owner, [], [], dict[str, Secret]()
    for hit in sorted(hits, key=lambda hit: (hit.paddr, hit.rule_namespace, hit.rule, hit.string or "", hit.length)):
        hit_id, secret = id_of(hit), SECRET in hit.tags
        data = printable(hit.data)
        if secret:
            data, known = masked_secret(hit, source.secrets)
            secrets |= {hit_id: known} if known is not None else {}
        for pid in sorted(hit.mms or ()):
            row = {
                **_EMPTY, "image": str(source.archive.path), "hit_id": hit_id, "rule": hit.rule,
                "namespace_rule": hit.rule_namespace, "tags": list(hit.tags),
                "meta": [f"{key}={value}" for key, value in hit.meta], "string": hit.string, "paddr": hit.paddr,
                "length": hit.length, "owner": "process", "pid": pid, "vaddr": _address(maps[pid], hit),
                "source": f"pagemap-{pid}.img", **owner.columns(), "data": data,
                "context": hexdump(hit.before, hit.data, hit.after, masked=secret),
            }  # fmt: skip
            hidden.append(row)
            clear.append(
                {**row, "data": printable(hit.data), "context": hexdump(hit.before, hit.data, hit.after)}
                if secret else row
            )  # fmt: skip
    return clear, hidden, secrets


def _address(memory: PageMap | None, hit: Hit) -> int | None:
    """Virtual address of a hit's first byte."""
    if memory is None:
        return None
    frame = np.uint64(hit.pages[0])
    rows = np.flatnonzero((memory.frame <= frame) & (frame < memory.frame + memory.count))
    if not len(rows):
        return None
    row = int(rows[0])
    return int(memory.start[row]) + (hit.pages[0] - int(memory.frame[row])) * PAGE + hit.offset
