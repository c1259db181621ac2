# SPDX-License-Identifier: Apache-2.0
"""GuardDuty's findings about a cluster and a node."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

from memir.aws.fetch.guardduty import SOURCE
from tests.aws.fetch.account import BEGIN, CLUSTER, DETECTOR, END, Account
from tests.aws.fetch.test_scope import scope


def test_findings(account: Account) -> None:
    later = json.loads(json.dumps(account.findings[0])) | {"Id": "f2"}
    later["Service"]["EventFirstSeen"] = f"{END + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    account.findings.append(later)
    asked = scope("i-0123456789abcdef0")
    asked.__dict__["instance"] = {"InstanceId": "i-0123456789abcdef0"}
    (piece,) = SOURCE.pieces(asked)
    assert piece.name.startswith(f"guardduty/findings-{DETECTOR}-")
    lines = gzip.decompress(b"".join(piece.blocks())).splitlines()
    assert [json.loads(line)["Id"] for line in lines] == ["f1"]
    conditions = [params["FindingCriteria"]["Criterion"] for _, name, params in account.strict.calls
                  if name == "ListFindings"]  # fmt: skip
    updated = {"GreaterThanOrEqual": int(BEGIN.timestamp()) * 1000}
    assert conditions == [
        {"updatedAt": updated, "resource.eksClusterDetails.name": {"Equals": [CLUSTER]}},
        {"updatedAt": updated, "resource.instanceDetails.instanceId": {"Equals": ["i-0123456789abcdef0"]}},
    ]


def test_no_detector(account: Account) -> None:
    account.strict.services["guardduty"]["ListDetectors"] = lambda _: {"DetectorIds": []}
    asked = scope()
    assert list(SOURCE.pieces(asked)) == []
    assert asked.unread[0].why == "GuardDuty is not on in region eu-west-1"
