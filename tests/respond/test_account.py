# SPDX-License-Identifier: Apache-2.0
"""What AWS says of an instance: asked of moto, and where moto does not know (a lock), of a stubbed answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import memir.respond.account as account_module
from memir.errors import AccessError, StateError
from memir.respond.account import ask_holders, ask_instance, ask_role
from memir.respond.plan import NodeTarget, Plan
from memir.respond.steps.hold_instance import hold_instance
from memir.respond.steps.isolate_node import isolate_node
from tests.respond import shop
from tests.respond.aws_rig import AwsRig
from tests.respond.worlds import world


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return shop.plan(tmp_path)


def test_everything_about_an_instance(account: AwsRig, plan: Plan) -> None:
    facts = ask_instance(world(plan, None, account.aws), account.instance)
    assert [interface for interface, _, _ in facts.interfaces] == account.interfaces  # the branch's too
    assert set(account.groups) < {group for _, groups, _ in facts.interfaces for group in groups}
    assert (facts.kind, facts.instance_store, facts.group, facts.protected) == ("m5d.large", 75, "ng", False)
    assert (facts.suspended, facts.profile, facts.cluster) == (("AZRebalance",), account.profile, "prod")
    assert (len(facts.volumes), facts.operator, facts.vpc) == (1, "", account.vpc)
    assert account.sent == []
    place = world(plan, None, account.aws)
    assert ask_role(place, "prod", "shop", "default") == shop.ROLE
    assert ask_role(place, "prod", "shop", "other") == ""
    for name in ("api", "ci"):
        account.eks.create_pod_identity_association(
            clusterName="prod", namespace="shop", serviceAccount=name,
            roleArn=shop.ROLE if name == "ci" else shop.ROLE + "x",
        )  # fmt: skip
    assert ask_holders(place, "prod", [shop.ROLE]) == [("shop", "ci"), ("shop", "default")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(account_module, "PAGES", 2)
        with pytest.raises(StateError, match="more than 500 Pod Identity associations"):
            ask_holders(place, "prod", [shop.ROLE])


class Locked:
    """EC2's answer for an instance of EKS Auto Mode, which moto does not make."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def describe_instances(self, **more: Any) -> Any:
        answer = self.real.describe_instances(**more)
        instance = answer["Reservations"][0]["Instances"][0]
        instance["Operator"] = {"Managed": True, "Principal": "eks.amazonaws.com"}
        instance["InstanceLifecycle"] = "spot"
        instance["Tags"] = [{"Key": "kubernetes.io/cluster/prod", "Value": "owned"}]
        return answer


def test_one_that_is_locked(account: AwsRig, plan: Plan) -> None:
    def aws(service: str) -> Any:
        return Locked(account.aws(service)) if service == "ec2" else account.aws(service)

    facts = ask_instance(world(plan, None, aws), account.instance)
    assert (facts.operator, facts.spot, facts.cluster) == ("eks.amazonaws.com", True, "prod")
    node = NodeTarget("n", None, account.instance, "auto")
    refused = isolate_node("memir-1", node, facts).refused
    assert refused == f"{account.instance} is locked by eks.amazonaws.com: its interfaces cannot be changed"
    assert hold_instance(node, facts).refused.endswith("is locked by eks.amazonaws.com")


def test_gone_and_denied(account: AwsRig, plan: Plan) -> None:
    from botocore.exceptions import ClientError

    account.aws("ec2").terminate_instances(InstanceIds=[account.instance])
    with pytest.raises(StateError, match=f"instance {account.instance} is gone"):
        ask_instance(world(plan, None, account.aws), account.instance)

    class Denied:
        def describe_instances(self, **_: Any) -> Any:
            answer: Any = {"Error": {"Code": "UnauthorizedOperation"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(answer, "DescribeInstances")

    with pytest.raises(AccessError, match="ec2:DescribeInstances is denied"):
        ask_instance(world(plan, None, lambda service: Denied()), "i-0ab")
