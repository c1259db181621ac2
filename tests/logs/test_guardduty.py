# SPDX-License-Identifier: Apache-2.0
"""The table guardduty: read() of three spellings, attack sequences, samples."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.findings.real import INTRUDED, node
from tests.findings.with_logs import pod_of
from tests.logs.made import finding, gaps, pascal, rows, written

API = "api-58f6c9d7b4-q8xkz"


def test_spellings_say_the_same(tmp_path: Path) -> None:
    (camel,) = rows(written(tmp_path, "camel", finding()), "guardduty")
    (bridge,) = rows(
        written(tmp_path, "bridge", {"detail-type": "GuardDuty Finding", "detail": finding()}), "guardduty"
    )
    (boto,) = rows(written(tmp_path, "boto", {"Findings": [pascal(finding())]}), "guardduty")
    for other in (bridge, boto):
        assert {name for name in camel if camel[name] != other[name]} == {"log"}
    assert {name: value for name, value in camel.items() if name not in ("log", "claimed") and value is not None} == {
        "time": datetime(2026, 11, 20, 10, 1, 38, tzinfo=UTC),
        "last_seen": datetime(2026, 11, 20, 10, 1, 39, tzinfo=UTC),
        "updated": datetime(2026, 11, 20, 10, 2, tzinfo=UTC), "finding_id": "f1", "severity": 8.0,
        "type": "Execution:Runtime/NewBinaryExecuted", "title": "title", "description": "words",
        "account": "111122223333", "region": "eu-west-1", "count": 1, "archived": False, "resource_type": "EKSCluster",
        "cluster": "lab", "instance_id": "i-0abc", "workload": f"shop/{API}", "line": 1, "source": "GuardDuty findings",
    }  # fmt: skip
    assert {"process.pid=221", "process.executablePath=/tmp/.x/kworkerds", "instance.id=i-0abc"} <= set(
        camel["claimed"]
    )


def test_security_hub(tmp_path: Path) -> None:
    asff = {"Findings": [{
        "SchemaVersion": "2018-10-08", "AwsAccountId": "111122223333",
        "Id": "arn:aws:guardduty:eu-west-1:111122223333:detector/d/finding/f9", "Title": "t", "Region": "eu-west-1",
        "ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/guardduty",
        "Types": ["TTPs/Execution/Execution:Runtime-NewBinaryExecuted"], "Severity": {"Product": 8, "Label": "HIGH"},
        "FirstObservedAt": "2026-11-20T10:01:38Z", "Process": {"Name": "kworkerds", "Pid": 221, "Path": "/x"},
        "Resources": [{"Type": "AwsEc2Instance", "Id": "arn:aws:ec2:eu-west-1:111122223333:instance/i-0abc"}],
        "RecordState": "ACTIVE",
    }]}  # fmt: skip
    (row,) = rows(written(tmp_path, "a", asff), "guardduty")
    assert (row["finding_id"], row["type"], row["severity"], row["account"], row["instance_id"], row["archived"]) == (
        "f9", "Execution:Runtime/NewBinaryExecuted", 8.0, "111122223333", "i-0abc", False,
    )  # fmt: skip
    assert row["claimed"] == [
        "process.name=kworkerds", "process.executablePath=/x", "process.pid=221", "instance.id=i-0abc",
    ]  # fmt: skip


def test_attack_sequence(tmp_path: Path) -> None:
    signals = [{"type": "FINDING", "uid": "f1"}, {"type": "CLOUD_TRAIL", "uid": "c1"}]
    sequence = finding(type="AttackSequence:EKS/CompromisedCluster", severity=9.0,
                       service={"detection": {"sequence": {"uid": "s", "signals": signals}}})  # fmt: skip
    for name, shape in (("camel", sequence), ("boto", {"Findings": [pascal(sequence)]})):
        (row,) = rows(written(tmp_path, name, shape), "guardduty")
        assert (row["type"], row["severity"], row["signals"]) == (
            "AttackSequence:EKS/CompromisedCluster", 9.0, ["FINDING f1", "CLOUD_TRAIL c1"],
        )  # fmt: skip


def test_samples_are_left_out_and_counted(tmp_path: Path) -> None:
    sample: dict[str, Any] = finding(service={"additionalInfo": {"sample": True}})
    told = finding(service={"additionalInfo": {"value": '{"sample":true}', "type": "default"}})
    path = written(tmp_path, "a", sample, told, {"Findings": [pascal(sample)]}, finding(id="f2"))
    assert [row["finding_id"] for row in rows(path, "guardduty")] == ["f2"]
    assert gaps(path) == {"samples of GuardDuty, left out": 3}


def test_whose_it_is(tmp_path: Path) -> None:
    tables = node(INTRUDED)[0]
    (row,) = rows(written(tmp_path, "a", finding()), "guardduty", tables.get)
    assert (row["pod_uid"], row["container_id"]) == (pod_of(API)["pod_uid"], None)
    box = next(each for each in tables["containers"].to_pylist() if each["container_name"] == "miner")
    ident = {"id": f"containerd://{box['container_id']}"}
    (row,) = rows(written(tmp_path, "b", finding(resource={"containerDetails": ident})), "guardduty", tables.get)
    assert (row["pod_name"], row["container_name"]) == ("miner-0", "miner")


def test_odd_ones(tmp_path: Path) -> None:
    odd = finding(severity={"x": 1}, service=7, resource=[], updatedAt="never")
    (row,) = rows(written(tmp_path, "a", odd), "guardduty")
    assert (row["severity"], row["updated"], row["claimed"], row["signals"]) == (None, None, [], None)
