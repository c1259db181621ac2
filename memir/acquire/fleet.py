# SPDX-License-Identifier: Apache-2.0
"""Several nodes at once: one evidence folder each, bounded parallelism, failures apart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.acquire.run import Acquisition
from memir.errors import Interrupted, MemirError
from memir.evidence.progress import Progress, Report


@dataclass(frozen=True, slots=True)
class Outcome:
    """One node's end: its receipt, or why there is none (or why it is not complete)."""

    name: str
    evidence: Path
    receipt: Mapping[str, Any] | None
    error: MemirError | None


Make = Callable[[str, Report], Acquisition]
"""Builds the acquisition of a node by its name; what it raises is that node's failure alone."""


def acquire_many(
    names: Sequence[str],
    make: Make,
    *,
    parallel: int = 4,
    report: Callable[[str, Progress], None] | None = None,
) -> list[Outcome]:
    """Acquire every node, at most `parallel` at a time; outcomes in the order of `names`.

    An interruption stops every running node safely (each keeps its partial evidence) and starts no other; it
    is each one's own outcome then, not an exception.
    """
    cancel = threading.Event()
    told = report or (lambda _name, _progress: None)

    def acquire(name: str) -> Outcome:
        def watch(progress: Progress) -> None:
            if cancel.is_set():
                raise Interrupted("interrupted by the user")
            told(name, progress)

        evidence = Path(name)
        try:
            if cancel.is_set():
                raise Interrupted("interrupted before it began")
            acquisition = make(name, watch)
            evidence = acquisition.evidence
            return Outcome(name, evidence, acquisition.execute(), None)
        except MemirError as error:
            return Outcome(name, evidence, None, error)

    with ThreadPoolExecutor(max(1, parallel), thread_name_prefix="memir-node") as pool:
        jobs = [pool.submit(acquire, name) for name in names]
        left: set[Future[Outcome]] = set(jobs)
        while left:
            try:
                _, left = wait(left, timeout=0.5, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                cancel.set()
    return [job.result() for job in jobs]


def worst(outcomes: Sequence[Outcome]) -> int:
    """The exit code for all.

    0 if every image is complete, 130 if interrupted, else the highest of the errors'.
    """
    codes = [outcome.error.exit_code for outcome in outcomes if outcome.error is not None]
    return max(codes, default=0)
