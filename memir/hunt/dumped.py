# SPDX-License-Identifier: Apache-2.0
"""Hunt memory that was written down process by process (a checkpoint's pages, a collected pod's cores), not RAM.

The pages of all processes make one space: a unit's page frames, and a hit's paddr, are places in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np

from memir.errors import UsageError
from memir.gaps import Gaps
from memir.hunt.hexdump import hexdump, printable
from memir.hunt.hit import SECRET, Hit
from memir.hunt.hits import TABLE
from memir.hunt.hunt import Hunt, Options
from memir.hunt.owner import id_of, masked_secret
from memir.hunt.rules import RuleSet
from memir.hunt.scan import Gatherable, Scan
from memir.hunt.scanning import Progress, scan_units, tell_left_out
from memir.hunt.units import KINDS, Unit
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import spread
from memir.kube.owner_batch import Owner
from memir.kube.secrets import Secret, Secrets

PAGE = 4096
_EMPTY: dict[str, Any] = {column.name: None for column in TABLE.columns}


class Runs(Protocol):
    """Pages of one process. start: virtual address of each run's first page, ascending; count: pages; frame: of the
    first. Three uint64[n]."""

    @property
    def start(self) -> U64: ...  # noqa: D102
    @property
    def count(self) -> U64: ...  # noqa: D102
    @property
    def frame(self) -> U64: ...  # noqa: D102


@dataclass(frozen=True)
class Dumped:
    """A process: its pages, whose it is, and the file that says which they are."""

    pid: int
    runs: Runs
    owner: Owner
    source: str


@dataclass(frozen=True)
class Dump:
    """What is hunted. image: its path; what: in words, as `a checkpoint`; memory: the pages of all processes."""

    image: str
    what: str
    memory: Gatherable
    gaps: Gaps
    secrets: Secrets
    processes: Sequence[Dumped]


def check_kinds(options: Options, what: str) -> None:
    """UsageError if only kinds of memory are asked for that a dump does not hold."""
    if "process" not in options.kinds:
        raise UsageError(f"{what} holds the memory of processes alone: leave --kinds out, or name process")


def hunt_dump(
    dump: Dump, units_of: Callable[[Dumped, bool], list[Unit]], rules: RuleSet, options: Options,
    progress: Progress | None = None,
) -> Hunt:  # fmt: skip
    """Scan a dump. units_of: of a process, as one unit if asked. What could not be read or judged is in dump.gaps."""
    check_kinds(options, dump.what)
    begun = time.perf_counter()
    tell_left_out(rules, dump.gaps)
    units = [
        unit for process in dump.processes
        if not options.wanted or options.wanted.has(process.owner, process.pid)
        for unit in units_of(process, options.scope == "process")
    ]  # fmt: skip
    scan = Scan(dump.memory, rules, dump.gaps, options.timeout)
    stopped = scan_units(scan, units, options.workers, progress, "bytes of memory")
    clear, hidden, secrets = _rows(dump, scan.hits.values())
    counts: dict[str, int] = {kind: len(units) if kind == "process" else 0 for kind in KINDS}
    sizes: dict[str, int] = {kind: sum(unit.size for unit in units) if kind == "process" else 0 for kind in KINDS}
    rows = clear if options.show_secrets else hidden
    laps = {"scan": round(time.perf_counter() - begun, 4)}
    return Hunt(rows, counts, sizes, laps, rules.count, hidden, secrets, stopped)


def units(
    pid: int, runs: Runs, regions: Iterable[Mapping[str, Any]], program: str, user: str = "", *, whole: bool = False
) -> list[Unit]:
    """A unit a region with pages, or one of all of them with an empty page between two regions.

    program: its executable's path; user: its owner by name or number, as rules ask for it. mms of a unit: the process's
    id alone, by which its hits are known again.
    """
    parts = []
    for region in regions:
        place, frame = pages_between(runs, region["start"], region["end"])
        if len(frame):
            parts.append((region, place, frame))
    if not whole:
        return [
            Unit("process", f"process {pid} region {region['start']:#x}-{region['end']:#x}", place, frame,
                 (region["end"] - region["start"]) // PAGE, mms=[pid], variables=_variables(region, program, user))
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
                 variables=_variables({}, program, user))]  # fmt: skip


def _variables(region: Mapping[str, Any], program: str, user: str) -> dict[str, str]:
    """What rules may ask of a unit, as memir.hunt.variables gives it of RAM; a file's own user is not known here."""
    mapped = None if region.get("anonymous", True) else region["path"]
    path = PurePosixPath(mapped or program)
    where = str(path.parent) if path.name else ""
    return {"filename": path.name, "filepath": where, "extension": path.suffix, "owner": "" if mapped else user}


def pages_between(runs: Runs, start: int, end: int) -> tuple[I64, U64]:
    """(int64[n] pages of a region counted from its first, uint64[n] their frames) that are there."""
    low = np.maximum(runs.start, np.uint64(start))
    high = np.minimum(runs.start + runs.count * np.uint64(PAGE), np.uint64(end))
    rows = np.flatnonzero(high > low)
    of, step = spread(((high[rows] - low[rows]) // np.uint64(PAGE)).astype(np.int64))
    first = ((low[rows] - np.uint64(start)) // np.uint64(PAGE)).astype(np.int64)
    frame = runs.frame[rows] + (low[rows] - runs.start[rows]) // np.uint64(PAGE)
    return first[of] + step, frame[of] + step.astype(np.uint64)


def address_of(runs: Runs, hit: Hit) -> int | None:
    """Virtual address of a hit's first byte; None if no run has it."""
    frame = np.uint64(hit.pages[0])
    rows = np.flatnonzero((runs.frame <= frame) & (frame < runs.frame + runs.count))
    if not len(rows):
        return None
    row = int(rows[0])
    return int(runs.start[row]) + (hit.pages[0] - int(runs.frame[row])) * PAGE + hit.offset


def _rows(dump: Dump, hits: Iterable[Hit]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Secret]]:
    """(rows in clear, rows masked, secrets by hit_id)."""
    known = {process.pid: process for process in dump.processes}
    clear, hidden, secrets = [], [], dict[str, Secret]()
    for hit in sorted(hits, key=lambda hit: (hit.paddr, hit.rule_namespace, hit.rule, hit.string or "", hit.length)):
        hit_id, secret = id_of(hit), SECRET in hit.tags
        data = printable(hit.data)
        if secret:
            data, value = masked_secret(hit, dump.secrets)
            secrets |= {hit_id: value} if value is not None else {}
        for pid in sorted(hit.mms or ()):
            row = {
                **_EMPTY, "image": dump.image, "hit_id": hit_id, "rule": hit.rule,
                "namespace_rule": hit.rule_namespace, "tags": list(hit.tags),
                "meta": [f"{key}={value}" for key, value in hit.meta], "string": hit.string, "paddr": hit.paddr,
                "length": hit.length, "owner": "process", "pid": pid, "vaddr": address_of(known[pid].runs, hit),
                "source": known[pid].source, **known[pid].owner.columns(), "data": data,
                "context": hexdump(hit.before, hit.data, hit.after, masked=secret),
            }  # fmt: skip
            hidden.append(row)
            clear.append(
                {**row, "data": printable(hit.data), "context": hexdump(hit.before, hit.data, hit.after)}
                if secret else row
            )  # fmt: skip
    return clear, hidden, secrets
