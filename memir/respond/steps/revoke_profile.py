# SPDX-License-Identifier: Apache-2.0
"""Revoke the node's role on this instance: no new session from its metadata service."""

from __future__ import annotations

from memir.respond.account import InstanceFacts
from memir.respond.plan import Change, NodeTarget, Step
from memir.respond.steps.base import may_aws


def revoke_profile(node: NodeTarget, facts: InstanceFacts | None) -> Step:
    """The instance profile is taken from the instance."""
    ident, instance = f"revoke-profile-{node.name}", node.instance_id or ""
    change = Change(
        f"{ident}.profile", "ec2-profile", instance,
        (f"ec2:DisassociateIamInstanceProfile {instance}", "at undo: ec2:AssociateIamInstanceProfile"),
        before={"profile": facts.profile if facts else None}, after={"profile": None},
    )  # fmt: skip
    names = ("DescribeIamInstanceProfileAssociations", "DisassociateIamInstanceProfile", "AssociateIamInstanceProfile")
    rights = tuple(may_aws(f"ec2:{name}", "*" if "Describe" in name else instance) for name in names)
    return Step(
        ident, "revoke", f"Revoke the node role on instance {instance}",
        "Whoever is on the node, or in a pod that reaches IMDS, has the node's role.",
        "memir",
        "The profile that was there is associated again, by another association id.",
        (1, 60), (change,) if facts and facts.profile and not facts.operator else (),
        permissions=(*rights, may_aws("iam:PassRole", "the profile's role")),
        triggers=(
            "the kubelet can no longer sign in once its token ends (15 minutes): the node turns NotReady",
            "SSM ends with its credentials", "VPC CNI on the node can no longer change interfaces",
        ),
        limits=(
            "sessions that were issued already go on for up to 6 hours, and the metadata service may hand out the last"
            " ones until they end; to deny those too, an inline policy on the role with aws:TokenIssueTime: it ends"
            " them on every node that has the role",
        ),
        unresolved=() if facts else (f"the instance profile of {instance}",),
        refused=f"{instance} is locked by {facts.operator}" if facts and facts.operator else "",
        subject=f"node {node.name}",
    )  # fmt: skip
