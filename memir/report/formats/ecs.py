# SPDX-License-Identifier: Apache-2.0
"""Elastic Common Schema: an alert a line, as Filebeat takes them. What ECS has no field for is below `memir`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from memir import __version__
from memir.report.attack_ids import TACTICS, tactic_name, technique_parts
from memir.report.registry import CaseTables, Format, Options, findings_of

VERSION = "9.4.0"
_SEVERITY = {"info": 1, "low": 21, "medium": 47, "high": 73, "critical": 99}
"""As Elastic Security's rules number them."""


def parts(case: CaseTables, options: Options) -> Iterator[bytes]:
    """JSON lines, ASCII."""
    clock = getattr(getattr(case.record, "identity", None), "clock_utc", None)
    kernel = getattr(getattr(case.record, "kernel", None), "release", None)
    written = getattr(case.record, "written", None)
    for row in findings_of(case, options):
        yield json.dumps(_alert(row, written, clock, kernel), separators=(",", ":")).encode() + b"\n"


def _alert(row: Mapping[str, Any], written: str | None, clock: str | None, kernel: str | None) -> dict[str, Any]:
    parent, inner = technique_parts(row)
    technique: dict[str, Any] = {"id": [parent]}
    if inner is None:
        technique["name"] = [row["technique_name"]]
    else:
        technique["subtechnique"] = {"id": [inner], "name": [row["technique_name"]]}
    time = row["first_seen"].isoformat() if row["first_seen"] else clock or written
    tactics = row["tactics"]
    document: dict[str, Any] = {
        "@timestamp": time,
        "ecs": {"version": VERSION},
        "message": row["title"],
        "event": {
            "kind": "alert", "category": ["intrusion_detection"], "type": ["info"], "id": row["id"],
            "severity": _SEVERITY[row["severity"]], "reason": row["reason"], "module": "memir",
            "dataset": "memir.findings", "created": written, "provider": "memory",
        },
        "rule": {"id": row["kind"], "name": row["kind"], "description": row["why"], "version": __version__},
        "threat": {
            "framework": "MITRE ATT&CK",
            "tactic": {"id": [TACTICS[name] for name in tactics], "name": [tactic_name(name) for name in tactics]},
            "technique": technique,
        },
        "observer": {"vendor": "memir", "product": "memir", "version": __version__},
        "host": {"name": row["node"], "hostname": row["node"], "os": {"kernel": kernel, "type": "linux"}},
        "container": {"id": row["container_id"], "name": row["container_name"]},
        "process": {"pid": row["pid"], "start": row["start_time"].isoformat() if row["start_time"] else None},
        "file": {"path": row["path"]},
        "memir": {
            "evidence": row["evidence"], "check_next": row["check_next"], "benign": row["benign"],
            "missed": row["missed"], "also_known": row["also_known"], "technique_v19": row["technique_v19"],
            "attack_version": row["attack_version"], "severity": row["severity"],
        },
    }  # fmt: skip
    if row["pod_name"] or row["pod_uid"]:
        document["orchestrator"] = {
            "type": "kubernetes", "namespace": row["namespace"],
            "resource": {"type": "pod", "name": row["pod_name"], "id": row["pod_uid"]},
        }  # fmt: skip
    pruned: dict[str, Any] = _pruned(document)
    return pruned


def _pruned(value: Any) -> Any:
    """Without what is not known: null, and objects of which nothing is left."""
    if not isinstance(value, dict):
        return value
    inner = {name: _pruned(part) for name, part in value.items()}
    return {name: part for name, part in inner.items() if part is not None and part != {}}


FORMAT = Format("ecs", "Elastic Common Schema 9.4 alerts, JSON lines", parts)
