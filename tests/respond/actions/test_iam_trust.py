# SPDX-License-Identifier: Apache-2.0
"""One subject denied in a trust policy; every other statement as it was."""

from __future__ import annotations

from pathlib import Path

from memir.respond.actions.iam_trust import IamTrust, deny, providers
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.aws_rig import ISSUER, NODE_ROLE, PROVIDER, ROLE, TRUST, AwsRig
from tests.respond.worlds import world

NEEDS = {"subject": "system:serviceaccount:shop:default", "sid": "Memir1"}


def test_denied_and_set_back(account: AwsRig, tmp_path: Path) -> None:
    place = world(shop.plan(tmp_path), None, account.aws)
    action = IamTrust(Change("a", "iam-trust", ROLE, (), needs=NEEDS), place)
    before = action.read()
    assert (before, action.unexpected(before)) == ({"trust": TRUST}, "")
    goal = action.goal(before)
    action.apply(before, goal)
    assert action.read() == goal == action.goal(goal)  # once, however often
    assert goal["trust"]["Statement"] == [*TRUST["Statement"], deny("Memir10", PROVIDER, NEEDS["subject"])]
    action.restore(goal, before)
    assert action.read() == before
    other = IamTrust(Change("a", "iam-trust", NODE_ROLE, (), needs=NEEDS), place)
    assert other.unexpected(other.read()) == "the role trusts no OIDC provider: no pod gets a session this way"


def test_providers_and_the_statement() -> None:
    allow = {"Effect": "Allow", "Principal": {"Federated": [PROVIDER, "arn:aws:iam::1:saml-provider/x"]}}
    assert providers({"Statement": allow}) == [PROVIDER]
    others = [{"Effect": "Deny"}, {"Effect": "Allow", "Principal": "*"}]
    assert providers({"Statement": [allow, allow, *others]}) == [PROVIDER]
    assert deny("S", PROVIDER, "x")["Condition"] == {"StringEquals": {f"{ISSUER}:sub": "x"}}
