# SPDX-License-Identifier: Apache-2.0
"""Lines of logs in the shapes that their makers document, for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memir.logs.source import LogSource, Ram

V5 = ("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
      "log-status pkt-srcaddr pkt-dstaddr tcp-flags vpc-id flow-direction")  # fmt: skip
FLOW = "5 111122223333 eni-0a1b 10.0.2.15 198.51.100.77 40000 443 6 10 5000 1795472870 1795472930 ACCEPT OK"
_EXTRA = "authentication.kubernetes.io/"


def audit(verb: str = "get", uri: str = "/api/v1/pods", **more: Any) -> dict[str, Any]:
    """An event of audit.k8s.io/v1 as the API server writes it. more: its fields."""
    return {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
        "auditID": "2aa80fb8-715f-4a21-b6a9-29b4366028eb", "stage": "ResponseComplete", "requestURI": uri, "verb": verb,
        "user": {"username": "alice", "groups": ["dev", "system:authenticated"]}, "sourceIPs": ["203.0.113.7"],
        "userAgent": "kubectl/v1.34.0", "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2026-11-23T22:27:43.020442Z", "stageTimestamp": "2026-11-23T22:27:43.022511Z",
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""}, **more,
    }  # fmt: skip


def token_user(account: str, jti: str, pod: tuple[str, str] | None = None) -> dict[str, Any]:
    """A service account (NAMESPACE:NAME) that asked with a token. pod: (name, UID) that the token is bound to."""
    extra = {f"{_EXTRA}credential-id": [f"JTI={jti}"]}
    if pod is not None:
        extra |= {f"{_EXTRA}pod-name": [pod[0]], f"{_EXTRA}pod-uid": [pod[1]]}
    return {"username": f"system:serviceaccount:{account}", "groups": ["system:serviceaccounts"], "extra": extra}


def exec_of(namespace: str, pod: str, query: str, time: str, ident: str, **more: Any) -> dict[str, Any]:
    """The event of an exec that is open. query: `command=sh&container=app`."""
    return audit(
        "get", f"/api/v1/namespaces/{namespace}/pods/{pod}/exec?{query}", auditID=ident, stage="ResponseStarted",
        objectRef={"resource": "pods", "namespace": namespace, "name": pod, "apiVersion": "v1", "subresource": "exec"},
        requestReceivedTimestamp=time, stageTimestamp=time, responseStatus={"metadata": {}, "code": 101}, **more,
    )  # fmt: skip


def written(folder: Path, name: str, *lines: Any) -> Path:
    """A file of JSON lines, and of lines of text."""
    path = folder / name
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def rows(path: Path | Sequence[Path], table: str, ram: Ram | None = None) -> list[dict[str, Any]]:
    """The rows that files give to a table."""
    source = LogSource([path] if isinstance(path, Path) else path, ram)
    return list(source.table(table).to_pylist())


def gaps(path: Path) -> dict[str, int]:
    """Counts of the gaps of a file, by their reason, after all of it was read."""
    source = LogSource([path])
    assert source.tables
    return {gap.why: gap.count for gap in source.gaps}


def finding(**more: Any) -> dict[str, Any]:
    """A finding of GuardDuty about the miner of the intruded sample, camelCase. more: its fields."""
    api = "api-58f6c9d7b4-q8xkz"
    return {
        "schemaVersion": "2.0", "accountId": "111122223333", "region": "eu-west-1", "id": "f1",
        "type": "Execution:Runtime/NewBinaryExecuted", "severity": 8.0, "createdAt": "2026-11-20T10:02:00Z",
        "updatedAt": "2026-11-20T10:02:00Z", "title": "title", "description": "words",
        "resource": {
            "resourceType": "EKSCluster", "eksClusterDetails": {"name": "lab"},
            "instanceDetails": {"instanceId": "i-0abc"},
            "kubernetesDetails": {"kubernetesWorkloadDetails": {"name": api, "type": "pods", "namespace": "shop"}},
        },
        "service": {
            "eventFirstSeen": "2026-11-20T10:01:38Z", "eventLastSeen": "2026-11-20T10:01:39Z", "count": 1,
            "archived": False,
            "runtimeDetails": {
                "process": {
                    "name": "kworkerds", "executablePath": "/tmp/.x/kworkerds", "pid": 221, "namespacePid": 2,
                    "startTime": "2026-11-20T10:01:38.857Z",
                },
            },
        }, **more,
    }  # fmt: skip


def pascal(value: Any) -> Any:
    """The same as boto3 spells it."""
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: pascal(part) for name, part in value.items()}
    return [pascal(part) for part in value] if isinstance(value, list) else value
