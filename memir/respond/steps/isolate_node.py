# SPDX-License-Identifier: Apache-2.0
"""Isolate the node: every network interface of the instance, and what dies with it."""

from __future__ import annotations

from memir.respond.account import InstanceFacts
from memir.respond.plan import Change, NodeTarget, Step
from memir.respond.steps.base import may_aws

ACTIONS = (
    "DescribeSecurityGroups", "DescribeNetworkInterfaces", "CreateSecurityGroup", "CreateTags",
    "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress",
    "RevokeSecurityGroupEgress", "ModifyNetworkInterfaceAttribute", "DeleteSecurityGroup",
)  # fmt: skip


def isolate_node(plan_id: str, node: NodeTarget, facts: InstanceFacts | None) -> Step:
    """Two groups of ours, then the groups of each interface."""
    ident, instance = f"isolate-node-{node.name}", node.instance_id or ""
    names = {"open": f"{plan_id}-{instance}-open", "closed": f"{plan_id}-{instance}-closed"}
    changes: list[Change] = []
    if facts and not facts.operator:
        for which, rules in (("open", "all"), ("closed", "none")):
            call = f"ec2:CreateSecurityGroup {names[which]} in {facts.vpc}, rules: {rules}"
            needs = {"vpc": facts.vpc, "rules": rules}
            changes.append(Change(f"{ident}.{which}", "ec2-group", names[which], (call,), needs=needs))
        for interface, groups, kind in facts.interfaces:
            calls = tuple(
                f"ec2:ModifyNetworkInterfaceAttribute {interface} ({kind}) Groups {names[which]}" for which in names
            )
            changes.append(
                Change(
                    f"{ident}.{interface}", "ec2-groups", interface, calls, before={"groups": groups},
                    needs={"vpc": facts.vpc, **names},
                )
            )  # fmt: skip
    return Step(
        ident, "isolate-node", f"Isolate node {node.name}",
        "Where the host is taken, or policies cut nothing. The first group allows all, so that no flow is tracked any"
        " more; the second then cuts the connections that are open, which a change of groups alone leaves.",
        "memir",
        "Each interface gets the groups back that it had, then the groups of ours are deleted.",
        (5, 60), tuple(changes),
        permissions=tuple(may_aws(f"ec2:{name}", "*" if "Describe" in name else instance) for name in ACTIONS),
        triggers=(
            "the node is NotReady after 40 s and its pods are deleted after 5 minutes unless they tolerate it",
            "SSM, the kubelet and every pod of the node lose the network: nothing can be acquired over it any more",
            "for a moment all traffic is allowed to and from it",
            "GuardDuty and Auto Scaling see an unhealthy instance",
        ),
        limits=(
            "link-local stays: the metadata service (IMDS), DNS of the VPC and time answer regardless of groups",
            "interfaces that are attached after the plan was made are not isolated",
        ),
        unresolved=() if facts else (f"the network interfaces of {instance} and their groups",),
        refused=f"{instance} is locked by {facts.operator}: its interfaces cannot be changed"
        if facts and facts.operator else "",
        subject=f"node {node.name}",
    )  # fmt: skip
