# SPDX-License-Identifier: Apache-2.0
"""Old sessions denied by a policy of ours, and only it removed."""

from __future__ import annotations

import json
from pathlib import Path

from memir.respond.actions.iam_deny import IamDeny, document
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import ROLE, AwsRig
from tests.respond.worlds import world


def test_put_and_deleted(account: AwsRig, tmp_path: Path) -> None:
    change = Change("a", "iam-deny", ROLE, (), before={"policy": None}, needs={"policy": "memir-1"})
    action = IamDeny(change, world(shop.plan(tmp_path), None, account.aws))
    iam = account.aws("iam")
    iam.put_role_policy(RoleName=ROLE, PolicyName="theirs", PolicyDocument=json.dumps(document("2026-01-01T00:00:00Z")))
    state = action.read()
    goal = action.goal(state)
    assert (state, action.unexpected(state), goal) == (
        {"policy": None}, "", {"policy": document("2026-11-29T10:00:00+00:00")},
    )  # fmt: skip
    action.apply(state, goal)
    assert action.read() == goal
    other = {"policy": document("2026-01-01T00:00:00+00:00")}
    assert action.unexpected(other) != ""
    action.restore(goal, state)
    assert (action.read(), iam.list_role_policies(RoleName=ROLE)["PolicyNames"]) == (state, ["theirs"])
    (statement,) = document("t")["Statement"]
    assert statement == {
        "Effect": "Deny", "Action": ["*"], "Resource": ["*"],
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": "t"}},
    }  # fmt: skip
