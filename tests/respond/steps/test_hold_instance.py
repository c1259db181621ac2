# SPDX-License-Identifier: Apache-2.0
"""Hold the instance: what Auto Scaling may no longer do."""

import dataclasses

from memir.respond.plan import Choices
from memir.respond.steps.hold_instance import hold_instance
from tests.respond.steps.facts import FACTS, NODE


def test_with_and_without_facts() -> None:
    assert hold_instance(NODE, None).unresolved == ("the Auto Scaling group of i-0ab",)
    processes, protection = hold_instance(NODE, FACTS).changes
    assert (processes.target, processes.before, processes.after) == (
        "ng", {"suspended": ("AZRebalance",)}, {"suspended": ("AZRebalance", "ReplaceUnhealthy")},
    )  # fmt: skip
    assert (protection.target, protection.before, protection.needs) == ("i-0ab", {"protected": False}, {"group": "ng"})
    alone = hold_instance(NODE, dataclasses.replace(FACTS, group="", spot=True))
    assert alone.changes == () and alone.limits[1].startswith("the instance is in no Auto Scaling group")
    assert alone.limits[2].startswith("THIS IS A SPOT INSTANCE")


def test_out_of_the_group() -> None:
    step = hold_instance(NODE, FACTS, Choices("detach"))
    (change,) = step.changes
    assert (change.kind, change.target, change.before, change.after) == (
        "asg-detach", "i-0ab", {"group": "ng"}, {"group": None},
    )  # fmt: skip
    assert change.calls[0] == "autoscaling:DetachInstances i-0ab ng ShouldDecrementDesiredCapacity false"
    assert [right.verb.partition(":")[2] for right in step.permissions] == [
        "DescribeAutoScalingInstances", "DescribeAutoScalingGroups", "DetachInstances", "AttachInstances",
    ]  # fmt: skip
    assert any("starts another instance" in text for text in step.triggers) and "raises the group's" in step.undo
    assert hold_instance(NODE, None, Choices("detach")).unresolved != ()
