# SPDX-License-Identifier: Apache-2.0
"""Snapshot volumes: all EBS volumes of the instance at one moment."""

from __future__ import annotations

from memir.respond.account import InstanceFacts
from memir.respond.disks import words_of
from memir.respond.plan import Change, NodeTarget, Step
from memir.respond.steps.base import may_aws


def snapshot_volumes(node: NodeTarget, facts: InstanceFacts | None) -> Step:
    """One CreateSnapshots; tagged with the plan and the instance."""
    ident, instance = f"snapshot-volumes-{node.name}", node.instance_id or ""
    limits = ["the snapshots are of the disks as they are: what is only in the page cache is in the RAM"]
    limits += words_of(node.folders, facts) if facts else []
    change = Change(
        f"{ident}.snapshots", "ec2-snapshots", instance, (f"ec2:CreateSnapshots {instance}",), before={"volumes": ()},
        after={"volumes": facts.volumes if facts else ()},
        irreversible="snapshots are evidence and are kept: delete them by hand when the case is closed",
    )  # fmt: skip
    return Step(
        ident, "snapshot-volumes", f"Snapshot the volumes of node {node.name}",
        "Container layers, logs and the kubelet's files; nothing on the node is touched.",
        "memir", "Cannot be undone, because snapshots are evidence and are kept.", (5, 60),
        (change,) if facts and facts.volumes else (),
        permissions=tuple(
            may_aws(f"ec2:{name}", instance) for name in ("DescribeSnapshots", "CreateSnapshots", "CreateTags")
        ),
        triggers=("CloudTrail has the request", "snapshots cost what they hold"), limits=tuple(limits),
        unresolved=() if facts else (f"the volumes of {instance}",), subject=f"node {node.name}",
    )  # fmt: skip
