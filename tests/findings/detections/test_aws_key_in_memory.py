# SPDX-License-Identifier: Apache-2.0
"""Events with a key that lies in memory: events of AWS's shape with the ids and times of images."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memir.findings.detections.aws_key_in_memory import moment
from memir.findings.look import ImageFacts, Look
from tests.findings.real import INTRUDED, NODE, node, on_the_node
from tests.findings.with_logs import over, pod_of, with_rows
from tests.logs.made import written
from tests.logs.test_cloudtrail import event

KIND, API, OTHER, ON_NODE = "aws-key-in-memory", "api-58f6c9d7b4-q8xkz", "miner-0", "api-8489696577-l7df2"


def _held(pid: int, pod: str = API, image: str = INTRUDED) -> dict[str, Any]:
    owner = {name: pod_of(pod, image)[name] for name in ("pod_uid", "pod_name", "namespace")}
    row = {"kind": "aws session", "name": "ASIAHELD", "fingerprint": "sha256:00", "pid": pid, "holder": "memory"}
    return with_rows("secrets", row | owner, image=image)


def _used(name: str = "GetObject", **more: Any) -> dict[str, Any]:
    identity = {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/api/s", "accessKeyId": "ASIAHELD"}
    return event(name, userIdentity=identity, **more)


def _given(pod: str) -> dict[str, Any]:
    tags = [{"key": "kubernetes-pod-uid", "value": pod_of(pod)["pod_uid"]}]
    return event(
        "AssumeRole", userIdentity={"type": "AWSService", "invokedBy": "pods.eks.amazonaws.com"},
        requestParameters={"roleArn": "arn:role", "tags": tags},
        responseElements={"credentials": {"accessKeyId": "ASIAHELD"}, "assumedRoleUser": {"arn": "arn:given"}},
    )  # fmt: skip


def test_by_what_was_done(tmp_path: Path) -> None:
    log = written(tmp_path, "a", _given(API), _used(), _used("ListBuckets", errorCode="AccessDenied"))
    (row,) = over(INTRUDED, [log], KIND, **_held(218))
    assert (row["severity"], row["pid"], row["pod_name"]) == ("info", 218, API)
    assert row["title"].split(" holds ")[1].startswith(
        "the AWS key ASIAHELD of arn:aws:sts::1:assumed-role/api/s, with which AWS was asked: 2 events, 1 refused, "
        "GetObject, ListBuckets; all "
    )
    assert row["evidence"] == [
        {"table": "secrets", "key": "fingerprint = 'sha256:00'"},
        {"table": "cloudtrail", "key": f"log = '{log}' and line = 2"},
        {"table": "cloudtrail", "key": f"log = '{log}' and line = 1"},
    ]
    for number, done in enumerate((_used("GetSecretValue"), _used("PutObject", readOnly=False))):
        (row,) = over(INTRUDED, [written(tmp_path, f"b{number}", done)], KIND, **_held(218))
        assert (row["severity"], row["reason"]) == (
            "low", f"{1 - number} reads of secrets and {number} changes with it",
        )  # fmt: skip


def test_another_pods(tmp_path: Path) -> None:
    log = written(tmp_path, "a", _given(OTHER), _used())
    (row,) = over(INTRUDED, [log], KIND, **_held(218))
    assert (row["severity"], row["pod_name"]) == ("high", API)
    assert row["reason"] == f"Pod Identity gave it to another pod than the one that holds it: dev/{OTHER}"
    # never used, and yet it lies where it does not belong
    (row,) = over(INTRUDED, [written(tmp_path, "b", _given(OTHER))], KIND, **_held(218))
    assert row["severity"] == "high" and ": 0 events" in row["title"]


def test_not_there(tmp_path: Path) -> None:
    other = event(userIdentity={"type": "AssumedRole", "arn": "arn:x", "accessKeyId": "ASIAOTHER"})
    assert over(INTRUDED, [written(tmp_path, "a", other, _given(API))], KIND, **_held(218)) == []
    assert over(INTRUDED, [written(tmp_path, "b", _used())], KIND) == []


def test_moment() -> None:
    clock = datetime(2026, 11, 23, 22, tzinfo=UTC)
    look = Look({}, None, ImageFacts(clock=clock))  # no table is asked
    hours = [clock.replace(hour=hour) for hour in (21, 23)]
    assert [moment(look, {"time": first, "last": last}).split()[1:4] for first, last in (
        (hours[0], hours[0]), (hours[0], hours[1]), (hours[1], hours[1]))] == [
        ["all", "before", "the"], ["before", "and", "after"], ["all", "after", "the"],
    ]  # fmt: skip
    assert moment(look, {"time": None, "last": None}) == ""


@on_the_node
def test_on_the_node(tmp_path: Path) -> None:
    clock = node(NODE)[1].clock
    assert clock is not None
    log = written(tmp_path, "a", _used("GetSecretValue", eventTime=f"{clock:%Y-%m-%dT%H:%M:%SZ}"))
    (row,) = over(NODE, [log], KIND, **_held(895, ON_NODE, NODE))
    assert (row["severity"], row["pid"], row["pod_name"]) == ("low", 895, ON_NODE)
    assert row["title"].startswith("pid 895 ")
    assert row["title"].endswith("GetSecretValue; all before the memory was taken")
