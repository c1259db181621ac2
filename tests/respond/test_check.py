# SPDX-License-Identifier: Apache-2.0
"""Every right asked for, nothing changed. IAM's simulation, which moto lacks, answers as its documentation says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.respond.check import check_rights, principal
from memir.respond.plan import Plan
from tests.respond import shop
from tests.respond.worlds import world


class Iam:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html"""

    def __init__(self, denied: str = "") -> None:
        self.denied, self.asked = denied, list[str]()

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Arn": "arn:aws:sts::123456789012:assumed-role/responder/me"}

    def simulate_principal_policy(self, *, PolicySourceArn: str, ActionNames: list[str], MaxItems: int) -> Any:  # noqa: N803
        assert PolicySourceArn == "arn:aws:iam::123456789012:role/responder" and 1 <= MaxItems <= 1000
        self.asked += ActionNames
        return {
            "EvaluationResults": [
                {"EvalActionName": name, "EvalDecision": "implicitDeny" if name == self.denied else "allowed"}
                for name in ActionNames
                if name != "ec2:CreateTags"
            ]
        }


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return shop.on_instance(tmp_path, "i-0abc1234def567890")


def test_each_right_once(plan: Plan) -> None:
    server, iam = shop.server(), Iam("ec2:CreateSnapshots")
    server.deny = {"create networkpolicies"}
    before = server.state()
    rows = check_rights(plan, world(plan, server, lambda service: iam))
    answers = {right: (answer, why) for right, answer, why in rows}
    assert len(answers) == len(rows)
    assert answers["patch pods in shop"] == ("allowed", "")
    assert answers["create networkpolicies.networking.k8s.io in shop"] == ("denied", "bind a role that allows it")
    assert answers["ec2:ModifyNetworkInterfaceAttribute"] == ("allowed", "by the caller's own policies")
    assert answers["ec2:CreateSnapshots"] == ("denied", "implicitDeny: allow it in the caller's policy")
    assert answers["ec2:CreateTags"] == ("not known", "IAM did not answer for it")
    wanted = {right.verb for step in plan.steps for right in step.permissions if right.system == "aws"}
    assert set(iam.asked) == wanted and len(iam.asked) == len(wanted)
    assert server.state() == before
    assert {path for method, path in server.requests if method != "GET"} == {
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    }


def test_who_may_not_simulate(plan: Plan) -> None:
    from botocore.exceptions import ClientError

    class Denied(Iam):
        def simulate_principal_policy(self, **_: Any) -> Any:
            answer: Any = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(answer, "SimulatePrincipalPolicy")

    rows = check_rights(plan, world(plan, shop.server(), lambda service: Denied()))
    aws = [(answer, why) for right, answer, why in rows if right.startswith(("ec2:", "iam:", "autoscaling:"))]
    assert {answer for answer, _ in aws} == {"not known"}
    assert "iam:SimulatePrincipalPolicy is denied" in aws[0][1]


def test_principals() -> None:
    assert principal("arn:aws-cn:sts::123456789012:assumed-role/a/b") == "arn:aws-cn:iam::123456789012:role/a"
    assert principal("arn:aws:iam::123456789012:user/x") == "arn:aws:iam::123456789012:user/x"
