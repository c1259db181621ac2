# SPDX-License-Identifier: Apache-2.0
"""Snapshot volumes: which, and what they hold nothing of."""

import dataclasses

from memir.respond.plan import Choices
from memir.respond.steps.snapshot_volumes import snapshot_volumes
from tests.respond.steps.facts import FACTS, NODE


def test_with_and_without_facts() -> None:
    assert snapshot_volumes(NODE, None).unresolved == ("the volumes of i-0ab",)
    step = snapshot_volumes(NODE, FACTS)
    assert [(change.kind, change.target, change.after) for change in step.changes] == [
        ("ec2-snapshots", "i-0ab", {"volumes": ("vol-1", "vol-2")}), ("ec2-snapshot-lock", "i-0ab", {}),
    ]  # fmt: skip
    assert step.limits[1].startswith("A m5d.large HAS 75 GB OF INSTANCE STORE")
    assert snapshot_volumes(NODE, dataclasses.replace(FACTS, volumes=())).changes == ()


def test_locks() -> None:
    """Governance unless another is named; compliance says that it has no undo."""
    lock = snapshot_volumes(NODE, FACTS).changes[1]
    assert (lock.needs, lock.irreversible) == ({"mode": "governance", "days": "30"}, "")
    strict = snapshot_volumes(NODE, FACTS, Choices(lock="compliance", lock_days=90))
    assert strict.changes[1].needs == {"mode": "compliance", "days": "90"}
    assert strict.changes[1].irreversible.startswith("compliance mode has no undo; within 24 hours")
    assert strict.changes[1].calls == (
        "ec2:LockSnapshot of each snapshot, LockMode compliance LockDuration 90 CoolOffPeriod 24",
    )
    assert strict.limits[-1].startswith("COMPLIANCE HAS NO UNDO: for 90 days nobody")
    assert "ec2:UnlockSnapshot" not in [right.verb for right in strict.permissions]
    none = snapshot_volumes(NODE, FACTS, Choices(lock="none"))
    assert [change.kind for change in none.changes] == ["ec2-snapshots"]
