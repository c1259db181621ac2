# SPDX-License-Identifier: Apache-2.0
"""A security group of ours: its rules exactly all, or exactly none."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.respond.actions.ec2_group import Ec2Group
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


def made(account: AwsRig, path: Path, rules: str) -> Ec2Group:
    needs = {"vpc": account.vpc, "rules": rules}
    return Ec2Group(Change("a", "ec2-group", f"g-{rules}", (), needs=needs), world(shop.plan(path), None, account.aws))


@pytest.mark.parametrize("rules", ["all", "none"])
def test_made_and_removed(account: AwsRig, tmp_path: Path, rules: str) -> None:
    action = made(account, tmp_path, rules)
    absent = action.read()
    assert (absent, action.unexpected(absent)) == ({"present": False}, "")
    goal = action.goal(absent)
    action.apply(absent, goal)
    state = action.read()
    assert action.same(state, goal)
    (group,) = account.aws("ec2").describe_security_groups(GroupIds=[state["id"]])["SecurityGroups"]
    assert bool(group["IpPermissions"]) is bool(group["IpPermissionsEgress"]) is (rules == "all")
    for rule in group["IpPermissions"] + group["IpPermissionsEgress"]:
        assert (rule["IpProtocol"], rule["IpRanges"], rule["Ipv6Ranges"]) == (
            "-1", [{"CidrIp": "0.0.0.0/0"}], [{"CidrIpv6": "::/0"}],
        )  # fmt: skip
    count = len(account.sent)
    action.apply(state, goal)  # nothing more to do
    assert len(account.sent) == count
    action.restore(state, absent)
    assert action.read() == absent


def test_one_that_is_there_and_one_half_made(account: AwsRig, tmp_path: Path) -> None:
    action = made(account, tmp_path, "none")
    account.aws("ec2").create_security_group(GroupName="g-none", Description="x", VpcId=account.vpc)
    state = action.read()
    assert (state["ours"], action.unexpected(state)) == (False, "a security group g-none is there already")
    assert not action.between(state, {}, {}) and action.between({**state, "ours": True}, {}, {})
