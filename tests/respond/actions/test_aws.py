# SPDX-License-Identifier: Apache-2.0
"""One request to AWS, its method's name, its errors by the name of the action."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import RemoteError
from memir.respond.actions.aws import AwsAction, ask, snake, tags
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


def test_requests(account: AwsRig, tmp_path: Path) -> None:
    place = world(shop.plan(tmp_path), None, account.aws)
    assert ask(place, "iam", "GetRole", "x", RoleName="node")["Role"]["RoleName"] == "node"
    with pytest.raises(RemoteError, match="x: iam:GetRole failed with NoSuchEntity"):
        ask(place, "iam", "GetRole", "x", RoleName="none")
    action = AwsAction(Change("a", "iam-deny", "r", ()), place)
    assert action.ask_or(("NoSuchEntity",), "iam", "GetRole", RoleName="none") is None
    with pytest.raises(RemoteError, match="r: iam:GetRole failed"):
        action.ask_or(("Other",), "iam", "GetRole", RoleName="none")
    assert snake("ModifyNetworkInterfaceAttribute") == "modify_network_interface_attribute"
    assert tags("snapshot", "memir-1", memir_instance="i-1") == [{
        "ResourceType": "snapshot",
        "Tags": [{"Key": "memir-plan", "Value": "memir-1"}, {"Key": "memir-instance", "Value": "i-1"}],
    }]  # fmt: skip
