# SPDX-License-Identifier: Apache-2.0
"""Findings by their id: the real client against a strict service on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.aws.client import Connection
from memir.errors import AccessError, EvidenceError, UsageError
from memir.respond.alerts import ask_findings, is_id
from memir.respond.launch import Wanted, query_of, write_plan
from tests.respond import shop
from tests.respond.guardduty_rig import DETECTOR, GuardDutyRig
from tests.respond.test_guardduty import CLUE, FINDING, camel

ONE, TWO, NONE = (digit * 32 for digit in "5ab")
ARN = f"arn:aws:guardduty:us-east-2:111122223333:detector/{DETECTOR}/finding/{ONE}"
BUCKET: dict[str, Any] = {"resourceType": "S3Bucket"}


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[GuardDutyRig, Connection]]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    pod = camel(FINDING)
    made = GuardDutyRig({ONE: pod | {"id": ONE}, TWO: pod | {"id": TWO, "resource": BUCKET}})
    with made.serve() as url:
        yield made, Connection("eu-west-1", url)


def test_what_is_an_id() -> None:
    assert [is_id(word) for word in (ONE, ARN, "alert.json", ONE[1:], ARN.replace("finding", "filter"))] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_asked_by_reads_alone(rig: tuple[GuardDutyRig, Connection]) -> None:
    service, connection = rig
    (clue,) = ask_findings([ONE], connection)
    assert (clue.pod_uid, clue.pod, clue.instance_id) == (CLUE.pod_uid, CLUE.pod, CLUE.instance_id)
    assert clue.source == f"GuardDuty Execution:Runtime/NewBinaryExecuted {ONE}"
    get = ("POST", f"/detector/{DETECTOR}/findings/get", {"findingIds": [ONE]})
    assert service.asked == [("GET", "/detector", None), get]
    service.asked.clear()
    assert ask_findings([ARN], connection) == [clue]  # the ARN says whose detector
    assert service.asked == [get]


def test_what_is_not_there(rig: tuple[GuardDutyRig, Connection]) -> None:
    service, connection = rig
    with pytest.raises(UsageError, match=f"detector {DETECTOR} in eu-west-1 has no such finding: is it of another"):
        ask_findings([NONE], connection)
    with pytest.raises(EvidenceError, match=f"--guardduty {TWO}: the finding names no pod"):
        ask_findings([TWO], connection)
    service.detectors = ()
    with pytest.raises(UsageError, match="GuardDuty is not on in eu-west-1: give --region"):
        ask_findings([ONE], connection)
    service.denied = True
    with pytest.raises(AccessError, match="guardduty:ListDetectors is denied"):
        ask_findings([ONE], connection)


def test_many_are_asked_in_parts(rig: tuple[GuardDutyRig, Connection]) -> None:
    service, connection = rig
    ids = [f"{number:032x}" for number in range(51)]
    service.findings |= {ident: service.findings[ONE] | {"id": ident} for ident in ids}
    assert len(ask_findings(ids, connection)) == 51
    assert [len(body["findingIds"]) for _, _, body in service.asked if body] == [50, 1]


def test_a_plan_from_an_id(
    rig: tuple[GuardDutyRig, Connection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the API's view; with a folder's it is refused, and nothing is asked."""
    service, connection = rig
    wanted, server = Wanted(guardduty=(ONE,)), shop.server()
    with pytest.raises(UsageError, match=f"with --cluster nothing is contacted.*--finding-ids {ONE} > FILE"):
        write_plan(wanted, tmp_path / "p", cluster=shop.folder(tmp_path / "c"), connection=connection)
    assert service.asked == []
    kubeconfig = server.start(tmp_path)
    try:
        plan, _ = write_plan(wanted, tmp_path / "plan.yaml", kubeconfig=str(kubeconfig), connection=connection)
    finally:
        server.stop()
    assert ([pod.name for pod in plan.pods], plan.query) == ([shop.WEB], {"guardduty": ONE})
    (tmp_path / ONE).write_text(json.dumps(FINDING))  # a file of that name is a file
    monkeypatch.chdir(tmp_path)
    assert list(query_of(wanted).clues) == [CLUE]
