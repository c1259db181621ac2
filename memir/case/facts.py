# SPDX-License-Identifier: Apache-2.0
"""What a case records of an image, of an analysis and of a hunt, from the objects that know it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memir.case.identity import read_identity
from memir.case.record import (
    Evidence,
    Facts,
    HuntFacts,
    ImageAnswer,
    KernelFacts,
    OddityRecord,
    Range,
    RulesUsed,
    Run,
    SmearRecord,
)
from memir.case.run import ANALYSIS, rule_files, run_id
from memir.case.seal import Input
from memir.gaps import Gap

if TYPE_CHECKING:
    from memir.hunt.hunt import Hunt, Options
    from memir.hunt.rules import RuleSet
    from memir.kernel.engine import Kernel
    from memir.kernel.ram import Coverage
    from memir.kernel.smear import Smear
    from memir.kube.opens import Access
    from memir.tables.frame import Frame


def facts_of(
    kernel: Kernel,
    *,
    sha256: str | None = None,
    cluster: str | None = None,
    node: str | None = None,
    oddities: Sequence[OddityRecord] = (),
) -> Facts:
    """What a located kernel and its image are; what cannot be read of the identity is a gap. sha256: of the file."""
    memory: Any = kernel.memory
    anchors, space = kernel.anchors, kernel.space
    identity = read_identity(kernel, sha256)
    evidence = Evidence(
        str(memory.path), memory.format, memory.container, memory.file_size, memory.size, memory.missing,
        tuple(Range(start, size) for start, size in identity.ranges), identity.sha256,
    )  # fmt: skip
    known = KernelFacts(
        anchors.arch, anchors.release, anchors.banner, identity.build_id, anchors.shift, space.fmt.levels,
        int(space.root), int(space.direct_delta if anchors.arch == "x86_64" else space.direct[0]),
        len(anchors.symbols.addresses), dict(anchors.sources),
    )  # fmt: skip
    return Facts(identity, (), {}, evidence, cluster, known, node, tuple(oddities))


def with_share(evidence: Evidence | None, coverage: Coverage, smear: Smear | None = None) -> Evidence | None:
    """The evidence with the share of the node's RAM that it holds, and its smear where that was measured."""
    if evidence is None:
        return None
    facts = coverage.facts()
    missing = tuple(Range(part["start"], part["size"]) for part in facts.pop("ram_missing"))
    measured = SmearRecord(**smear.facts()) if smear is not None else None
    return replace(evidence, ram_missing=missing, smear=measured, **facts)


def analysis_run(seconds: float, gaps: Iterable[Gap]) -> Run:
    """The run of an analysis."""
    return Run(ANALYSIS, "analyze", round(seconds, 3), gaps=tuple(gaps))


def hunt_id(rules: RuleSet, options: Options) -> tuple[str, tuple[Input, ...]]:
    """(id of a hunt's run, its rule files). Which rules, externals and options: not how many threads, nor what is
    shown."""
    files = rule_files(rules.files)
    wanted = options.wanted
    chosen = {
        "kinds": options.kinds,
        "scope": options.scope,
        "timeout": options.timeout,
        **{name: getattr(wanted, name) for name in wanted.__dataclass_fields__},
    }
    return run_id(files, rules.externals, chosen), tuple(Input("rules", rule.path, rule.sha256) for rule in files)


def hunt_run(run: str, facts: HuntFacts, seconds: float, gaps: Iterable[Gap]) -> Run:
    """The run of a hunt."""
    return Run(run, "hunt", round(seconds, 3), gaps=tuple(gaps), hunt=facts)


def hunt_facts(
    rules: RuleSet,
    options: Options,
    *,
    hits: int,
    rows: int,
    scanned: dict[str, int],
    units: dict[str, int] | None = None,
    laps: dict[str, float] | None = None,
    images: Sequence[ImageAnswer] = (),
) -> HuntFacts:
    """A hunt as the case records it. scanned: bytes by kind of memory."""
    used = RulesUsed(tuple(str(path) for path in rules.files), rules.count, tuple(rules.notes))
    return HuntFacts(
        used, options.scope, tuple(sorted(options.kinds)), hits, rows, scanned, units or {}, laps or {}, tuple(images)
    )


def secrets_of_hits(hunt: Hunt, facts: Facts, access: Access | None = None) -> Frame:
    """Rows of the table `secrets` for what a hunt's rules tagged `secret` matched. access: what they open."""
    from memir.hunt.secrets import TABLE, rows_of_hits

    clock = facts.identity.clock if facts.identity is not None else None
    return TABLE.rows(rows_of_hits(hunt.masked, hunt.secrets, clock, access))


def gaps_since(before: Sequence[Gap], after: Iterable[Gap]) -> tuple[Gap, ...]:
    """What was added to collected gaps after `before` was taken of them."""
    counts = {(gap.kind, gap.why): gap.count for gap in before}
    more = ((gap, gap.count - counts.get((gap.kind, gap.why), 0)) for gap in after)
    return tuple(Gap(gap.kind, gap.where, gap.why, count) for gap, count in more if count > 0)
