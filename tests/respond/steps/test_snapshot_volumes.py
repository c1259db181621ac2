# SPDX-License-Identifier: Apache-2.0
"""Snapshot volumes: which, and what they hold nothing of."""

import dataclasses

from memir.respond.steps.snapshot_volumes import snapshot_volumes
from tests.respond.steps.facts import FACTS, NODE


def test_with_and_without_facts() -> None:
    assert snapshot_volumes(NODE, None).unresolved == ("the volumes of i-0ab",)
    step = snapshot_volumes(NODE, FACTS)
    assert [(change.target, change.after) for change in step.changes] == [("i-0ab", {"volumes": ("vol-1", "vol-2")})]
    assert step.limits[1].startswith("A m5d.large HAS 75 GB OF INSTANCE STORE")
    assert snapshot_volumes(NODE, dataclasses.replace(FACTS, volumes=())).changes == ()
