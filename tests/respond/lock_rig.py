# SPDX-License-Identifier: Apache-2.0
"""EC2's snapshot locks, which moto lacks: answers for three operations of a real client, before they are sent.

The client has checked and serialised them by then. https://docs.aws.amazon.com/ebs/latest/userguide/ebs-snapshot-lock.html
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

STATES = {"governance": "governance", "compliance": "compliance-cooloff"}


class Locks:
    """states: LockState by snapshot."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}

    def answer(self, operation: str, body: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What the service says to a request. body: as the query protocol writes it."""
        if operation == "DescribeLockedSnapshots":
            ids = [value for key, value in body.items() if key.startswith("SnapshotId.")]
            rows = [{"SnapshotId": each, "LockState": self.states[each]} for each in ids if each in self.states]
            return SimpleNamespace(status_code=200), {"Snapshots": rows}
        ident = body["SnapshotId"]
        if operation == "LockSnapshot":
            mode, days = body["LockMode"], int(body["LockDuration"])
            if not 1 <= days <= 36500 or ("CoolOffPeriod" in body and mode == "governance"):
                raise self._error("InvalidParameterCombination", operation)
            self.states[ident] = STATES[mode] if "CoolOffPeriod" in body or mode == "governance" else "compliance"
        elif self.states.get(ident) not in ("governance", "compliance-cooloff"):
            raise self._error("SnapshotLockNotAllowed", operation)
        else:
            del self.states[ident]
        return SimpleNamespace(status_code=200), {"SnapshotId": ident}

    def _error(self, code: str, operation: str) -> ClientError:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        return ClientError(answer, operation)
