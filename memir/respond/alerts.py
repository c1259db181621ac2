# SPDX-License-Identifier: Apache-2.0
"""GuardDuty findings by their id, asked of the account: ListDetectors, GetFindings; reads alone.

An id is 32 hexadecimal digits; a finding's ARN names detector and region too, as EventBridge's and the console's do.
https://docs.aws.amazon.com/guardduty/latest/APIReference/API_GetFindings.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from memir.aws.client import Client, Connection, service_client
from memir.aws.errors import calling
from memir.errors import EvidenceError, UsageError
from memir.respond.guardduty import clue_of, findings_in
from memir.respond.match import Clue

ID = re.compile(r"[0-9a-f]{32}")
ARN = re.compile(r"arn:aws[a-z-]*:guardduty:([a-z0-9-]+):\d{12}:detector/([0-9a-f]{32})/finding/([0-9a-f]{32})")
MOST = 50
"""Ids of one GetFindings."""


def is_id(word: str) -> bool:
    """Whether a word is a finding's id or ARN, not the name of a file."""
    return bool(ID.fullmatch(word) or ARN.fullmatch(word))


def ask_findings(words: Sequence[str], connection: Connection) -> list[Clue]:
    """What the findings say of pods and nodes.

    Raises UsageError for one that is not there, EvidenceError for one that names no pod or node, RemoteError.
    """
    regions: dict[str | None, dict[str, list[str]]] = {}
    for word in words:
        arn = ARN.fullmatch(word)
        region, detector = (arn[1], arn[2]) if arn else (connection.region, "")
        regions.setdefault(region, {}).setdefault(detector, []).append(arn[3] if arn else word)
    clues = []
    for region, detectors in regions.items():
        client = service_client("guardduty", replace(connection, region=region), attempts=3)
        for detector, ids in detectors.items():
            clues += list(_clues(client, detector or _detector(client), ids))
    return clues


def _detector(client: Client) -> str:
    """The one detector of the account in the client's region."""
    region = client.meta.region_name
    with calling("guardduty:ListDetectors", f"GuardDuty in {region}"):
        listed = client.list_detectors()["DetectorIds"]
    if not listed:
        raise UsageError(f"GuardDuty is not on in {region}: give --region, or the finding's ARN")
    return str(listed[0])


def _clues(client: Client, detector: str, ids: Sequence[str]) -> Iterator[Clue]:
    items: dict[str, Any] = {}
    for start in range(0, len(ids), MOST):
        asked = list(ids[start : start + MOST])
        with calling("guardduty:GetFindings", f"detector {detector}"):
            answer = client.get_findings(DetectorId=detector, FindingIds=asked)
        items |= {str(item["Id"]): item for item in answer["Findings"]}
    for ident in ids:
        if ident not in items:
            raise UsageError(
                f"--guardduty {ident}: detector {detector} in {client.meta.region_name} has no such finding: is it of"
                " another region (--region) or account (--profile)? GuardDuty keeps findings for 90 days"
            )
        clue = next((clue for item in findings_in(items[ident]) if (clue := clue_of(item)) is not None), None)
        if clue is None:
            raise EvidenceError(
                f"--guardduty {ident}: the finding names no pod, workload or instance: say which, --pod or --node"
            )
        yield clue
