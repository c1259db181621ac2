# SPDX-License-Identifier: Apache-2.0
"""An account with a cluster, its node and its logs: moto where it has the operation, else strict stand-ins.

Events of CloudWatch and CloudTrail are two hours old, at whatever time the tests run: their services refuse old ones.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.aws.strict import Operation, Refused, Strict
from tests.logs.made import V5, audit, finding, pascal

REGION, CLUSTER, DETECTOR = "eu-west-1", "lab", "d" * 32
BEGIN = (datetime.now(UTC) - timedelta(hours=3)).replace(minute=5, second=0, microsecond=0)
END = BEGIN + timedelta(hours=1)
AUTHENTICATOR = (
    'time="2026-11-23T22:27:43Z" level=info msg="access granted" arn="arn:aws:iam::111122223333:role/ops" '
    'client="127.0.0.1:3000" groups="[ops]" method=POST path=/authenticate uid=x username=ops'
)
PAGE = 2
"""Events of one page of the stand-ins."""


class Account:
    """strict: the stand-in's. moto: where moto's services are. bucket: S3, by moto."""

    def __init__(self, strict: Strict, moto: str) -> None:
        self.strict, self.moto = strict, moto
        self.audit = [(BEGIN + timedelta(minutes=minutes), json.dumps(audit(auditID=f"audit-{minutes}")))
                      for minutes in range(-5, 70, 3)]  # fmt: skip
        self.authenticator = [(BEGIN + timedelta(minutes=7), AUTHENTICATOR)]
        self.flows: list[tuple[datetime, str]] = []
        self.groups = {f"/aws/eks/{CLUSTER}/cluster"}
        self.trail = [trail_event(BEGIN + timedelta(minutes=after), f"event-{after}") for after in range(0, 60, 7)]
        self.findings = [pascal({**finding(id="f1"), "arn": "arn:aws:guardduty:eu-west-1:111122223333:f1",
                                 "updatedAt": _iso(BEGIN), "createdAt": _iso(BEGIN)})]  # fmt: skip
        for each in self.findings:
            each["Service"] |= {"EventFirstSeen": _iso(BEGIN), "EventLastSeen": _iso(BEGIN)}

    def operations(self) -> dict[str, dict[str, Operation]]:
        return {
            "logs": {"FilterLogEvents": self._filter, "DescribeLogStreams": self._streams},
            "cloudtrail": {"DescribeTrails": lambda _: {"trailList": self.trails}, "LookupEvents": self._lookup},
            "guardduty": {
                "ListDetectors": lambda _: {"DetectorIds": [DETECTOR]},
                "ListFindings": lambda _: {"FindingIds": [each["Id"] for each in self.findings]},
                "GetFindings": lambda asked: {
                    "Findings": [each for each in self.findings if each["Id"] in asked["FindingIds"]]
                },
            },
        }

    trails: list[dict[str, Any]] = []  # noqa: RUF012  (replaced, never changed)

    def _filter(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["logGroupName"] not in self.groups:
            raise Refused("ResourceNotFoundException", 400, "The specified log group does not exist.")
        prefix = asked.get("logStreamNamePrefix", "")
        every = self.flows if "flow" in asked["logGroupName"] else (
            self.audit if prefix.startswith("kube-apiserver-audit") else
            self.authenticator if prefix.startswith("authenticator") else [])  # fmt: skip
        inside = [(_milliseconds(time), text) for time, text in every
                  if asked["startTime"] <= _milliseconds(time) <= asked["endTime"]]  # fmt: skip
        start = int(asked.get("nextToken", 0))
        page = inside[start : start + PAGE]
        answer: dict[str, Any] = {"events": [
            {"logStreamName": f"{prefix}0", "timestamp": time, "message": text, "ingestionTime": time,
             "eventId": str(time)}
            for time, text in page]}  # fmt: skip
        return answer | ({"nextToken": str(start + PAGE)} if start + PAGE < len(inside) else {})

    def _streams(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"logStreams": [{"logStreamName": asked["logStreamNamePrefix"]}]}

    def _lookup(self, asked: dict[str, Any]) -> dict[str, Any]:
        wanted = {each["AttributeKey"]: each["AttributeValue"] for each in asked.get("LookupAttributes", ())}
        inside = [each for each in reversed(self.trail)
                  if asked["StartTime"] <= each["EventTime"].timestamp() <= asked["EndTime"]
                  and all(each.get(key) == value for key, value in wanted.items())]  # fmt: skip
        start = int(asked.get("NextToken", 0))
        answer: dict[str, Any] = {"Events": inside[start : start + PAGE]}
        return answer | ({"NextToken": str(start + PAGE)} if start + PAGE < len(inside) else {})


def trail_event(time: datetime, ident: str, **more: Any) -> dict[str, Any]:
    """An event as LookupEvents gives it. more: fields of the event itself."""
    event = {
        "eventVersion": "1.09", "eventTime": _iso(time), "eventID": ident, "eventSource": "sts.amazonaws.com",
        "eventName": "GetCallerIdentity", "awsRegion": REGION, "sourceIPAddress": "203.0.113.7",
        "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "userName": "alice"}, **more,
    }  # fmt: skip
    return {"EventId": ident, "EventName": event["eventName"], "EventTime": time, "EventSource": event["eventSource"],
            "Username": "alice", "CloudTrailEvent": json.dumps(event)}  # fmt: skip


def put_trail(s3: Any, bucket: str, account: str, events: list[dict[str, Any]], time: datetime) -> str:
    """A file of a trail as CloudTrail delivers it; its key."""
    records = [json.loads(each["CloudTrailEvent"]) for each in events]
    name = f"{account}_CloudTrail_{REGION}_{time:%Y%m%dT%H%MZ}_aBcDeF0123456789.json.gz"
    key = f"org/AWSLogs/{account}/CloudTrail/{REGION}/{time:%Y/%m/%d}/{name}"
    s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(json.dumps({"Records": records}).encode()))
    return key


def flow_line(time: datetime, bytes_: int = 5000) -> str:
    """A record of version 5 with the fields of V5."""
    start = int(time.timestamp())
    return (f"5 111122223333 eni-0a1b 10.0.2.15 198.51.100.77 40000 443 6 10 {bytes_} {start} {start + 60} ACCEPT OK "
            "10.0.1.103 198.51.100.77 2 vpc-1 egress")  # fmt: skip


FORMAT = " ".join(f"${{{name}}}" for name in V5.split())


@contextmanager
def servers() -> Iterator[tuple[str, Strict]]:
    """(where moto is, the stand-in that has no operations yet)."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    strict = Strict({})
    try:
        yield f"http://{host}:{port}", strict
    finally:
        strict.stop()
        server.stop()


def enter(environment: Any, moto: str, strict: Strict) -> Account:
    """The account, as new. environment: monkeypatch; boto3 is led to the servers as by a user's environment."""
    made = Account(strict, moto)
    strict.services, strict.calls, strict.denied = made.operations(), [], set()
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "MEMIR_BUCKET_OWNER"):
        environment.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_ENDPOINT_URL": moto,
        **{f"AWS_ENDPOINT_URL_{name}": strict.url for name in ("CLOUDWATCH_LOGS", "CLOUDTRAIL", "GUARDDUTY")},
    }.items():  # fmt: skip
        environment.setenv(name, value)
    return made


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _iso(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
