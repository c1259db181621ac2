# SPDX-License-Identifier: Apache-2.0
"""Hunt one image: cut it into units, scan them, and say whose the hits are."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from memir.errors import UsageError
from memir.hunt.memory import Memory, read_memory
from memir.hunt.owner import Attribution
from memir.hunt.rules import RuleSet
from memir.hunt.scan import Scan
from memir.hunt.scanning import Progress, scan_units, tell_left_out
from memir.hunt.units import (
    KINDS,
    Kind,
    Unit,
    file_units,
    process_units,
    whole_processes,
    window_units,
)
from memir.hunt.variables import mapping_of, set_variables
from memir.hunt.wanted import Wanted
from memir.kernel import sched
from memir.kernel.engine import Kernel
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import distinct
from memir.kernel.rss_stat import page_counts
from memir.kube.owner import NODE
from memir.kube.ram import RamSource
from memir.kube.secrets import Secret
from memir.kube.snapshot import ClusterSnapshot

Scope = Literal["region", "process"]
OWNED: frozenset[Kind] = frozenset({"process", "files"})
"""Kinds of memory that can be a pod's, a container's or a process's."""


@dataclass(frozen=True)
class Options:
    """What to hunt through. workers: threads; timeout: seconds a unit may take with all rules."""

    kinds: frozenset[Kind] = frozenset(KINDS)
    wanted: Wanted = field(default_factory=Wanted)
    scope: Scope = "region"
    timeout: int = 60
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    show_secrets: bool = False
    cluster: ClusterSnapshot | None = None


@dataclass(frozen=True)
class Hunt:
    """What was found. rows: of the table `hits`. units and scanned (bytes): by kind.

    masked: the rows as a case keeps them, whatever Options.show_secrets asks for. secrets: by hit_id. stopped: by the
    user, early.
    """

    rows: list[dict[str, Any]]
    units: dict[str, int]
    scanned: dict[str, int]
    seconds: dict[str, float]
    rules: int
    masked: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, Secret] = field(default_factory=dict)
    stopped: bool = False

    @property
    def hits(self) -> int:
        """Physical hits, each counted once however many owners it has."""
        return len({row["hit_id"] for row in self.rows})


def parse_kinds(text: str | None) -> frozenset[Kind]:
    """`process,files,...` of --kinds; UsageError for a word that is none. Nothing given: all."""
    if not text:
        return frozenset(KINDS)
    words = [word.strip() for word in text.split(",") if word.strip()]
    odd = [word for word in words if word not in KINDS]
    if odd or not words:
        raise UsageError(f"--kinds {text}: {', '.join(odd) or 'nothing'} is no kind; there are {', '.join(KINDS)}")
    return frozenset(kind for kind in KINDS if kind in words)


def hunt(
    kernel: Kernel,
    rules: RuleSet,
    options: Options | None = None,
    *,
    node: RamSource | None = None,
    progress: Progress | None = None,
    secret_key: bytes | None = None,
) -> Hunt:
    """Scan an image's units with rules. What could not be read or judged is in kernel.gaps.

    secret_key: of the fingerprints of passwords, where `node` is not given and has none.
    """
    options = options or Options()
    clock = _Clock()
    tell_left_out(rules, kernel.gaps)
    if node is None and options.wanted:
        node = RamSource(kernel, options.cluster)
    threads = node.processes.threads if node is not None else sched.tasks(kernel)
    memory = read_memory(kernel, threads.task, threads.tgid, options.workers)
    if page_counts(kernel, memory.mm).swapped.any():
        node = node or RamSource(kernel, options.cluster)
        _ = node.swapped  # counts as gaps what cannot be scanned
    clock.lap("memory")
    units = _units(memory, rules, options, node)
    if rules.unit_externals:
        set_variables(memory, units)
    clock.lap("units")
    scan = Scan(kernel.memory, rules, kernel.gaps, options.timeout)
    attribution: Attribution | None = None

    def read_owners() -> None:
        nonlocal node, attribution
        node = node or RamSource(kernel, options.cluster)
        node.secret_key = node.secret_key or secret_key
        attribution = Attribution(node, memory)

    stopped = scan_units(scan, units, options.workers, progress, "bytes of RAM", read_owners)
    clock.lap("scan")
    hidden: list[dict[str, Any]] = []
    rows, secrets = hidden, dict[str, Secret]()

    def give_owners() -> None:
        nonlocal hidden, rows, secrets
        if attribution is None:
            read_owners()
        assert attribution is not None
        hidden = attribution.rows(scan.hits.values(), options.kinds, options.wanted)
        rows = attribution.revealed(hidden) if options.show_secrets else hidden
        secrets = attribution.secrets

    if scan.hits:
        try:
            give_owners()
        except KeyboardInterrupt:  # after the scan: its hits are not thrown away, unless it comes a second time
            if stopped:
                raise
            stopped = True
            give_owners()
    clock.lap("owners")
    counts: dict[str, int] = {kind: sum(unit.kind == kind for unit in units) for kind in KINDS}
    sizes: dict[str, int] = {kind: sum(unit.size for unit in units if unit.kind == kind) for kind in KINDS}
    return Hunt(rows, counts, sizes, clock.seconds, rules.count, hidden, secrets, stopped)


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._last, 4)
        self._last = now


def _units(memory: Memory, rules: RuleSet, options: Options, node: RamSource | None) -> list[Unit]:
    chosen = np.ones(len(memory.mm), bool)
    wanted_files: U64 | None = None
    kinds = options.kinds
    if options.wanted and node is not None:
        chosen, wanted_files = _wanted(memory, node, options.wanted)
        kinds = kinds & OWNED
    units: list[Unit] = []
    if "process" in kinds:
        if options.scope == "process":
            units += whole_processes(memory, chosen)
        else:
            # a file that is scanned whole need not be scanned again where it is mapped, if rules cannot tell
            # the difference
            programs = None
            if rules.unit_externals:
                exe = memory.kernel.pointer(memory.mm, "mm_struct", "exe_file", gap=False)
                programs = mapping_of(memory.kernel, exe).tolist()
            units += process_units(memory, chosen, rules.monotone and "files" in kinds, programs)
    if "files" in kinds:
        units += file_units(memory, wanted_files)
    return units + window_units(memory, [kind for kind in KINDS if kind in kinds])


def _wanted(memory: Memory, node: RamSource, wanted: Wanted) -> tuple[Bools, U64]:
    """Address spaces and files (struct address_space) of those that are asked for: their own and those they
    map."""
    who = {pid: node.owners.process(pid) or NODE for pids in memory.pids for pid in pids}
    chosen = np.array([any(wanted.has(who[pid], pid) for pid in pids) for pids in memory.pids], bool)
    kernel = memory.kernel
    mine = chosen[memory.vmas.owner] & (memory.vmas.file != 0)
    mapped = kernel.pointer(memory.vmas.file[mine], "file", "f_mapping", gap=False)
    owned: list[int] = []
    if not wanted.pids:
        every = distinct(memory.pages.mapping)
        owners = Attribution(node, memory).files.of(every.tolist())
        owned = [address for address, info in owners.items() if any(wanted.has(owner, None) for owner in info.owners)]
    return chosen, np.union1d(mapped, np.array(owned, np.uint64))
