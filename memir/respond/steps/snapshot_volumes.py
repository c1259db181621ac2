# SPDX-License-Identifier: Apache-2.0
"""Snapshot volumes: all EBS volumes of the instance at one moment, locked against deletion."""

from __future__ import annotations

from memir.respond.account import InstanceFacts
from memir.respond.actions.ec2_snapshot_lock import COOL_OFF
from memir.respond.disks import words_of
from memir.respond.plan import Change, Choices, NodeTarget, Step
from memir.respond.steps.base import may_aws


def snapshot_volumes(node: NodeTarget, facts: InstanceFacts | None, choices: Choices | None = None) -> Step:
    """One CreateSnapshots; tagged with the plan and the instance. Then a lock on each, governance unless asked."""
    ident, instance, chosen = f"snapshot-volumes-{node.name}", node.instance_id or "", choices or Choices()
    limits = ["the snapshots are of the disks as they are: what is only in the page cache is in the RAM"]
    limits += words_of(node.folders, facts) if facts else []
    changes: tuple[Change, ...] = ()
    if facts and facts.volumes:
        changes = (
            Change(
                f"{ident}.snapshots", "ec2-snapshots", instance, (f"ec2:CreateSnapshots {instance}",),
                before={"volumes": ()}, after={"volumes": facts.volumes},
                irreversible="snapshots are evidence and are kept: delete them by hand when the case is closed",
            ),
            *_lock(ident, instance, chosen),
        )  # fmt: skip
    names = ["DescribeSnapshots", "CreateSnapshots", "CreateTags"]
    if chosen.lock != "none":
        names += ["DescribeLockedSnapshots", "LockSnapshot"]
        names += ["UnlockSnapshot"] if chosen.lock == "governance" else []
        limits.append(WORDS[chosen.lock].format(chosen.lock_days))
    return Step(
        ident, "snapshot-volumes", f"Snapshot the volumes of node {node.name}",
        "Container layers, logs and the kubelet's files; nothing on the node is touched.",
        "memir", UNDO[chosen.lock], (5, 60), changes,
        permissions=tuple(may_aws(f"ec2:{name}", instance) for name in names),
        triggers=("CloudTrail has the request", "snapshots cost what they hold"), limits=tuple(limits),
        unresolved=() if facts else (f"the volumes of {instance}",), subject=f"node {node.name}",
    )  # fmt: skip


WORDS = {
    "governance": "locked for {} days in governance mode: whoever may ec2:UnlockSnapshot may take the lock off",
    "compliance": f"COMPLIANCE HAS NO UNDO: for {{}} days nobody, AWS included, deletes the snapshots, once {COOL_OFF}"
    " hours of cooling-off are over; they are paid for so long",
}
UNDO = {
    "governance": "The locks are taken off. The snapshots cannot be undone, because they are evidence and are kept.",
    "compliance": "Cannot be undone: the snapshots are evidence and are kept, and a compliance lock is not taken off.",
    "none": "Cannot be undone, because snapshots are evidence and are kept.",
}


def _lock(ident: str, instance: str, chosen: Choices) -> tuple[Change, ...]:
    if chosen.lock == "none":
        return ()
    more = f" CoolOffPeriod {COOL_OFF}" if chosen.lock == "compliance" else ""
    calls = [f"ec2:LockSnapshot of each snapshot, LockMode {chosen.lock} LockDuration {chosen.lock_days}{more}"]
    if chosen.lock == "governance":
        calls.append("at undo: ec2:UnlockSnapshot of each")
    why = f"compliance mode has no undo; within {COOL_OFF} hours: aws ec2 unlock-snapshot, by hand"
    return (
        Change(
            f"{ident}.lock", "ec2-snapshot-lock", instance, tuple(calls),
            needs={"mode": chosen.lock, "days": str(chosen.lock_days)},
            irreversible=why if chosen.lock == "compliance" else "",
        ),
    )  # fmt: skip
