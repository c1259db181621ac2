# SPDX-License-Identifier: Apache-2.0
"""Locks on a plan's snapshots: a request for each, taken off again where the mode lets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import StorageError
from memir.respond.actions.aws import tags
from memir.respond.actions.ec2_snapshot_lock import Ec2SnapshotLock
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


def made(account: AwsRig, path: Path, mode: str) -> Ec2SnapshotLock:
    plan = shop.plan(path)
    needs = {"mode": mode, "days": "30"}
    return Ec2SnapshotLock(
        Change("a", "ec2-snapshot-lock", account.instance, (), needs=needs), world(plan, None, account.aws)
    )  # fmt: skip


def snapshots(account: AwsRig, plan_id: str) -> list[str]:
    """Two of a volume, as the step before would make them."""
    ec2 = account.aws("ec2")
    volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    specification = tags("snapshot", plan_id, memir_instance=account.instance)
    return sorted(
        ec2.create_snapshot(VolumeId=volume, TagSpecifications=specification)["SnapshotId"] for _ in range(2)
    )  # fmt: skip


def test_governance_there_and_back(account: AwsRig, tmp_path: Path) -> None:
    action = made(account, tmp_path, "governance")
    assert action.unexpected(action.read()) == f"{account.instance} has no snapshot of this plan"
    first, second = snapshots(account, action.world.plan_id)
    account.sent.clear()
    before = action.read()
    assert (before, action.unexpected(before)) == ({"locks": {first: None, second: None}}, "")
    goal = action.goal(before)
    action.apply({"locks": {first: "governance", second: None}}, goal)  # cut after the first
    assert account.sent == [
        ("LockSnapshot", {"SnapshotId": second, "LockMode": "governance", "LockDuration": 30})
    ]  # fmt: skip
    assert action.between(action.read(), before, goal) and action.read() != goal
    action.apply(action.read(), goal)
    assert action.read() == goal == {"locks": {first: "governance", second: "governance"}}
    action.restore(action.read(), before)
    assert (action.read(), account.locks.states) == (before, {})
    assert [name for name, _ in account.sent][2:] == ["UnlockSnapshot", "UnlockSnapshot"]


def test_compliance(account: AwsRig, tmp_path: Path) -> None:
    action = made(account, tmp_path, "compliance")
    first, second = snapshots(account, action.world.plan_id)
    account.locks.states[first] = "expired"
    action.apply(action.read(), action.goal(action.read()))
    assert account.locks.states == {first: "compliance-cooloff", second: "compliance-cooloff"}
    assert account.sent[-1][1] == {
        "SnapshotId": second, "LockMode": "compliance", "LockDuration": 30, "CoolOffPeriod": 24,
    }  # fmt: skip
    account.locks.states = dict.fromkeys((first, second), "compliance")
    with pytest.raises(StorageError, match="SnapshotLockNotAllowed"):
        action.restore(action.read(), {"locks": {first: None, second: None}})
    other = made(account, tmp_path, "governance")
    assert other.unexpected(other.read()) == f"{first}, {second} locked in another mode already"
