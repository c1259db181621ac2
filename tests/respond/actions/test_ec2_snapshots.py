# SPDX-License-Identifier: Apache-2.0
"""Snapshots: of all volumes, once, tagged."""

from __future__ import annotations

from pathlib import Path

from memir.respond.account import ask_instance
from memir.respond.actions.ec2_snapshots import Ec2Snapshots
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


def test_of_all_volumes(account: AwsRig, tmp_path: Path) -> None:
    plan = shop.plan(tmp_path)
    place = world(plan, None, account.aws)
    volumes = list(ask_instance(place, account.instance).volumes)
    action = Ec2Snapshots(Change("a", "ec2-snapshots", account.instance, (), after={"volumes": tuple(volumes)}), place)
    assert action.read() == {"volumes": []}
    action.apply(action.read(), action.goal({}))
    assert action.read() == action.goal({}) == {"volumes": volumes}
    ((name, sent),) = account.sent
    assert (name, sent["InstanceSpecification"], sent["Description"]) == (
        "CreateSnapshots", {"InstanceId": account.instance}, f"{plan.id} {account.instance}",
    )  # fmt: skip
