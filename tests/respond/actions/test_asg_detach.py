# SPDX-License-Identifier: Apache-2.0
"""An instance out of its group, and back while there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import StateError
from memir.respond.actions.asg_detach import AsgDetach
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


def test_there_and_back(account: AwsRig, tmp_path: Path) -> None:
    place = world(shop.plan(tmp_path), None, account.aws)
    action = AsgDetach(Change("a", "asg-detach", account.instance, (), after={"group": None}), place)
    before = action.read()
    assert before == {"group": "ng"}
    action.apply(before, action.goal(before))
    assert action.read() == {"group": None}
    scaling = account.aws("autoscaling")
    group = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["ng"])["AutoScalingGroups"][0]
    assert [item["InstanceId"] != account.instance for item in group["Instances"]] == [True]  # another in its place
    assert action.cannot_undo({}, before).startswith("Auto Scaling group ng has 1 instances, its MaxSize: raise that")
    scaling.update_auto_scaling_group(AutoScalingGroupName="ng", MaxSize=2)
    assert action.cannot_undo({}, before) == ""
    action.restore(action.read(), before)
    assert action.read() == before
    assert [pair for pair in account.sent if pair[0] != "UpdateAutoScalingGroup"] == [
        ("DetachInstances", {
            "InstanceIds": [account.instance], "AutoScalingGroupName": "ng", "ShouldDecrementDesiredCapacity": False,
        }),
        ("AttachInstances", {"InstanceIds": [account.instance], "AutoScalingGroupName": "ng"}),
    ]  # fmt: skip
    with pytest.raises(StateError, match="is in Auto Scaling group ng now"):
        action.restore(action.read(), before)


def test_a_group_that_is_gone(account: AwsRig, tmp_path: Path) -> None:
    place = world(shop.plan(tmp_path), None, account.aws)
    action = AsgDetach(Change("a", "asg-detach", account.instance, ()), place)
    assert action.cannot_undo({}, {"group": "none"}) == "Auto Scaling group none is gone"
