# SPDX-License-Identifier: Apache-2.0
"""Hunt a collected pod: the cores of its processes, a region at a time, and every hit is its container's.

The pages of all cores make one space (memir.collected.cores): a unit's page frames, and a hit's paddr, are places in
it. Files of the pod (upper.tar, rootfs.tar, deleted files) are not memory and are not scanned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from memir.collected.cores import PAGE, Cores, PageRuns
from memir.collected.rows import Row, process_rows, regions
from memir.collected.source import CollectedSource
from memir.errors import UsageError
from memir.hunt.hexdump import hexdump, printable
from memir.hunt.hit import SECRET, Hit
from memir.hunt.hits import TABLE
from memir.hunt.hunt import Hunt, Options
from memir.hunt.owner import id_of, masked_secret
from memir.hunt.rules import RuleSet
from memir.hunt.scan import Scan
from memir.hunt.units import KINDS, Unit
from memir.kube.owner_batch import Owner
from memir.kube.secrets import Secret

Progress = Callable[[str, int, int], None]
_EMPTY: dict[str, Any] = {column.name: None for column in TABLE.columns}


def hunt_collected(
    source: CollectedSource, cores: Cores, rules: RuleSet, options: Options, *, progress: Progress | None = None
) -> Hunt:
    """Scan the memory of a collected pod. What could not be read or judged is in source.gaps.

    UsageError if only kinds of memory are asked for that a collection does not hold, or it has no memory at all.
    """
    if "process" not in options.kinds:
        raise UsageError("a collected pod holds the memory of processes alone: leave --kinds out, or name process")
    if not cores.runs:
        raise UsageError(
            f"{source.path} holds no memory: it was collected with --no-memory, or its core files are gone"
        )
    begun = time.perf_counter()
    for fault in rules.skipped:
        place, _, reason = fault.partition(": ")
        source.gaps.add("rules", place, f"left out: {reason}")
    owners = owners_of(source)
    units = [
        unit
        for record in source.processes
        if record["pid"] in cores.runs
        and (not options.wanted or options.wanted.has(owners[record["pid"]], record["pid"]))
        for unit in units_of(record, cores.runs[record["pid"]], whole=options.scope == "process")
    ]
    scan = Scan(cores, rules, source.gaps, options.timeout)
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
    clear, hidden, secrets = _rows(source, cores, owners, scan.hits.values())
    counts: dict[str, int] = {kind: len(units) if kind == "process" else 0 for kind in KINDS}
    sizes: dict[str, int] = {kind: total if kind == "process" else 0 for kind in KINDS}
    rows = clear if options.show_secrets else hidden
    laps = {"scan": round(time.perf_counter() - begun, 4)}
    return Hunt(rows, counts, sizes, laps, rules.count, hidden, secrets, stopped)


def owners_of(source: CollectedSource) -> dict[int, Owner]:
    """The one owner of each process, by pid."""
    rows, keys = process_rows(source)
    batch = source.owners.by("task", keys)
    return {row["pid"]: batch[number][0] for number, row in enumerate(rows)}


def units_of(record: Row, runs: PageRuns, *, whole: bool = False) -> list[Unit]:
    """A unit a region with pages in the core, or one of all of them with an empty page between two regions.

    mms: the process's id alone, by which its hits are known again.
    """
    pid = record["pid"]
    program = str((record.get("links") or {}).get("exe") or "").removesuffix(" (deleted)")
    parts = []
    for region in regions(record):
        place, frame = pages_between(runs, region["start"], region["end"])
        if len(frame):
            parts.append((region, place, frame))
    if not whole:
        return [
            Unit("process", f"process {pid} region {region['start']:#x}-{region['end']:#x}", place, frame,
                 (region["end"] - region["start"]) // PAGE, mms=[pid], variables=_variables(region, program))
            for region, place, frame in parts
        ]  # fmt: skip
    if not parts:
        return []
    places, base = [], 0
    for _, place, _ in parts:
        places.append(place - place[0] + base)
        base = int(places[-1][-1]) + 2
    frames = np.concatenate([frame for _, _, frame in parts])
    return [Unit("process", f"process {pid}", np.concatenate(places), frames, base, mms=[pid],
                 variables=_variables({}, program))]  # fmt: skip


def _variables(region: Row, program: str) -> dict[str, str]:
    """What rules may ask of a unit, as memir.hunt.variables gives it of RAM; whose a file is, is not known here."""
    mapped = None if region.get("anonymous", True) else region["path"]
    path = PurePosixPath(mapped or program)
    return {"filename": path.name, "filepath": str(path.parent) if path.name else "", "extension": path.suffix,
            "owner": ""}  # fmt: skip


def pages_between(runs: PageRuns, start: int, end: int) -> tuple[Any, Any]:
    """(int64[n] pages of a region counted from its first, uint64[n] their frames) that are in the core."""
    low = np.maximum(runs.start, np.uint64(start))
    high = np.minimum(runs.start + runs.count * np.uint64(PAGE), np.uint64(end))
    rows = np.flatnonzero(high > low)
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    count = ((high[rows] - low[rows]) // np.uint64(PAGE)).astype(np.int64)
    first = ((low[rows] - np.uint64(start)) // np.uint64(PAGE)).astype(np.int64)
    frame = runs.frame[rows] + (low[rows] - runs.start[rows]) // np.uint64(PAGE)
    step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(first, count) + step, np.repeat(frame, count) + step.astype(np.uint64)


def _rows(
    source: CollectedSource, cores: Cores, owners: dict[int, Owner], hits: Iterable[Hit]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Secret]]:
    """(rows in clear, rows masked, secrets by hit_id)."""
    clear, hidden, secrets = [], [], dict[str, Secret]()
    for hit in sorted(hits, key=lambda hit: (hit.paddr, hit.rule_namespace, hit.rule, hit.string or "", hit.length)):
        hit_id, secret = id_of(hit), SECRET in hit.tags
        data = printable(hit.data)
        if secret:
            data, known = masked_secret(hit, source.secrets)
            secrets |= {hit_id: known} if known is not None else {}
        for pid in sorted(hit.mms or ()):
            row = {
                **_EMPTY, "image": str(source.path), "hit_id": hit_id, "rule": hit.rule,
                "namespace_rule": hit.rule_namespace, "tags": list(hit.tags),
                "meta": [f"{key}={value}" for key, value in hit.meta], "string": hit.string, "paddr": hit.paddr,
                "length": hit.length, "owner": "process", "pid": pid, "vaddr": _address(cores.runs[pid], hit),
                "source": f"clear/memory/{pid}.core", **owners[pid].columns(), "data": data,
                "context": hexdump(hit.before, hit.data, hit.after, masked=secret),
            }  # fmt: skip
            hidden.append(row)
            clear.append(
                {**row, "data": printable(hit.data), "context": hexdump(hit.before, hit.data, hit.after)}
                if secret else row
            )  # fmt: skip
    return clear, hidden, secrets


def _address(runs: PageRuns, hit: Hit) -> int | None:
    """Virtual address of a hit's first byte."""
    frame = np.uint64(hit.pages[0])
    rows = np.flatnonzero((runs.frame <= frame) & (frame < runs.frame + runs.count))
    if not len(rows):
        return None
    row = int(rows[0])
    return int(runs.start[row]) + (hit.pages[0] - int(runs.frame[row])) * PAGE + hit.offset
