# SPDX-License-Identifier: Apache-2.0
"""Every detection over the tables of a node, as rows of the table `findings`, the worst first."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from memir.findings.attack import VERSION, technique
from memir.findings.finding import SEVERITIES, Detection, Match
from memir.findings.look import ImageFacts, Look
from memir.findings.registry import detections
from memir.findings.table import TABLE
from memir.tables.frame import Frame
from memir.tables.sql import connected

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.gaps import Gap

_OWNER = ("container_id", "container_name", "pod_uid", "pod_name", "namespace")
_MOST_GAPS = 5
"""Kinds of gaps that one finding lists; the case's gaps have all."""


def detect(tables: Mapping[str, pa.Table], facts: ImageFacts, only: Collection[str] | None = None) -> Frame:
    """The table `findings`. tables: those that were read, by name; a detection whose tables are absent is left out.

    only: these kinds, all if None."""
    with connected(tables) as connection:
        look = Look(tables, connection, facts)
        chosen = [detection for detection in able(tables) if only is None or detection.kind in only]
        rows = [_row(detection, match, look) for detection in chosen for match in _once(detection, look)]
    rows.sort(key=lambda row: (-SEVERITIES.index(row["severity"]), row["namespace"] or "~", row["pod_name"] or "~",
                               row["kind"], row["pid"] or 0, row["id"]))  # fmt: skip
    return TABLE.rows(rows)


_OF_A_NODE = frozenset({
    "exec-session", "hidden-socket", "hidden-task", "hollowed-process", "joined-namespaces", "left-cgroup",
    "namespaces-differ", "node-namespaces", "other-pods-cgroup", "traced", "unknown-container", "unknown-pod",
    "unlisted-task",
})  # fmt: skip
"""Kinds that hold a container's processes against the node's, or the kernel's lists against each other."""


def able(tables: Iterable[str]) -> list[Detection]:
    """The detections that can look: all their tables are there, and where there is no node they need none."""
    there = set(tables)
    return [each for each in detections().values() if there.issuperset(each.tables) and not _no_node(each.kind, there)]


def _no_node(kind: str, there: set[str]) -> bool:
    return kind in _OF_A_NODE and not there.isdisjoint(("collections", "checkpoints"))


def unable(tables: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The tables that lack, by kind of what was therefore not looked for; not of kinds that an option would give."""
    there = set(tables)
    lacking = {
        kind: tuple(name for name in each.tables if name not in there)
        or (("namespaces",) if _no_node(kind, there) else ())
        for kind, each in detections().items()
    }
    return {kind: names for kind, names in lacking.items() if names and not _option(kind, there)}


def unasked(tables: Iterable[str]) -> dict[str, list[str]]:
    """By the option that would give it what it compares with, and of what: kinds that were not looked for without it.

    A kind whose logs were given, and that lacks another table, is in unable().
    """
    there = set(tables)
    kinds: dict[str, list[str]] = {}
    for kind in detections():
        if option := _option(kind, there):
            kinds.setdefault(option, []).append(kind)
    return kinds


def _option(kind: str, there: set[str]) -> str:
    """`--logs (CloudTrail events)`: the option that would give a kind the tables that it lacks; "" for none."""
    from memir.logs.formats import derived, formats

    detection = detections()[kind]
    if not detection.given_by:
        return ""
    if detection.given_by != "--logs":
        return "" if there.issuperset(detection.tables) else detection.given_by
    words = {each.table: each.words for each in formats()}
    logs = [derived().get(name, name) for name in detection.tables if name not in there]
    named = dict.fromkeys(words[name] for name in logs if name in words)
    return f"--logs ({', '.join(named)})" if named else ""


def _once(detection: Detection, look: Look) -> Iterable[Match]:
    """Its matches, each thing once: the worst one that it says of it."""
    worst: dict[str, Match] = {}
    for match in detection.find(look):
        old = worst.setdefault(detection.id_of(match), match)
        if SEVERITIES.index(match.severity) > SEVERITIES.index(old.severity):
            worst[detection.id_of(match)] = match
    return worst.values()


def _row(detection: Detection, match: Match, look: Look) -> dict[str, Any]:
    attack = technique(match.technique or detection.technique)
    start = match.row.get("start_time")
    return {
        "id": detection.id_of(match),
        "kind": detection.kind,
        "severity": match.severity,
        "reason": match.reason,
        "title": match.title,
        "pid": match.row.get("pid"),
        "start_time": start,
        "node": look.facts.node,
        "path": match.path,
        "technique": attack.id,
        "technique_name": attack.name,
        "tactics": list(attack.tactics),
        "attack_version": VERSION,
        "technique_v19": attack.v19,
        "evidence": [{"table": proof.table, "key": proof.key} for proof in match.proofs],
        "first_seen": match.first_seen or start,
        "why": detection.why,
        "check_next": [*match.check_next, *detection.check_next],
        "benign": list(detection.benign),
        "missed": [*detection.missed, *_unread(detection, look.facts.gaps)],
        "also_known": list(detection.also_known),
        "source": f"detection {detection.kind}",
        **{name: match.row.get(name) for name in _OWNER},
    }


def _unread(detection: Detection, gaps: Iterable[Gap]) -> list[str]:
    """What could not be read of what the detection looks at."""
    kinds = ("RAM", *detection.gaps)
    lines = [f"{gap.count:,} {gap.kind}: {gap.why}" for gap in gaps if kinds and gap.kind.startswith(kinds)]
    more = len(lines) - _MOST_GAPS
    return lines[:_MOST_GAPS] + ([f"{more} more kinds of gaps"] if more > 0 else [])
