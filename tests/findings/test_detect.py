# SPDX-License-Identifier: Apache-2.0
"""Every detection over every image: what is high is what the labels say, and all of it."""

from __future__ import annotations

from memir.findings.detect import able, detect, unable, unasked
from memir.findings.registry import detections
from memir.tables.sql import ask
from tests.findings.real import INTRUDED, SMALL, every, node
from tests.findings.score import labels_of, score


def test_precision_and_recall(image: str) -> None:
    """Both 1.0 on every image that was read while detections were written, which are all that are here."""
    result = score(every(image), labels_of(image)["labels"])
    assert result.wrong == ()
    assert result.missed == ()
    assert (result.precision, result.recall) == (1.0, 1.0)


def test_no_look_alike_is_high(image: str) -> None:
    pods = [entry["pod"] for entry in labels_of(image)["look_alikes"]]
    assert pods
    loud = [row["title"] for row in every(image) if row["severity"] in ("high", "critical")
            and f"{row['namespace']}/{row['pod_name']}".startswith(tuple(pods))]  # fmt: skip
    assert loud == []


def test_each_finding_is_proved(image: str) -> None:
    """The rows that its evidence names are there."""
    tables, _ = node(image)
    for row in every(image):
        assert row["evidence"], row["title"]
        for proof in row["evidence"]:
            answer = ask(tables, f"select * from {proof['table']} where {proof['key']}")
            assert answer.num_rows > 0, (row["title"], proof)


def test_ids_are_stable_and_unique(image: str) -> None:
    ids = [row["id"] for row in every(image)]
    assert len(ids) == len(set(ids))
    tables, facts = node(image)
    assert [row["id"] for row in detect(tables, facts).rows()] == ids


def test_the_worst_comes_first() -> None:
    order = [row["severity"] for row in every(INTRUDED)]
    assert order == sorted(order, key=["critical", "high", "medium", "low", "info"].index)
    assert order[0] == "critical"


def test_tables_that_are_absent() -> None:
    """What cannot look is named with what it lacks; the others still look."""
    tables, facts = node(SMALL)
    part = {"processes": tables["processes"]}
    assert {row["kind"] for row in detect(part, facts).rows()} >= {"memfd-executable", "deleted-executable"}
    kinds = {detection.kind for detection in able(part)}
    assert "memfd-executable" in kinds
    assert unable(part)["privileged-container"] == ("containers", "pods")
    asked = {kind for kind, detection in detections().items() if detection.given_by}
    audit, cloudtrail = "--logs (Kubernetes audit log)", "--logs (CloudTrail events)"
    assert unasked(part) == {
        audit: ["api-session", "token-elsewhere", "token-in-memory"],
        cloudtrail: ["aws-key-in-memory", "credentials-elsewhere"],
        "--logs (GuardDuty findings)": ["guardduty-claims"], "--ioc": ["known-indicator"],
    }  # fmt: skip
    # logs that were given are not asked for: what such a kind lacks of RAM is named
    given = unasked([*part, "audit", "sessions"])
    assert audit not in given and given[cloudtrail] == ["aws-key-in-memory", "credentials-elsewhere"]
    assert unable([*part, "audit", "sessions"])["token-in-memory"] == ("secrets",)
    assert unasked(name for each in detections().values() for name in each.tables) == {}
    assert kinds | unable(part).keys() | asked == detections().keys()
    assert able([]) == []
