# SPDX-License-Identifier: Apache-2.0
"""Acquire: the node's RAM, by the way that works on that node."""

from __future__ import annotations

import shlex

from memir.acquire.sinks.s3.check import MAILBOX_ACTIONS, OBJECT_ACTIONS
from memir.acquire.transports.pod.check import RIGHTS, SECRET_RIGHT
from memir.acquire.transports.pod.transport import GUARDDUTY
from memir.acquire.transports.ssm.check import SSM_ACTIONS
from memir.kubeapi.nodes import no_ssm
from memir.respond.plan import Change, NodeTarget, Permission, Step
from memir.respond.steps.base import Facts, may, may_aws

GIB_A_SECOND = 0.05
"""What a node sends at least, GiB a second (docs/reference/acquisition.md measures more)."""
TO_S3 = (
    "where the RAM goes: over SSM it goes to S3: plan anew with --evidence s3://BUCKET/PREFIX, or with --by pod or ssh"
)
TRANSPORTS = ("ssm", "pod", "ssh")
MADE_IN = "default"
"""The namespace in which memir makes its privileged pod, unless told otherwise."""


def acquire(facts: Facts, node: NodeTarget, memory: int) -> Step:
    """memory: bytes of the node's RAM, 0 where not known."""
    if node.kind == "fargate":
        return _fargate(node)
    item = facts.cluster.object("Node", "", node.name)
    why_not = no_ssm(item)
    way = facts.options.transport or ("pod" if why_not or not node.instance_id else "ssm")
    place = f"{facts.options.evidence.rstrip('/')}/{node.name}"
    remote = place.startswith("s3://")
    folder = f"{facts.plan_id}-{node.name}" if remote else place
    target = {"ssm": ("--instance-id", node.instance_id or ""), "pod": ("--node", node.name), "ssh": (node.name,)}[way]
    command = ("memir", "acquire", way, *target, "-o", folder, *(("--to", place) if remote else ()), "--case",
               facts.plan_id)  # fmt: skip
    limits = [f"node {node.name} {why_not}: the way is a privileged pod" if why_not else ""]
    if node.kind == "auto":
        limits.append("its Bottlerocket has swap on by default: swapped pages are not in the RAM (gaps count them)")
    return Step(
        f"acquire-{node.name}", "acquire", f"Take the RAM of node {node.name}",
        "Memory has what no disk and no log has, and it is gone with the node. Before isolation: a cut line warns the"
        " intruder and ends the connections that memory would show.",
        "command",
        "Nothing to take back on the node: what a run leaves there is in its receipt. The evidence is kept.",
        _seconds(memory),
        (
            Change(
                f"acquire-{node.name}.run", "acquire", node.name, (shlex.join(command),), needs={"folder": folder},
                irreversible="evidence is kept",
            ),
        ),
        command=command,
        permissions=rights_of(way, node.instance_id or "", place if remote else ""),
        triggers=triggers_of(way),
        limits=tuple(limit for limit in limits if limit),
        unresolved=(TO_S3,) if way == "ssm" and not remote else (),
        subject=f"node {node.name}",
    )  # fmt: skip


def _seconds(memory: int) -> tuple[int, int]:
    if not memory:
        return (30, 3600)
    gib = memory / (1 << 30)
    return (max(10, int(gib / 0.5)), max(60, int(gib / GIB_A_SECOND)))


def rights_of(way: str, instance: str, place: str) -> tuple[Permission, ...]:
    """What a way to a node and to an S3 place needs (place: "" for a folder); a login over SSH is none of them."""
    rights: list[Permission] = []
    if way == "pod":
        for verb, resource, sub in (*RIGHTS, SECRET_RIGHT):
            name = f"{resource}/{sub}" if sub else resource
            rights.append(may(verb, name, "" if resource == "nodes" else MADE_IN))
    if way == "ssm":
        rights += [may_aws(action, instance if action == "ssm:SendCommand" else "*") for action in SSM_ACTIONS]
    if place:
        bucket = "/".join(place.split("/")[:3])
        for action in (*OBJECT_ACTIONS, *(MAILBOX_ACTIONS if way == "ssm" else ())):
            rights.append(may_aws(action, bucket if action == "s3:ListBucket" else f"{place}/*"))
    return tuple(rights)


def triggers_of(way: str) -> tuple[str, ...]:
    """What a way to a node sets off."""
    if way == "pod":
        return (
            f"a privileged pod on the node: GuardDuty {GUARDDUTY}, Falco, and admission policies see it",
        )
    if way == "ssm":
        return ("ssm:SendCommand in CloudTrail", "GuardDuty Runtime Monitoring may report a reader of memory")
    return ("a login in the node's journal",)


def _fargate(node: NodeTarget) -> Step:
    return Step(
        f"acquire-{node.name}", "acquire", f"The RAM of Fargate node {node.name}",
        "The kernel belongs to AWS: there is no way to its memory, for anybody.",
        "hand", "There is nothing to take back.", (0, 0), limits=(
            "no kernel memory: collect the pod in its place (memir collect fargate)",
            "no snapshot: its disk is in nobody's account but AWS's, and ends with the pod",
            "no isolation of the node and no cordon: it is this pod's alone, and its interface is AWS's",
        ),
        refused="EKS Fargate gives no access to the node, its kernel memory or a privileged pod",
        subject=f"node {node.name}",
    )  # fmt: skip
