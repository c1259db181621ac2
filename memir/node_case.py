# SPDX-License-Identifier: Apache-2.0
"""What a node's tables and hunts become in a case: the entries, their inputs and gaps, and the seal over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from memir.case.facts import analysis_run, hunt_run, secrets_of_hits, with_share
from memir.case.record import updated
from memir.case.refind import findings_with
from memir.case.seal import Input
from memir.hunt.hits import TABLE as HITS
from memir.kube.opens import Access
from memir.tables.frame import Frame

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.case.case import Case
    from memir.case.record import CaseRecord, Facts, Run
    from memir.hits import Hunted
    from memir.image.memory import PhysicalMemory
    from memir.kernel.ram import Coverage
    from memir.kernel.smear import Smear
    from memir.kube.ram import RamSource
    from memir.logs.source import LogSource
    from memir.view import View

Progress = Callable[[str, int, int], None]


class _Node(Protocol):
    """What of a memir.Node is written: its tables, each read when it is asked for, and the hunts so far."""

    source: RamSource
    cluster: str | None
    logs: LogSource | None
    hunted: list[Hunted]

    @property
    def name(self) -> str | None: ...
    @property
    def memory(self) -> PhysicalMemory: ...
    @property
    def coverage(self) -> Coverage: ...
    @property
    def default_tables(self) -> tuple[str, ...]: ...
    def __getitem__(self, name: str) -> View: ...
    def use_key(self, key: bytes) -> None: ...
    def facts(self, sha256: str | None = None) -> Facts: ...
    def smear(self) -> Smear | None: ...


def write(
    node: _Node,
    case: Case | None,
    *,
    tables: Iterable[str] | None = None,
    extra: Mapping[str, pa.Table] | None = None,
    sha256: bool = False,
    sign_key: Any = None,
    hunts_only: bool = False,
    begun: float,
    progress: Progress | None = None,
) -> CaseRecord:
    """Write tables and hunts, and seal; without a case the record is made, and nothing is written.

    The arguments of Node.save(). hunts_only: leave the tables as they are but for the findings, which hits may add to.
    begun: when the analysis began, by time.monotonic().
    """
    facts = node.facts(node.memory.sha256(progress) if sha256 else None)
    if case is not None:
        case.check(facts)
        node.use_key(case.secret_key())
    smear = None if hunts_only else node.smear()
    facts = replace(facts, evidence=with_share(facts.evidence, node.coverage, smear))
    writes: list[tuple[dict[str, Any], Run]] = []
    if not hunts_only:
        _ = node.source.swapped  # a gap for each pod that has memory there
        read = _read(node, node.default_tables if tables is None else tuple(tables), progress) | dict(extra or {})
        facts = replace(facts, node=node.name, cluster=node.cluster)
        frames = {name: Frame(table) for name, table in read.items()}
        writes.append((frames, analysis_run(time.monotonic() - begun, node.source.gaps)))
    writes += _hunts(node, facts)
    inputs = _inputs(node, facts, hunts_only)
    node.memory.check_unchanged()
    record: CaseRecord | None = None
    for written, run in writes:
        if case is not None:
            if hunts_only:
                again = findings_with(case, {name: frame.to_arrow() for name, frame in written.items()}, run.run)
                written.update({} if again is None else {"findings": again})
            secrets = node.source.secrets.values
            record = case.add_tables(written, run, facts, inputs=inputs, secrets=secrets, key=sign_key)
        else:
            counts = {name: len(frame) for name, frame in written.items()}
            record = updated(record, replace(run, tables=counts), facts, counts)
    assert record is not None  # an analysis or a hunt is always written
    return record


def _read(node: _Node, names: tuple[str, ...], progress: Progress | None) -> dict[str, pa.Table]:
    read = {}
    for number, name in enumerate(names):
        if progress is not None:
            progress(f"reading {name}", number, len(names))
        read[name] = node[name].to_arrow()
    if progress is not None:
        progress("reading tables", len(names), len(names))
    return read


def _hunts(node: _Node, facts: Facts) -> list[tuple[dict[str, Any], Run]]:
    access = Access(node.source.cluster)
    writes: list[tuple[dict[str, Any], Run]] = []
    for hunted in node.hunted:
        done = hunt_run(hunted.run, hunted.facts, hunted.seconds, hunted.gaps)
        hits = HITS.rows({**row, "run": hunted.run} for row in hunted.result.masked)
        writes.append(({"hits": hits, "secrets": secrets_of_hits(hunted.result, facts, access)}, done))
    return writes


def _inputs(node: _Node, facts: Facts, hunts_only: bool) -> list[Input]:
    inputs = [Input("image", str(node.memory.path), facts.identity.sha256 if facts.identity else None)]
    if node.logs is not None and not hunts_only:
        inputs += [Input("log", path, digest) for path, digest in node.logs.hashes.items()]
    for hunted in node.hunted:
        inputs += hunted.inputs
    return inputs
