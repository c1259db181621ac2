# SPDX-License-Identifier: Apache-2.0
"""GuardDuty findings of a file, as EventBridge, the export to S3 and boto3 write them: what they say of pod and node.

EventBridge: {"detail-type": "GuardDuty Finding", "detail": FINDING}, names in camelCase. S3: a finding a line, gzip.
boto3 and the AWS CLI: {"Findings": [FINDING, ...]}, names in PascalCase.
https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memir.documents import read_bytes
from memir.errors import EvidenceError
from memir.respond.match import Clue

MAX_FILE = 256 << 20
SMALLER = "give the findings of the incident alone"
MAX_FINDINGS = 1000
"""Findings of one file: a plan for more is read by nobody."""
_KINDS = {
    "deployments": "Deployment", "daemonsets": "DaemonSet", "statefulsets": "StatefulSet", "replicasets": "ReplicaSet",
    "jobs": "Job", "cronjobs": "CronJob",
}  # fmt: skip


def read_findings(path: Path) -> list[Clue]:
    """What each finding says. Raises EvidenceError for a file that is none, or holds none about a pod or instance."""
    values = list(_documents(_text(path), path))
    findings = [finding for value in values for finding in findings_in(value)]
    if len(findings) > MAX_FINDINGS:
        raise EvidenceError(f"{path}: {len(findings)} findings, more than {MAX_FINDINGS}: give those of the incident")
    clues = [clue for finding in findings if (clue := clue_of(finding)) is not None]
    if not clues:
        raise EvidenceError(
            f"{path}: {len(findings)} GuardDuty findings, none of which names a pod, a workload or an instance"
        )
    return clues


def clue_of(finding: Mapping[str, Any]) -> Clue | None:
    """What one finding says of its pod and node; None if it names neither."""
    resource = _object(finding, "resource")
    kubernetes = _object(resource, "kubernetesdetails")
    workload = _object(kubernetes, "kubernetesworkloaddetails")
    instance = _text_of(_object(resource, "instancedetails"), "instanceid")
    kind = _text_of(workload, "type").lower()
    name = _text_of(workload, "name")
    containers = [*_list(workload, "containers"), _object(resource, "containerdetails")]
    runtime = _object(_object(finding, "service"), "runtimedetails")
    containers.append(_object(_object(runtime, "context"), "containerdetails"))
    ids = tuple(ident for item in containers if (ident := _text_of(item, "id").rpartition("://")[2]))
    if not name and not instance and not ids:
        return None
    pod = name if kind in ("pods", "pod", "") else ""
    return Clue(
        f"GuardDuty {_text_of(finding, 'type') or 'finding'} {_text_of(finding, 'id')}".strip(),
        pod_uid=_text_of(workload, "uid"), namespace=_text_of(workload, "namespace"), pod=pod,
        workload=f"{_KINDS.get(kind, kind)}/{name}" if name and not pod else "", container_ids=ids,
        instance_id=instance,
    )  # fmt: skip


def _text(path: Path) -> str:
    data = read_bytes(path, MAX_FILE, EvidenceError, SMALLER)
    if data.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            data = unpacker.decompress(data, MAX_FILE + 1)
        except zlib.error as error:
            raise EvidenceError(f"{path}: not whole gzip: {error}") from error
    if len(data) > MAX_FILE:
        raise EvidenceError(f"{path}: unpacked, longer than {MAX_FILE >> 20} MiB: {SMALLER}")
    return data.decode("utf-8", "replace")


def _documents(text: str, path: Path) -> Iterator[Any]:
    try:
        yield json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise EvidenceError(f"{path}: no GuardDuty findings in JSON: {error}") from error
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as reason:
                raise EvidenceError(f"{path}: line {number} is no JSON: {reason}") from reason


def findings_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """The findings in any of the wrappings, names in lower case."""
    pending = [value]
    while pending:
        item = pending.pop(0)
        if isinstance(item, list):
            pending += item[: MAX_FINDINGS + 1]
        elif isinstance(item, dict):
            lower = _lower(item)
            inner = lower.get("detail", lower.get("findings"))
            if "resource" in lower:
                yield lower
            elif isinstance(inner, dict | list):
                pending.append(inner)


def _lower(value: Any) -> dict[str, Any]:
    return {str(key).lower(): inner for key, inner in value.items()} if isinstance(value, dict) else {}


def _object(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    return _lower(value.get(key))


def _list(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    inner = value.get(key)
    return [_lower(item) for item in inner] if isinstance(inner, list) else []


def _text_of(value: Mapping[str, Any], key: str) -> str:
    inner = value.get(key)
    return inner if isinstance(inner, str) else ""
