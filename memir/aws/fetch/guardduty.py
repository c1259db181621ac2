# SPDX-License-Identifier: Apache-2.0
"""GuardDuty's findings about a cluster and one of its nodes, of what was seen in the time asked for.

A finding goes on being updated while the same is seen again: asked for are those updated since the beginning, and kept
those of which something was seen before the end.

https://docs.aws.amazon.com/guardduty/latest/APIReference/API_ListFindings.html: conditions are AND-ed, so the node's
and the cluster's are asked for apart, and a finding that both have is kept once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from memir.aws.errors import calling
from memir.aws.fetch.scope import Piece, Scope, Source, Unread, json_lines
from memir.aws.fetch.window import text

_MOST = 50  # ids of one GetFindings
MAX_FINDINGS = 50_000


def _pieces(scope: Scope) -> Iterable[Piece]:
    with calling("guardduty:ListDetectors", "GuardDuty"):
        detectors = [
            str(name) for page in scope.client("guardduty").get_paginator("list_detectors").paginate()
            for name in page["DetectorIds"]
        ]  # fmt: skip
    if not detectors:
        scope.unread.append(Unread("guardduty", f"GuardDuty is not on in region {scope.region}"))
    for detector in detectors:
        name = f"guardduty/findings-{detector}-{scope.window.name}.jsonl.gz"
        yield Piece(name, scope.window.end, functools.partial(_lines, scope, detector))


def _lines(scope: Scope, detector: str) -> Iterator[bytes]:
    return json_lines(_findings(scope, detector))


def _findings(scope: Scope, detector: str) -> Iterator[dict[str, Any]]:
    ids = list(dict.fromkeys(ident for condition in _conditions(scope) for ident in _ids(scope, detector, condition)))
    if len(ids) > MAX_FINDINGS:
        scope.unread.append(Unread("guardduty", f"{len(ids) - MAX_FINDINGS:,} of {len(ids):,} findings: too many"))
        ids = ids[:MAX_FINDINGS]
    client = scope.client("guardduty")
    for start in range(0, len(ids), _MOST):
        with calling("guardduty:GetFindings", f"detector {detector}"):
            findings = client.get_findings(DetectorId=detector, FindingIds=ids[start : start + _MOST])["Findings"]
        yield from (finding for finding in findings if _first(finding) < text(scope.window.end))


def _first(finding: dict[str, Any]) -> str:
    """When it was seen first, as GuardDuty writes it: ISO 8601, UTC."""
    return str(finding.get("Service", {}).get("EventFirstSeen") or finding.get("CreatedAt") or "")


def _conditions(scope: Scope) -> Iterator[dict[str, Any]]:
    updated = {"updatedAt": {"GreaterThanOrEqual": scope.window.milliseconds[0]}}
    yield {**updated, "resource.eksClusterDetails.name": {"Equals": [scope.cluster]}}
    if scope.node:
        yield {**updated, "resource.instanceDetails.instanceId": {"Equals": [str(scope.instance["InstanceId"])]}}


def _ids(scope: Scope, detector: str, condition: dict[str, Any]) -> Iterator[str]:
    pages = scope.client("guardduty").get_paginator("list_findings")
    with calling("guardduty:ListFindings", f"detector {detector}"):
        for page in pages.paginate(DetectorId=detector, FindingCriteria={"Criterion": condition}):
            yield from page["FindingIds"]


SOURCE = Source(
    "guardduty", "GuardDuty findings", _pieces,
    (("guardduty:ListDetectors", "*"), ("guardduty:ListFindings", "*"), ("guardduty:GetFindings", "*")),
)  # fmt: skip
