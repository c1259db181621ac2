# SPDX-License-Identifier: Apache-2.0
"""Auto Scaling: protected and suspended, what was so before stays so."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import StateError
from memir.respond.actions.autoscaling import AsgProcesses, AsgProtection
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


def test_there_and_back(account: AwsRig, tmp_path: Path) -> None:
    place = world(shop.plan(tmp_path), None, account.aws)
    after = {"suspended": ("AZRebalance", "ReplaceUnhealthy")}
    processes = AsgProcesses(Change("a", "asg-processes", "ng", (), after=after), place)
    protection = AsgProtection(Change("b", "asg-protection", account.instance, (), needs={"group": "ng"}), place)
    assert (processes.read(), protection.read()) == ({"suspended": ["AZRebalance"]}, {"protected": False})
    processes.apply(processes.read(), processes.goal({}))
    protection.apply(protection.read(), {"protected": True})
    assert (processes.read(), protection.read()) == (
        {"suspended": ["AZRebalance", "ReplaceUnhealthy"]}, {"protected": True},
    )  # fmt: skip
    processes.restore(processes.read(), {"suspended": ["AZRebalance"]})
    protection.restore(protection.read(), {"protected": False})
    assert (processes.read(), protection.read()) == ({"suspended": ["AZRebalance"]}, {"protected": False})
    assert [(name, more.get("ScalingProcesses")) for name, more in account.sent] == [
        ("SuspendProcesses", ["ReplaceUnhealthy"]), ("SetInstanceProtection", None),
        ("ResumeProcesses", ["ReplaceUnhealthy"]), ("SetInstanceProtection", None),
    ]  # fmt: skip


def test_what_is_gone(account: AwsRig, tmp_path: Path) -> None:
    place = world(shop.plan(tmp_path), None, account.aws)
    with pytest.raises(StateError, match="Auto Scaling group none is gone"):
        AsgProcesses(Change("a", "asg-processes", "none", ()), place).read()
    with pytest.raises(StateError, match="i-0123456789abcdef0 is in no Auto Scaling group any more"):
        AsgProtection(Change("a", "asg-protection", "i-0123456789abcdef0", ()), place).read()
