# SPDX-License-Identifier: Apache-2.0
"""GuardDuty's findings, confirmed or contradicted by memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.findings.real import INTRUDED
from tests.findings.with_logs import over
from tests.logs.made import finding, written

KIND, API = "guardduty-claims", "api-58f6c9d7b4-q8xkz"


def _of(folder: Path, **more: Any) -> list[dict[str, Any]]:
    return over(INTRUDED, [written(folder, "a", finding(**more))], KIND)


def test_confirmed(tmp_path: Path) -> None:
    (row,) = _of(tmp_path)
    assert (row["severity"], row["pid"], row["pod_name"]) == ("high", 221, API)
    head = "memory confirms GuardDuty's Execution:Runtime/NewBinaryExecuted: seen: process.name "
    assert row["title"].startswith(head)
    assert len(row["title"]) < 200 and "has" not in row["title"], "each value once"
    assert {"table": "guardduty_claims", "key": "finding_id = 'f1'"} in row["evidence"]
    assert {"table": "processes", "key": "pid = 221"} in row["evidence"]
    assert [row["severity"] for row in _of(tmp_path, severity=9.5)] == ["critical"]
    assert [row["severity"] for row in _of(tmp_path, severity=5.0)] == ["medium"]


def test_contradicted(tmp_path: Path) -> None:
    workload = {"name": API, "namespace": "shop", "hostNetwork": True, "serviceAccountName": "root"}
    resource = {"kubernetesDetails": {"kubernetesWorkloadDetails": workload}}
    (row,) = _of(tmp_path, resource=resource, service={})
    assert (row["severity"], row["title"].split(":")[0]) == (
        "low", "memory contradicts GuardDuty's Execution",
    )  # fmt: skip


def test_that_its_pod_is_here_confirms_nothing(tmp_path: Path) -> None:
    (row,) = _of(tmp_path, service={"runtimeDetails": {"process": {"pid": 99999, "name": "x"}}})
    assert (row["severity"], row["pid"]) == ("info", None)
    assert row["title"].startswith("memory does not settle ")


def test_not_there(tmp_path: Path) -> None:
    """A finding about another node says nothing here."""
    assert _of(tmp_path, resource={"instanceDetails": {"instanceId": "i-other"}}, service={}) == []
