# SPDX-License-Identifier: Apache-2.0
"""Revoke a pod's IAM role: its sessions denied, and the way to new ones closed."""

from __future__ import annotations

from memir.respond.actions.iam_deny import document
from memir.respond.cluster import Cluster
from memir.respond.plan import Change, Permission, Step
from memir.respond.steps.base import may_aws


def revoke_role(
    plan_id: str, namespace: str, account: str, role: str | None, *, pod_identity: str | None, cluster_name: str,
    cluster: Cluster | None,
) -> Step:  # fmt: skip
    """role: ARN that IRSA gives, None if none. pod_identity: ARN that Pod Identity gives, "" none, None not known."""
    ident = f"revoke-role-{namespace}-{account}"
    changes: list[Change] = []
    rights: list[Permission] = []
    # the way to new sessions first: a session that begins between the two would not be denied
    if role:
        name = role.rpartition("/")[2]
        subject = f"system:serviceaccount:{namespace}:{account}"
        sid = "Memir" + plan_id.removeprefix("memir-")
        changes.append(
            Change(
                f"{ident}.trust", "iam-trust", name,
                (f"iam:UpdateAssumeRolePolicy {name}: Deny sts:AssumeRoleWithWebIdentity to {subject}",),
                needs={"subject": subject, "sid": sid},
            )
        )  # fmt: skip
        rights += [may_aws(f"iam:{action}", role) for action in ("GetRole", "UpdateAssumeRolePolicy")]
    if pod_identity:
        calls = (f"eks:DeletePodIdentityAssociation {namespace}/{account} in {cluster_name}",
                 "at undo: eks:CreatePodIdentityAssociation")  # fmt: skip
        changes.append(
            Change(
                f"{ident}.association", "eks-association", f"{namespace}/{account}", calls,
                before={"role": pod_identity}, after={"role": None}, needs={"cluster": cluster_name},
            )
        )  # fmt: skip
        names = ("List", "Describe", "Delete", "Create")
        rights += [
            may_aws(f"eks:{verb}PodIdentityAssociation{'s' if verb == 'List' else ''}", cluster_name) for verb in names
        ]
        rights.append(may_aws("iam:PassRole", pod_identity))
    for arn in dict.fromkeys(filter(None, (role, pod_identity))):
        name = arn.rpartition("/")[2]
        words = str(document("the moment of the run")["Statement"][0]["Condition"])
        changes.append(
            Change(
                f"{ident}.deny-{name}", "iam-deny", name, (f"iam:PutRolePolicy {name} {plan_id}: Deny * {words}",),
                before={"policy": None}, needs={"policy": plan_id},
            )
        )  # fmt: skip
        rights += [may_aws(f"iam:{action}", arn) for action in ("GetRolePolicy", "PutRolePolicy", "DeleteRolePolicy")]
    others = sorted(pod.name for pod in cluster.account_pods(namespace, account)) if cluster is not None else []
    return Step(
        ident, "revoke", f"Revoke the IAM role of service account {namespace}/{account}",
        "Keys that were read from the pod work from anywhere until they end; the token that made them makes new ones.",
        "memir",
        "The trust policy is set back, the policy of ours is deleted, the association is made again.",
        (1, 60), () if pod_identity is None else tuple(changes), permissions=tuple(rights),
        triggers=(
            "every other holder of the role loses its sessions and, where it may, makes new ones",
            *((f"pods of the account: {', '.join(others)}",) if others else ()),
            "CloudTrail has each request",
        ),
        limits=("it takes IAM some seconds to hold everywhere",),
        unresolved=()
        if pod_identity is not None
        else (f"whether EKS Pod Identity gives {namespace}/{account} a role",),
        subject=f"service account {namespace}/{account}",
    )  # fmt: skip
