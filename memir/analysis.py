# SPDX-License-Identifier: Apache-2.0
"""A whole analysis of an image: tables, a hunt, findings, tables of others, kept as a case even if it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.case.case import Case
    from memir.case.record import CaseRecord
    from memir.hunt.rules import RuleSet
    from memir.node import Node, Progress

_FIRST = ("processes", "containers", "pods")
"""What is asked first, and costs little: read before all RAM is looked through, so that who interrupts has it."""
_LAST = frozenset({"pages", "secrets"})
"""Tables that grow with the RAM: read last, so that who interrupts a large image has what is asked first."""
_SOME = 4  # tables from which on it pays to read one of them beside the others
Extra = Callable[["Node"], Mapping[str, "pa.Table"]]
"""Gives more tables of a node: those of volatility3's plugins, which nothing here may import."""


@dataclass(frozen=True)
class Analysis:
    """node: still open. record: the case's document, made also where no case was written. tables: as Arrow, by name.

    stopped: the user interrupted it (Ctrl-C); what was read before is there, and what was not is a gap.
    """

    node: Node
    record: CaseRecord
    tables: dict[str, pa.Table] = field(default_factory=dict)
    stopped: bool = False

    @property
    def whole(self) -> bool:
        """Whether all of the node's System RAM is in the image."""
        return self.node.coverage.whole

    def document(self) -> dict[str, Any]:
        """The record as JSON holds it, with when the RAM was taken and how much of it is in the image."""
        from memir.info import iso_time

        document = self.record.to_json()
        clock = self.record.identity.clock if self.record.identity is not None else None
        return {"coverage": self.node.coverage.text(), "clock": iso_time(clock), **document}


def analyze(
    image: str | Path,
    case: str | Path | Case | None = None,
    *,
    tables: Sequence[str] | None = None,
    rules: str | Path | Sequence[str | Path] | RuleSet | None = None,
    extra: Extra | None = None,
    ioc: str | Path | None = None,
    force: bool = False,
    sha256: bool = False,
    sign_key: Any = None,
    progress: Progress | None = None,
    **given: Any,
) -> Analysis:
    """Read the tables of an image, hunt with rules if some are given, and keep it all as a case.

    tables: read these alone (UsageError for a name that there is not); findings are then of them alone. One with a "+"
    before its name is read beside those that are read by default. ioc: file of
    known indicators. given: as of memir.open (cluster, btf, cache ...). What can fail for reasons outside the image
    fails first: the case's folder, the rules and the indicators. Errors as of memir.open, Node.hunt and Node.save; an
    interruption before the first table is read is one.
    """
    from memir.case.case import Case

    target = Case.create(Path(case), force=force) if isinstance(case, str | Path) else case
    with nullcontext() if target is None else target.begun():
        return _analyze(image, target, tables, rules, extra, ioc, sha256, sign_key, progress, given)


def _analyze(
    image: str | Path, target: Case | None, tables: Sequence[str] | None,
    rules: str | Path | Sequence[str | Path] | RuleSet | None, extra: Extra | None, ioc: str | Path | None,
    sha256: bool, sign_key: Any, progress: Progress | None, given: Mapping[str, Any],
) -> Analysis:  # fmt: skip
    from memir.errors import UsageError
    from memir.findings.detect import able
    from memir.findings.indicators import read_indicators
    from memir.hunt.rules import RuleSet
    from memir.hunt_options import compile_rules
    from memir.interrupt import held_back
    from memir.node import FINDINGS, INDICATORS
    from memir.open_node import open as open_node

    compiled = rules if rules is None or isinstance(rules, RuleSet) else compile_rules(rules)
    if ioc is not None:
        read_indicators(Path(ioc))
    node = open_node(image, progress=progress, **given)
    named = {name.removeprefix("+") for name in tables or ()}
    if unknown := sorted(named - set(node.tables)):
        if unknown[0] == "secrets" and given.get("secrets") is False:
            raise UsageError("the table secrets is both asked for (--tables) and left out (--no-secrets)")
        raise UsageError(f"there is no table {unknown[0]}; a node has {', '.join(node.tables)}")
    if target is not None:
        node.check(target)
    beside = tables is None or any(name.startswith("+") for name in tables)
    wanted = named | set(node.default_tables if beside else ())
    chosen = [name for name in node.tables if name != FINDINGS and name in wanted]
    chosen.sort(key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST) + (name in _LAST))
    read: dict[str, pa.Table] = {} if ioc is None else {INDICATORS: node.use_indicators(ioc).to_arrow()}
    more: Mapping[str, pa.Table] = {}
    stopped = False
    try:
        with ExitStack() as beside_it:
            for number, name in enumerate(chosen):
                if name not in _FIRST and (not number or chosen[number - 1] in _FIRST):
                    beside_it.enter_context(_beside(node, chosen))
                if progress is not None:
                    progress(f"reading {name}", number, len(chosen))
                read[name] = node[name].to_arrow()
        if progress is not None:
            progress("reading tables", len(read), len(read))
        if compiled is not None:
            hits = node.hunt(compiled)
            read["hits"], stopped = hits.to_arrow(), hits.stopped
        if extra is not None and not stopped:
            more = extra(node)
    except KeyboardInterrupt:
        if not read:
            raise
        stopped = True
        for name in (*chosen, *(() if able(read) else (FINDINGS,))):
            if name not in read:
                node.gaps.add("table", name, "interrupted by the user before it was read")
    with held_back():  # what took its time is kept
        if able(read):  # else nothing was looked for, and no findings would look like a clean node
            read[FINDINGS] = node.find(name for name in read if name != "hits").to_arrow()
        names = [name for name in read if name != "hits"]
        record = node.write(target, tables=names, extra=more, sha256=sha256 and not stopped, sign_key=sign_key)
    return Analysis(node, record, read | dict(more), stopped)


def _beside(node: Node, chosen: Sequence[str]) -> AbstractContextManager[None]:
    """What needs no interpreter begins before most tables: the look for secrets, where others are read too."""
    from memir.hunt.secrets import TABLE, looked_for_beside
    from memir.kube.ram import RamSource

    source = node.source
    if TABLE.name not in chosen or len(chosen) < _SOME or not isinstance(source, RamSource):
        return nullcontext()
    return looked_for_beside(source)
