# SPDX-License-Identifier: Apache-2.0
"""The snapshots of a plan locked against deletion: governance, which may be taken off, or compliance, which may not.

A snapshot that is pending may be locked; its days begin when it is complete.
https://docs.aws.amazon.com/ebs/latest/userguide/ebs-snapshot-lock.html
"""

from __future__ import annotations

from memir.respond.actions.aws import TAG, AwsAction
from memir.respond.actions.base import State
from memir.respond.actions.ec2_snapshots import INSTANCE

COOL_OFF = 24
"""Hours in which a compliance lock may still be taken off: 1 to 72."""
MODES = {"governance": "governance", "compliance": "compliance", "compliance-cooloff": "compliance"}
"""LockState to mode; an expired lock is none."""


class Ec2SnapshotLock(AwsAction):
    """target: the instance. needs: mode and days."""

    def read(self) -> State:
        """locks: mode by snapshot, None for one that is not locked."""
        filters = [
            {"Name": f"tag:{TAG}", "Values": [self.world.plan_id]},
            {"Name": f"tag:{INSTANCE}", "Values": [self.change.target]},
        ]
        items = self.ask("ec2", "DescribeSnapshots", Filters=filters, OwnerIds=["self"])["Snapshots"]
        ids = sorted(item["SnapshotId"] for item in items if item.get("State") != "error")
        locks: dict[str, str | None] = dict.fromkeys(ids)
        if ids:
            for item in self.ask("ec2", "DescribeLockedSnapshots", SnapshotIds=ids)["Snapshots"]:
                locks[item["SnapshotId"]] = MODES.get(item["LockState"])
        return {"locks": locks}

    def goal(self, state: State) -> State:
        """Each in the mode."""
        return {"locks": dict.fromkeys(state["locks"], self.change.needs["mode"])}

    def unexpected(self, state: State) -> str:
        """No snapshots, or a lock that is not ours."""
        if not state["locks"]:
            return f"{self.change.target} has no snapshot of this plan"
        other = sorted(ident for ident, mode in state["locks"].items() if mode not in (None, self.change.needs["mode"]))
        return f"{', '.join(other)} locked in another mode already" if other else ""

    def between(self, state: State, before: State, goal: State) -> bool:
        """Some locked, some not yet."""
        return state["locks"].keys() == goal["locks"].keys() and all(
            mode in (before["locks"][ident], goal["locks"][ident]) for ident, mode in state["locks"].items()
        )

    def apply(self, state: State, goal: State) -> None:
        """A request for each that is not locked."""
        more = {"CoolOffPeriod": COOL_OFF} if self.change.needs["mode"] == "compliance" else {}
        for ident, mode in goal["locks"].items():
            if state["locks"][ident] != mode:
                self.ask(
                    "ec2", "LockSnapshot", SnapshotId=ident, LockMode=mode, LockDuration=int(self.change.needs["days"]),
                    **more,
                )  # fmt: skip

    def restore(self, state: State, goal: State) -> None:
        """A request for each that was not locked before."""
        for ident, mode in goal["locks"].items():
            if state["locks"][ident] != mode:
                self.ask("ec2", "UnlockSnapshot", SnapshotId=ident)
