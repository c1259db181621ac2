# SPDX-License-Identifier: Apache-2.0
"""AWS credentials of a node that were used from elsewhere: events of AWS's shape with the ids and times of images."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.findings.real import INTRUDED, NODE, node, on_the_node
from tests.findings.with_logs import over, pod_of, with_rows
from tests.logs.made import written
from tests.logs.test_cloudtrail import event

KIND, API, ON_NODE = "credentials-elsewhere", "api-58f6c9d7b4-q8xkz", "api-8489696577-l7df2"
NAT, ABROAD = "203.0.113.9", "45.155.205.233"


def _tables(pid: int, pod: str, image: str) -> dict[str, Any]:
    owner = {name: pod_of(pod, image)[name] for name in ("pod_uid", "pod_name", "namespace")}
    secret = {"kind": "aws session", "name": "ASIAHELD", "fingerprint": "sha256:00", "pid": pid, **owner}
    role = {"subject": "node", "field": "instance_id", "value": "i-0abc", "believed": True}
    return {**with_rows("secrets", secret, image=image), **with_rows("claims", role, image=image)}


def _key(address: str, hours: float = 0, image: str = INTRUDED, **more: Any) -> dict[str, Any]:
    clock = node(image)[1].clock
    assert clock is not None
    time = f"{clock + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    identity = {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/api/s", "accessKeyId": "ASIAHELD"}
    return event(sourceIPAddress=address, userIdentity=identity, eventTime=time, **more)


def test_there(tmp_path: Path) -> None:
    log = written(
        tmp_path, "a", event(sourceIPAddress=NAT), *[_key(NAT, -1)] * 3, _key(ABROAD, -0.5, errorCode="AccessDenied"),
        _key(ABROAD, 1), _key("10.0.1.23"), _key("s3.amazonaws.com"),
    )  # fmt: skip
    (row,) = over(INTRUDED, [log], KIND, **_tables(218, API, INTRUDED))
    assert (row["severity"], row["pid"], row["pod_name"]) == ("high", 218, API)
    assert row["reason"] == f"most of this node's credentials are used from {NAT}"
    assert row["title"] == (
        f"the key ASIAHELD of arn:aws:sts::1:assumed-role/api/s (key in memory; shop/{API}) was used from {ABROAD}: "
        "2 events, 1 refused, GetObject; before and after the memory was taken"
    )
    assert row["evidence"] == [
        {"table": "cloudtrail", "key": f"log = '{log}' and line = 5"}, {"table": "processes", "key": "pid = 218"},
    ]  # fmt: skip


def test_no_way_out_is_known(tmp_path: Path) -> None:
    log = written(tmp_path, "a", *[_key(NAT, -1)] * 3, _key(ABROAD, -0.5))
    (row,) = over(INTRUDED, [log], KIND, **_tables(218, API, INTRUDED))
    assert (row["severity"], row["title"].split(" was used from ")[1]) == (
        "medium", f"{ABROAD}: 1 event, GetObject; all before the memory was taken",
    )  # fmt: skip


def test_not_there(tmp_path: Path) -> None:
    """One address alone, addresses of the VPC, and credentials that have nothing to do with the node."""
    other = {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/x/y", "accessKeyId": "ASIAOTHER"}
    for number, lines in enumerate((
        [_key(ABROAD), _key(ABROAD, 1)], [event(sourceIPAddress=NAT), _key(NAT), _key("10.0.1.23")],
        [event(sourceIPAddress=NAT, userIdentity=other), event(sourceIPAddress=ABROAD, userIdentity=other)],
    )):  # fmt: skip
        log = written(tmp_path, f"a{number}", *lines)
        assert over(INTRUDED, [log], KIND, **_tables(218, API, INTRUDED)) == []


@on_the_node
def test_on_the_node(tmp_path: Path) -> None:
    """The api pod of node-6.1, whose key an intruder took along."""
    log = written(tmp_path, "a", event(sourceIPAddress=NAT), *[_key(NAT, -0.2, NODE)] * 2, _key(ABROAD, 0.1, NODE))
    (row,) = over(NODE, [log], KIND, **_tables(1215, ON_NODE, NODE))
    assert (row["severity"], row["pid"], row["pod_name"]) == ("high", 1215, ON_NODE)
    assert row["title"].endswith("1 event, GetObject; all after the memory was taken")
