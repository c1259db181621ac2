# SPDX-License-Identifier: Apache-2.0
"""Hold the instance: Auto Scaling neither takes it in nor replaces it, or has it no more."""

from __future__ import annotations

from memir.respond.account import InstanceFacts
from memir.respond.plan import Change, Choices, NodeTarget, Step
from memir.respond.steps.base import may_aws

PROCESSES = ("AZRebalance", "ReplaceUnhealthy")
"""AZRebalance may end a healthy instance; ReplaceUnhealthy ends one that is isolated."""


def hold_instance(node: NodeTarget, facts: InstanceFacts | None, choices: Choices | None = None) -> Step:
    """Scale-in protection, and the group's processes suspended; or the instance taken out of its group."""
    ident, instance = f"hold-instance-{node.name}", node.instance_id or ""
    detach = bool(choices and choices.auto_scaling == "detach")
    limits = ["termination protection is not set: it stops neither Auto Scaling nor EC2's own reclaiming of spot"]
    changes: tuple[Change, ...] = ()
    if facts and facts.group:
        changes = _detach(ident, instance, facts) if detach else _suspend(ident, instance, facts)
        limits += DETACHED if detach else [f"group {facts.group}: its unhealthy instances stay while this holds"]
    elif facts:
        limits.append("the instance is in no Auto Scaling group: there is nothing to hold")
    if facts and facts.spot:
        limits.append("THIS IS A SPOT INSTANCE: EC2 may take it with two minutes' notice")
    names = ("DetachInstances", "AttachInstances") if detach else ("SetInstanceProtection", "SuspendProcesses",
                                                                   "ResumeProcesses")  # fmt: skip
    reads = ("DescribeAutoScalingInstances", "DescribeAutoScalingGroups")
    group = facts.group if facts else ""
    return Step(
        ident, "hold", f"Hold instance {instance} of node {node.name}",
        "Auto Scaling replaces an instance that looks unhealthy, which an isolated one does, and its RAM and disks go.",
        "memir", UNDO[detach], (1, 10), changes,
        permissions=tuple(may_aws(f"autoscaling:{name}", group or "*") for name in (*reads, *names)),
        triggers=("CloudTrail has each request", *(TRIGGERS if detach and changes else ())), limits=tuple(limits),
        unresolved=() if facts else (f"the Auto Scaling group of {instance}",), subject=f"node {node.name}",
        refused=f"{instance} is locked by {facts.operator}" if facts and facts.operator else "",
    )  # fmt: skip


UNDO = {
    False: "Protection and processes are set back to what they were.",
    True: "The instance is attached again, which raises the group's desired capacity by one: the instance that took its"
    " place stays. Refused while the group is at its MaxSize.",
}
DETACHED = [
    "a managed node group no longer updates or repairs the instance; the Cluster Autoscaler no longer sees it",
]
TRIGGERS = (
    "the group starts another instance in its place, which joins the cluster",
    "the instance leaves the load balancers of its group",
)


def _suspend(ident: str, instance: str, facts: InstanceFacts) -> tuple[Change, ...]:
    suspended = tuple(name for name in facts.suspended if name in PROCESSES)
    return (
        Change(
            f"{ident}.processes", "asg-processes", facts.group,
            (f"autoscaling:SuspendProcesses {facts.group} {' '.join(PROCESSES)}",), before={"suspended": suspended},
            after={"suspended": PROCESSES},
        ),
        Change(
            f"{ident}.protection", "asg-protection", instance,
            (f"autoscaling:SetInstanceProtection {instance} ProtectedFromScaleIn true",),
            before={"protected": facts.protected}, after={"protected": True}, needs={"group": facts.group},
        ),
    )  # fmt: skip


def _detach(ident: str, instance: str, facts: InstanceFacts) -> tuple[Change, ...]:
    calls = (
        f"autoscaling:DetachInstances {instance} {facts.group} ShouldDecrementDesiredCapacity false",
        "at undo: autoscaling:AttachInstances",
    )
    before, after = {"group": facts.group}, {"group": None}
    return (Change(f"{ident}.detach", "asg-detach", instance, calls, before=before, after=after),)
