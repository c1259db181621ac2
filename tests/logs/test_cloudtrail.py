# SPDX-License-Identifier: Apache-2.0
"""The table cloudtrail: both forms, and whose sessions they are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memir.logs.source import LogSource
from tests.findings.real import INTRUDED, node
from tests.findings.with_logs import pod_of, with_rows
from tests.logs.made import rows, written

API = "api-58f6c9d7b4-q8xkz"
ROLE = "arn:aws:iam::111122223333:role/node"


def event(name: str = "GetObject", **more: Any) -> dict[str, Any]:
    """A record as CloudTrail's reference has it."""
    return {
        "eventVersion": "1.11", "eventTime": "2026-11-23T22:28:00Z", "eventSource": "s3.amazonaws.com",
        "eventName": name, "eventID": "e1", "readOnly": True, "awsRegion": "eu-west-1",
        "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.77", "userAgent": "aws-cli/2",
        "userIdentity": {
            "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/node/i-0abc",
            "principalId": "AROA:i-0abc", "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {"sessionIssuer": {"arn": ROLE}},
        },
        "requestParameters": {"bucketName": "b", "password": "hunter22"},
        "resources": [{"ARN": "arn:aws:s3:::b/k"}, {"type": "x"}], **more,
    }  # fmt: skip


def test_both_forms(tmp_path: Path) -> None:
    s3 = written(tmp_path, "s3.json", {"Records": [event(errorCode="AccessDenied")]})
    looked_up = written(
        tmp_path, "looked.json", {"Events": [{"EventId": "e1", "CloudTrailEvent": json.dumps(event())}]}
    )
    (one,), (other,) = rows(s3, "cloudtrail"), rows(looked_up, "cloudtrail")
    assert one["error_code"] == "AccessDenied"
    assert {name for name in one if one[name] != other[name]} == {"error_code", "log"}
    assert one["request"].startswith('{"bucketName":"b","password":')
    assert "hunter22" not in one["request"]
    del one["request"]
    assert {name: value for name, value in one.items() if value is not None} == {
        "time": datetime(2026, 11, 23, 22, 28, tzinfo=UTC), "event_id": "e1", "event_source": "s3.amazonaws.com",
        "event_name": "GetObject", "read_only": True, "region": "eu-west-1", "account": "111122223333",
        "source_ip": "198.51.100.77", "user_agent": "aws-cli/2", "error_code": "AccessDenied",
        "identity_type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/node/i-0abc",
        "principal_id": "AROA:i-0abc", "session_name": "i-0abc", "role_arn": ROLE, "access_key": "ASIAEXAMPLE",
        "resources": ["arn:aws:s3:::b/k"], "log": str(s3), "line": 1, "source": "CloudTrail events",
    }  # fmt: skip


def test_what_was_given_out(tmp_path: Path) -> None:
    answer = {"credentials": {"accessKeyId": "ASIANEW", "sessionToken": "never kept"},
              "assumedRoleUser": {"arn": "arn:aws:sts::1:assumed-role/r/s"}}  # fmt: skip
    web = {"type": "WebIdentityUser", "userName": "system:serviceaccount:shop:api", "principalId": "p"}
    record = event("AssumeRoleWithWebIdentity", responseElements=answer, userIdentity=web, readOnly="odd")
    (row,) = rows(written(tmp_path, "a", record), "cloudtrail")
    assert (row["issued_key"], row["issued_arn"]) == ("ASIANEW", "arn:aws:sts::1:assumed-role/r/s")
    assert (row["user_name"], row["session_name"], row["read_only"]) == ("system:serviceaccount:shop:api", None, None)
    assert "never kept" not in json.dumps(row, default=str)


def test_a_session_of_pod_identity_is_the_pods(tmp_path: Path) -> None:
    session = f"arn:aws:sts::111122223333:assumed-role/r/eks-prod-{API}-0e1f2a3b-0000-0000-0000-000000000000"
    record = event(userIdentity={"type": "AssumedRole", "arn": session})
    (row,) = rows(written(tmp_path, "a", record), "cloudtrail", node(INTRUDED)[0].get)
    assert (row["pod_name"], row["container_id"]) == (API, None)


