# SPDX-License-Identifier: Apache-2.0
"""The groups of one interface: two requests there, one back; cut between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import StateError
from memir.respond.actions.ec2_groups import Ec2Groups
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


def test_there_and_back(account: AwsRig, tmp_path: Path) -> None:
    eni = account.interfaces[0]
    needs = {"vpc": account.vpc, "open": "cluster", "closed": "branch"}  # any two groups will do here
    action = Ec2Groups(Change("a", "ec2-groups", eni, (), needs=needs), world(shop.plan(tmp_path), None, account.aws))
    before, goal = action.read(), action.goal({})
    _, opened, closed = account.groups
    assert goal == {"groups": [closed]}
    action.apply(before, goal)
    assert action.read() == goal
    action.restore(goal, {"groups": [opened]})
    assert action.between(action.read(), before, goal)
    action.apply(action.read(), goal)
    action.restore(goal, before)
    assert action.read() == before
    assert [more["Groups"] for _, more in account.sent] == [
        [opened], [closed], [opened], [closed], before["groups"],
    ]  # fmt: skip


def test_what_is_gone(account: AwsRig, tmp_path: Path) -> None:
    place = world(shop.plan(tmp_path), None, account.aws)
    needs = {"vpc": account.vpc, "open": "x", "closed": "y"}
    with pytest.raises(StateError, match="network interface eni-0123456789abcdef0 is gone"):
        Ec2Groups(Change("a", "ec2-groups", "eni-0123456789abcdef0", (), needs=needs), place).read()
    with pytest.raises(StateError, match="the security group y, which the step made before, is gone"):
        Ec2Groups(Change("a", "ec2-groups", account.interfaces[0], (), needs=needs), place).goal({})
