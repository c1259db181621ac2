# SPDX-License-Identifier: Apache-2.0
"""Revoke a pod's IAM role: the way to new sessions closed, its entry to the cluster removed, its sessions denied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memir.respond.actions.base import State
from memir.respond.actions.iam_deny import document
from memir.respond.cluster import Cluster
from memir.respond.plan import Change, Permission, Step
from memir.respond.steps.base import may_aws

STANDARD = "STANDARD"
"""Type of an entry that people and pods have; the others (EC2_LINUX, FARGATE_LINUX, ...) are nodes'."""
ENTRY_ACTIONS = (
    "ListAccessEntries", "DescribeAccessEntry", "ListAssociatedAccessPolicies", "DeleteAccessEntry",
    "CreateAccessEntry", "AssociateAccessPolicy",
)  # fmt: skip


def revoke_role(
    plan_id: str, namespace: str, account: str, role: str | None, *, pod_identity: str | None, cluster_name: str,
    cluster: Cluster | None, entries: Mapping[str, State] | None = None, holders: Sequence[str] = (),
) -> Step:  # fmt: skip
    """role: ARN that IRSA gives, None if none. pod_identity: ARN that Pod Identity gives, "" none, None not known.

    entries: each role's access entry, by ARN. holders: namespace/account of others whom Pod Identity gives the role.
    """
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
    limits = ["it takes IAM some seconds to hold everywhere"]
    for arn, entry in (entries or {}).items():
        if entry["type"] == STANDARD:
            changes.append(_entry(f"{ident}.entry-{arn.rpartition('/')[2]}", arn, entry, cluster_name))
            rights += [may_aws(f"eks:{name}", cluster_name) for name in ENTRY_ACTIONS]
        elif entry["type"]:
            limits.append(f"{arn} has an access entry of type {entry['type']}: nodes sign in with it, so it is left")
    if entries is not None:
        limits.append("ConfigMap kube-system/aws-auth is not looked at: where the cluster heeds it, a role named there"
                      " still gets in")  # fmt: skip
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
    return Step(
        ident, "revoke", f"Revoke the IAM role of service account {namespace}/{account}",
        "Keys that were read from the pod work from anywhere until they end; the token that made them makes new ones.",
        "memir",
        "The trust policy is set back, the policy of ours is deleted; the association and the access entry are made"
        " again, as the record has them.",
        (1, 60), () if pod_identity is None else tuple(changes), permissions=tuple(rights),
        triggers=(
            "every other holder of the role loses its sessions and, where it may, makes new ones",
            *_losers(cluster, namespace, account, role), *((f"Pod Identity gives the role to {', '.join(holders)} too",)
                                                           if holders else ()),
            *(_loses(arn, entry) for arn, entry in (entries or {}).items() if entry["type"] == STANDARD),
            "CloudTrail has each request",
        ),
        limits=tuple(limits),
        unresolved=()
        if pod_identity is not None
        else (f"whether EKS Pod Identity gives {namespace}/{account} a role, and which access entries its roles have",),
        subject=f"service account {namespace}/{account}",
    )  # fmt: skip


def _entry(ident: str, arn: str, entry: State, cluster_name: str) -> Change:
    calls = (
        f"eks:DeleteAccessEntry {arn} of {cluster_name}",
        "at undo: eks:CreateAccessEntry, then eks:AssociateAccessPolicy for each of its policies",
    )
    before = {key: _frozen(value) for key, value in entry.items()}
    return Change(
        ident, "eks-access-entry", arn, calls, before=before, after={"type": None}, needs={"cluster": cluster_name}
    )  # fmt: skip


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _loses(arn: str, entry: State) -> str:
    policies = [f"{item['policy'].rpartition('/')[2]} ({item['scope']})" for item in entry["policies"]]
    what = ", ".join([*(f"group {name}" for name in entry["groups"]), *policies]) or "no group and no policy"
    return f"whoever has {arn} loses its entry to the cluster's API: {what}"


def _losers(cluster: Cluster | None, namespace: str, account: str, role: str | None) -> list[str]:
    """Pods of the account, and pods of others that have the same role."""
    if cluster is None:
        return []
    own = sorted(pod.name for pod in cluster.account_pods(namespace, account))
    others = sorted(
        f"{pod.namespace}/{pod.name}"
        for pod in cluster.snapshot.pods.values()
        if role and (pod.iam_role or cluster.snapshot.role_of(pod)) == role
        and (pod.namespace, pod.service_account or "default") != (namespace, account)
    )  # fmt: skip
    return [
        *([f"pods of the account: {', '.join(own)}"] if own else []),
        *([f"pods of other accounts with the role: {', '.join(others)}"] if others else []),
    ]
