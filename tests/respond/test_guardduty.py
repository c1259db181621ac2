# SPDX-License-Identifier: Apache-2.0
"""GuardDuty findings in the three shapes that they are written in; hostile ones."""

from __future__ import annotations

import gzip
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from memir.errors import EvidenceError
from memir.respond.guardduty import clue_of, findings_in, read_findings
from memir.respond.match import Clue

UID = "033d7310-cf79-4a27-bd7e-4a76f5e16849"
# https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Finding.html
FINDING: dict[str, Any] = {
    "Id": "5cb4", "Type": "Execution:Runtime/NewBinaryExecuted", "Severity": 5.0,
    "Resource": {
        "ResourceType": "EKSCluster",
        "EksClusterDetails": {"Name": "prod", "Arn": "arn:aws:eks:eu-west-1:111122223333:cluster/prod"},
        "InstanceDetails": {"InstanceId": "i-0abc1234def567890"},
        "KubernetesDetails": {
            "KubernetesWorkloadDetails": {
                "Name": "web-7bf68f75d5-86xhc", "Type": "pods", "Uid": UID, "Namespace": "shop",
                "Containers": [{"Id": "containerd://c318a4af", "Name": "web"}],
            },
        },
    },
    "Service": {"RuntimeDetails": {"Process": {"Pid": 7, "NamespacePid": 3}}},
}  # fmt: skip
CLUE = Clue(
    "GuardDuty Execution:Runtime/NewBinaryExecuted 5cb4", UID, "shop", "web-7bf68f75d5-86xhc", "", ("c318a4af",),
    "i-0abc1234def567890",
)  # fmt: skip


def camel(value: Any) -> Any:
    """As EventBridge and the export write names."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: camel(inner) for key, inner in value.items()}
    return [camel(inner) for inner in value] if isinstance(value, list) else value


EVENT = {"version": "0", "detail-type": "GuardDuty Finding", "source": "aws.guardduty", "detail": camel(FINDING)}
SHAPES = {
    "eventbridge.json": json.dumps(EVENT).encode(),
    "export.jsonl.gz": gzip.compress((json.dumps(camel(FINDING)) + "\n" + json.dumps(camel(FINDING))).encode()),
    "boto3.json": json.dumps({"Findings": [FINDING], "ResponseMetadata": {}}).encode(),
    "list.json": json.dumps([EVENT]).encode(),
}


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(SHAPES[name])
    assert read_findings(path) == [CLUE] * (2 if "export" in name else 1)


def test_wrappings() -> None:
    for value in (EVENT, [EVENT], {"Findings": [FINDING]}, FINDING):
        assert [clue_of(finding) for finding in findings_in(value)] == [CLUE]
    assert list(findings_in({"detail": 1})) == []


def test_workloads_and_instances() -> None:
    details = {"name": "web", "type": "deployments", "namespace": "shop", "uid": "u"}
    workload = {"resource": {"kubernetesDetails": {"kubernetesWorkloadDetails": details}}}
    assert clue_of(workload) == Clue("GuardDuty finding", "u", "shop", "", "Deployment/web", (), "")
    instance = {"type": "T", "id": "1", "resource": {"instanceDetails": {"instanceId": "i-0a"}}}
    assert clue_of(instance) == Clue("GuardDuty T 1", instance_id="i-0a")
    assert clue_of({"resource": {"accessKeyDetails": {"userName": "x"}}}) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no", "no GuardDuty findings in JSON"),
        (b'{"a": 1}\n{"b"', "line 2 is no JSON"),
        (b"{}", "0 GuardDuty findings, none of which names a pod"),
        (gzip.compress(b"{}", mtime=0)[:-9], "0 GuardDuty|not whole gzip|no GuardDuty"),
        (json.dumps({"detail": {"resource": {}}}).encode(), "1 GuardDuty findings, none of which"),
    ],
)
def test_what_is_no_alert(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(EvidenceError, match=words):
        read_findings(tmp_path / "f")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="cannot be read: No such file"):
        read_findings(tmp_path / "none")


def test_hostile_alerts(tmp_path: Path) -> None:
    """Values of any kind in any place: a clue or our error."""
    randomness, path = random.Random(3), tmp_path / "f"
    values: list[Any] = [None, 1, [], {}, "x", [[]], {"id": 3}, True]

    def broken(value: Any) -> Any:
        if randomness.random() < 0.15:
            return randomness.choice(values)
        if isinstance(value, dict):
            return {key: broken(inner) for key, inner in value.items()}
        return [broken(inner) for inner in value] if isinstance(value, list) else value

    for _ in range(3000 if os.environ.get("CI") else 300):
        path.write_text(json.dumps(broken(EVENT)))
        try:
            assert all(isinstance(clue, Clue) for clue in read_findings(path))
        except EvidenceError as error:
            assert str(error).startswith(str(path))
