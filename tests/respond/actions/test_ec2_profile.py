# SPDX-License-Identifier: Apache-2.0
"""The instance profile: taken, given back."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import StateError
from memir.respond.actions.ec2_profile import Ec2Profile
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


def test_taken_and_given_back(account: AwsRig, tmp_path: Path) -> None:
    action = Ec2Profile(Change("a", "ec2-profile", account.instance, ()), world(shop.plan(tmp_path), None, account.aws))
    before = action.read()
    assert before == {"profile": account.profile}
    action.apply(before, {"profile": None})
    assert action.read() == {"profile": None}
    with pytest.raises(StateError, match="has no instance profile any more"):
        action.apply(before, {"profile": None})
    action.restore({"profile": None}, before)
    assert action.read() == before
    assert [name for name, _ in account.sent] == ["DisassociateIamInstanceProfile", "AssociateIamInstanceProfile"]
