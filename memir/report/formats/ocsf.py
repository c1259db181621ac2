# SPDX-License-Identifier: Apache-2.0
"""OCSF 1.8: a Detection Finding (class 2004) a line, for Security Lake and others. https://schema.ocsf.io/1.8.0"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from memir import __version__
from memir.findings.look import where
from memir.report.attack_ids import TACTICS, tactic_name, technique_parts
from memir.report.registry import CaseTables, Format, Options, findings_of

VERSION = "1.8.0"
_SEVERITY = {"info": (1, "Informational"), "low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High"),
             "critical": (5, "Critical")}  # fmt: skip


def parts(case: CaseTables, options: Options) -> Iterator[bytes]:
    """JSON lines, ASCII."""
    written = datetime.fromisoformat(case.record.written) if case.record is not None else None
    clock = getattr(getattr(case.record, "identity", None), "clock", None)
    for row in findings_of(case, options):
        yield json.dumps(_finding(row, written, clock), separators=(",", ":")).encode() + b"\n"


def _finding(row: Mapping[str, Any], written: datetime | None, clock: int | None) -> dict[str, Any]:
    number, caption = _SEVERITY[row["severity"]]
    time = _ms(row["first_seen"]) or (clock // 1_000_000 if clock is not None else _ms(written) or 0)
    product = {"name": "memir", "vendor_name": "memir", "version": __version__}
    return {
        "activity_id": 1, "activity_name": "Create", "category_uid": 2, "category_name": "Findings",
        "class_uid": 2004, "class_name": "Detection Finding", "type_uid": 200401,
        "type_name": "Detection Finding: Create", "time": time, "severity_id": number, "severity": caption,
        "status_id": 1, "status": "New", "message": row["title"],
        "metadata": {"version": VERSION, "product": product, "uid": row["id"], "log_name": "findings"},
        "finding_info": _without_none({
            "uid": row["id"], "title": row["title"], "desc": f"{row['reason']}. {row['why']}", "types": [row["kind"]],
            "first_seen_time": _ms(row["first_seen"]), "created_time": _ms(written), "data_sources": ["memory"],
            "analytic": {"type_id": 1, "type": "Rule", "name": row["kind"], "uid": row["kind"], "version": __version__},
            "attacks": [_attack(row, tactic) for tactic in row["tactics"]],
        }),
        "remediation": {"desc": "; ".join(row["check_next"] or ["nothing further is known"])},
        "resources": _resources(row), "evidences": list(_evidences(row)),
        "unmapped": _without_none({
            "benign": row["benign"], "missed": row["missed"], "also_known": row["also_known"],
            "technique_v19": row["technique_v19"], "where": where(row),
        }),
    }  # fmt: skip


def _attack(row: Mapping[str, Any], tactic: str) -> dict[str, Any]:
    parent, inner = technique_parts(row)
    named = {"uid": TACTICS[tactic], "name": tactic_name(tactic)}
    attack: dict[str, Any] = {"version": row["attack_version"], "tactic": named, "technique": {"uid": parent}}
    if inner is None:
        attack["technique"]["name"] = row["technique_name"]
    else:
        attack["sub_technique"] = {"uid": inner, "name": row["technique_name"]}
    return attack


def _resources(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = []
    if row["pod_uid"] or row["pod_name"]:
        known.append({"type": "Kubernetes Pod", "uid": row["pod_uid"], "name": row["pod_name"],
                      "namespace": row["namespace"]})  # fmt: skip
    if row["container_id"] or row["container_name"]:
        known.append({"type": "Container", "uid": row["container_id"], "name": row["container_name"]})
    if row["node"]:
        known.append({"type": "Kubernetes Node", "name": row["node"], "hostname": row["node"]})
    return [_without_none(entry) for entry in known] or [{"type": "Memory image", "name": "name not known"}]


def _evidences(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for proof in row["evidence"]:
        yield {"data": {"table": proof["table"], "where": proof["key"]}}
    if row["pid"] is not None:
        yield {"process": _without_none({"pid": row["pid"], "created_time": _ms(row["start_time"])})}
    if row["path"]:
        yield {"file": {"name": row["path"].rpartition("/")[2] or row["path"], "path": row["path"], "type_id": 0}}


def _ms(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1000)


def _without_none(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}


FORMAT = Format("ocsf", "OCSF 1.8 Detection Findings, JSON lines", parts)
