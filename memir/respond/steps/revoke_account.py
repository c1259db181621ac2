# SPDX-License-Identifier: Apache-2.0
"""Revoke the service account: its role bindings, because a bound token lives as long as its pod."""

from __future__ import annotations

from collections.abc import Mapping

from memir.respond.actions.kube_fields import pointer
from memir.respond.cluster import is_account, meta, objects_of, part
from memir.respond.plan import Change, Permission, Step, Value
from memir.respond.steps.base import Facts, may, patch_fields

RBAC = "rbac.authorization.k8s.io"
FIELD = pointer("subjects")


def revoke_account(facts: Facts, namespace: str, account: str) -> Step:
    """The account is taken out of the subjects of each binding that names it."""
    ident = f"revoke-account-{namespace}-{account}"
    changes: list[Change] = []
    rights: list[Permission] = []
    roles: list[str] = []
    for number, (path, item) in enumerate(facts.cluster.bindings(namespace, account), 1):
        subjects = objects_of(item.get("subjects"))
        kept = [subject for subject in subjects if not is_account(subject, namespace, account)]
        before: dict[str, Value] = {FIELD: tuple(_texts(subject) for subject in subjects)}
        after: dict[str, Value] = {FIELD: tuple(_texts(subject) for subject in kept) or None}
        changes.append(patch_fields(f"{ident}.{number}", path, str(meta(item).get("uid") or ""), before, after))
        place = str(meta(item).get("namespace") or "")
        resource = "rolebindings" if place else "clusterrolebindings"
        rights += [may(verb, resource, place, group=RBAC, name=str(meta(item)["name"])) for verb in ("get", "patch")]
        role = part(item, "roleRef")
        roles.append(f"{role.get('kind')} {role.get('name')}{f' in {place}' if place else ''}")
    unknown = "ClusterRoleBinding" not in facts.cluster.kinds
    return Step(
        ident, "revoke", f"Revoke service account {namespace}/{account}",
        "A token that was read from the pod is accepted as long as the pod exists; only what it may do can be taken.",
        "memir",
        "The subjects of each binding are set back to what they were.",
        (1, 10), () if unknown else tuple(changes), permissions=tuple(rights),
        triggers=tuple(_losers(facts, namespace, account)),
        limits=(
            f"loses: {', '.join(roles)}" if roles else "no binding names the account: it has what its groups have",
            "what system:authenticated, system:serviceaccounts and the namespace's group may do stays; the token"
            " itself stays valid until the pod is gone",
            "giving back needs every right of the role, or the right to bind it",
        ),
        unresolved=("the bindings of the account: the snapshot has none (roles and bindings were not read)",)
        if unknown else (),
        subject=f"service account {namespace}/{account}",
    )  # fmt: skip


def _losers(facts: Facts, namespace: str, account: str) -> list[str]:
    pods = [pod.name for pod in facts.cluster.account_pods(namespace, account)]
    return [f"every pod of the account loses it: {', '.join(sorted(pods))}"] if pods else []


def _texts(subject: Mapping[str, object]) -> dict[str, str]:
    return {key: value for key, value in subject.items() if isinstance(value, str)}