def test_credentials_that_lie_in_memory_or_were_given_to_pods(tmp_path: Path) -> None:
    """Shapes of AssumeRoleForPodIdentity's AssumeRole and of AssumeRoleWithWebIdentity as AWS documents them."""
    pod = pod_of(API)
    account = f"system:serviceaccount:shop:{pod['service_account'] or 'api'}"
    owner = {name: pod[name] for name in ("pod_uid", "pod_name", "namespace")}
    tables = {
        **node(INTRUDED)[0],
        **with_rows("secrets", {"kind": "aws session", "name": "ASIAHELD", "fingerprint": "x", "pid": 218, **owner}),
        **with_rows("claims", {"subject": "node", "field": "instance_id", "value": "i-0abc", "believed": True}),
        **with_rows("pods", {**pod, "service_account": "api"}),
    }  # fmt: skip
    given = {"credentials": {"accessKeyId": "ASIAPOD"}, "assumedRoleUser": {"arn": "arn:pod"}}
    tags = {"roleArn": ROLE, "tags": [{"key": "kubernetes-pod-uid", "value": pod["pod_uid"]}]}
    web = {"credentials": {"accessKeyId": "ASIAWEB"}, "assumedRoleUser": {"arn": "arn:web"}}
    events = [
        event(), _by("ASIAHELD", "arn:held"), _by("ASIAOTHER", "arn:other"),
        event("AssumeRole", userIdentity={"type": "AWSService", "invokedBy": "pods.eks.amazonaws.com"},
              sourceIPAddress="pods.eks.amazonaws.com", requestParameters=tags, responseElements=given),
        _by("ASIAPOD", "arn:pod"),
        event("AssumeRoleWithWebIdentity", userIdentity={"type": "WebIdentityUser", "userName": account},
              responseElements=web),
        _by("ASIAWEB", "arn:web"),
        event("AssumeRoleWithWebIdentity", userIdentity={"type": "WebIdentityUser", "userName": f"{account}-other"}),
        event("AssumeRole", responseElements={"credentials": {"accessKeyId": "ASIAHELD"}}),
    ]  # fmt: skip
    every = rows(written(tmp_path, "a", *events), "cloudtrail", tables.get)
    assert [(row["credentials"], row["pids"], row["pod_name"]) for row in every] == [
        (["node role"], None, None), (["key in memory"], [218], API), (None, None, None),
        (["Pod Identity"], None, API), (["Pod Identity"], None, API),
        (["IRSA"], None, None), (["IRSA"], None, None), (None, None, None),
        (["issued key in memory", "node role"], [218], API),
    ]  # fmt: skip


TAKEN = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)


def _opened(key: str, at: str, begin: str, **more: Any) -> dict[str, Any]:
    """An event as sessions of a role have it: with the time at which the session was opened."""
    context = {"sessionIssuer": {"arn": ROLE}, "attributes": {"creationDate": begin, "mfaAuthenticated": "false"}}
    identity = {"type": "AssumedRole", "arn": "arn:s", "accessKeyId": key, "sessionContext": context}
    return event(userIdentity=identity, eventTime=at, **more)


def test_before_and_after_the_memory_was_taken(tmp_path: Path) -> None:
    """By the image's own clock, and in the life of the key: its end by memory, else by the answer that gave it out."""
    ends = datetime(2026, 11, 23, 23, tzinfo=UTC)
    known = with_rows("secrets", {"kind": "aws session", "name": "ASIAHELD", "fingerprint": "x", "expires": ends})
    given = [
        {"credentials": {"accessKeyId": key, "sessionToken": "x", "expiration": words}}
        for key, words in (("ASIANEW", "Nov 23, 2026, 11:28:00\u202fPM"), ("ASIAOLD", "Nov 23, 2026 11:28:00 PM"))
    ]
    events = [
        *(event("AssumeRole", responseElements=answer) for answer in given),
        _opened("ASIAHELD", "2026-11-23T22:28:00Z", "2026-11-23T17:00:00Z"),
        _opened("ASIAHELD", "2026-11-23T22:40:00Z", "2026-11-23T17:00:00Z"),
        _opened("ASIAHELD", "2026-11-23T23:00:01Z", "2026-11-23T17:00:00Z", errorCode="ExpiredToken"),
        _opened("ASIANEW", "2026-11-23T22:30:00Z", "2026-11-23T22:28:00Z"),
        _opened("ASIAOLD", "2026-11-23T23:28:01Z", "2026-11-23T22:28:00Z"),
        _opened("ASIAOTHER", "2026-11-23T23:00:00Z", "2026-11-23T17:00:00Z"),
    ]
    path = written(tmp_path, "a", *events)
    source = LogSource([path], known.get, clock=lambda: int(TAKEN.timestamp()) * 10**9)
    every = source.table("cloudtrail").to_pylist()
    until = datetime(2026, 11, 23, 23, 28, tzinfo=UTC)
    assert [row["issued_end"] for row in every] == [until, until, None, None, None, None, None, None]
    assert [(row["moment"], row["in_life"], row["session_end"]) for row in every] == [
        ("before", None, None), ("before", None, None),
        ("before", True, ends), ("after", True, ends), ("after", False, ends),
        ("before", True, until), ("after", False, until), ("after", None, None),
    ]  # fmt: skip
    assert every[2]["session_begin"] == datetime(2026, 11, 23, 17, tzinfo=UTC)
    blind = rows(path, "cloudtrail", known.get)
    assert {row["moment"] for row in blind} == {None} and blind[3]["in_life"] is True


def test_the_end_of_a_key_that_is_no_time(tmp_path: Path) -> None:
    odd = event("AssumeRole", responseElements={"credentials": {"accessKeyId": "ASIANEW", "expiration": "soon"}})
    later = _opened("ASIANEW", "2026-11-23T22:28:00Z", "when?")
    every = rows(written(tmp_path, "a", odd, later), "cloudtrail")
    assert [(row["issued_end"], row["session_begin"], row["in_life"]) for row in every] == [(None,) * 3] * 2


def _by(key: str, arn: str, **more: Any) -> dict[str, Any]:
    return event(userIdentity={"type": "AssumedRole", "arn": arn, "accessKeyId": key}, **more)
