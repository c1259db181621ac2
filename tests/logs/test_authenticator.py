# SPDX-License-Identifier: Apache-2.0
"""The table authenticator."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.logs.made import gaps, rows, written

LINE = (
    r'time="2026-11-23T22:27:40Z" level=info msg="access granted" arn="arn:aws:iam::111122223333:role/dev" '
    r'client="127.0.0.1:36788" groups="[system:masters dev\"x]" method=POST path=/authenticate '
    r'stsendpoint=sts.us-east-1.amazonaws.com uid="aws-iam-authenticator:111122223333:AROA" username=kubernetes-admin'
)
DENIED = (
    'time="2026-11-23T22:27:41Z" level=warning msg="access denied" arn="a=b c" error="ARN is not mapped" '
    "path=/authenticate"
)


def test_rows(tmp_path: Path) -> None:
    path = written(tmp_path, "a", LINE, f"2026-11-23T22:27:41.000Z {DENIED}", 'time="x" level=info msg="no time"')
    granted, denied = rows(path, "authenticator")
    assert {name: value for name, value in granted.items() if value is not None} == {
        "time": datetime(2026, 11, 23, 22, 27, 40, tzinfo=UTC), "level": "info", "message": "access granted",
        "arn": "arn:aws:iam::111122223333:role/dev", "user": "kubernetes-admin",
        "uid": "aws-iam-authenticator:111122223333:AROA", "groups": ["system:masters", 'dev"x'],
        "client": "127.0.0.1:36788", "method": "POST", "path": "/authenticate", "sts": "sts.us-east-1.amazonaws.com",
        "log": str(path), "line": 1, "source": "EKS authenticator log",
    }  # fmt: skip
    assert (denied["message"], denied["arn"], denied["error"], denied["user"], denied["line"]) == (
        "access denied", "a=b c", "ARN is not mapped", None, 2,
    )  # fmt: skip
    assert gaps(path) == {"lines of no format that memir reads": 1}
