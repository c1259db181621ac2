# SPDX-License-Identifier: Apache-2.0
"""Hold the instance: Auto Scaling neither takes it in nor replaces it."""

from __future__ import annotations

from memir.respond.account import InstanceFacts
from memir.respond.plan import Change, NodeTarget, Step
from memir.respond.steps.base import may_aws

PROCESSES = ("AZRebalance", "ReplaceUnhealthy")
"""AZRebalance may end a healthy instance; ReplaceUnhealthy ends one that is isolated."""


def hold_instance(node: NodeTarget, facts: InstanceFacts | None) -> Step:
    """Scale-in protection, and the group's processes suspended."""
    ident, instance = f"hold-instance-{node.name}", node.instance_id or ""
    changes: tuple[Change, ...] = ()
    limits = ["termination protection is not set: it stops neither Auto Scaling nor EC2's own reclaiming of spot"]
    group = facts.group if facts else ""
    if facts and group:
        suspended = tuple(name for name in facts.suspended if name in PROCESSES)
        changes = (
            Change(
                f"{ident}.processes", "asg-processes", group,
                (f"autoscaling:SuspendProcesses {group} {' '.join(PROCESSES)}",), before={"suspended": suspended},
                after={"suspended": PROCESSES},
            ),
            Change(
                f"{ident}.protection", "asg-protection", instance,
                (f"autoscaling:SetInstanceProtection {instance} ProtectedFromScaleIn true",),
                before={"protected": facts.protected}, after={"protected": True}, needs={"group": group},
            ),
        )  # fmt: skip
        limits.append(f"group {group}: unhealthy instances of it are not replaced while this holds")
    elif facts:
        limits.append("the instance is in no Auto Scaling group: there is nothing to hold")
    if facts and facts.spot:
        limits.append("THIS IS A SPOT INSTANCE: EC2 may take it with two minutes' notice")
    names = ("DescribeAutoScalingInstances", "DescribeAutoScalingGroups", "SetInstanceProtection", "SuspendProcesses",
             "ResumeProcesses")  # fmt: skip
    return Step(
        ident, "hold", f"Hold instance {instance} of node {node.name}",
        "Auto Scaling replaces an instance that looks unhealthy, which an isolated one does, and its RAM and disks go.",
        "memir", "Protection and processes are set back to what they were.", (1, 10), changes,
        permissions=tuple(may_aws(f"autoscaling:{name}", group or "*") for name in names),
        triggers=("CloudTrail has each request",), limits=tuple(limits),
        unresolved=() if facts else (f"the Auto Scaling group of {instance}",), subject=f"node {node.name}",
        refused=f"{instance} is locked by {facts.operator}" if facts and facts.operator else "",
    )  # fmt: skip
