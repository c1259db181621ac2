# SPDX-License-Identifier: Apache-2.0
"""What a secret opens: the API by RBAC, AWS by a service account's role and what that role is in the cluster, a node by
its kubelet's certificate.

By the API's view where that was given (--cluster); without it only who the secret is can be said. Nothing is tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memir.kube.account_role import association_role, role_of_account
from memir.kube.iam_access import IamUser, is_eks, unread, users_of
from memir.kube.powers import furthest, opened
from memir.kube.rbac import Subject, certificate_user, grants_of, known, service_account

if TYPE_CHECKING:
    from memir.kube.snapshot import ClusterSnapshot

STS, POD_IDENTITY = "sts.amazonaws.com", "pods.eks.amazonaws.com"
"""Audiences of tokens that AWS takes: IRSA's, and EKS Pod Identity's."""
_API = "https://kubernetes.default.svc"
_NO_ROLES = "no roles (RBAC) are in the API's view"
_OF_NODE = "secrets, config maps, volumes and tokens of the pods on it (node authorizer)"
_GAIN_OF_KIND = {
    "aws secret key": "cloud", "aws session": "cloud", "database url": "data", "url password": "data",
    "password": "data", "registry password": "data", "github token": "data", "slack token": "data",
    "google api key": "cloud", "stripe key": "data", "api key": "data",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Opened:
    """subject: who the API or AWS takes the bearer for. gain: one of memir.kube.powers.GAINS, None: not known.

    opens: in words, the worst first. role: IAM role that it leads to.
    """

    subject: str | None = None
    gain: str | None = None
    opens: tuple[str, ...] = ()
    role: str | None = None


class Access:
    """Answers for one cluster; None: its view was not given."""

    def __init__(self, cluster: ClusterSnapshot | None) -> None:
        self._cluster = cluster
        self._objects = cluster.objects if cluster is not None else {}
        self._known: dict[Subject, tuple[str | None, tuple[str, ...]]] = {}

    def kind(self, kind: str) -> Opened:
        """What nothing but its kind tells of."""
        return Opened(gain=_GAIN_OF_KIND.get(kind))

    def token(self, claims: Mapping[str, Any]) -> Opened:
        """A JSON web token by its claims (memir.kube.jwt.claims_of); nothing in them is verified."""
        account = account_of(claims)
        if account is None:
            return Opened(subject=_short(claims.get("sub")))
        namespace, name = account
        subject = service_account(namespace, name)
        role = self._role(namespace, name)
        audiences = audiences_of(claims)
        if STS in audiences:
            words = f"IAM role {role}" if role else f"an IAM role that trusts {subject.user}"
            return self.of_role(role, f"{words}, by AssumeRoleWithWebIdentity", subject.user)
        if POD_IDENTITY in audiences:
            role = association_role(self._objects, namespace, name)
            words = f"IAM role {role}, by" if role else "the IAM role of"
            words += f" the Pod Identity association of {namespace}/{name}, from this node"
            return self.of_role(role, words, subject.user)
        if not _for_api(audiences, claims.get("iss")):
            return Opened(subject.user, None, (f"{', '.join(audiences)}, not the Kubernetes API",))
        gone = self._refused(claims)
        if gone is not None:
            return Opened(subject.user, "none", (gone,))
        return self._user(subject)

    def certificate(self, name: str, organizations: Sequence[str]) -> Opened:
        """A client certificate of which the private key is there."""
        subject = certificate_user(name, organizations)
        if "system:masters" in subject.groups:
            return Opened(name, "cluster", ("everything, by the group system:masters, which RBAC is not asked for",))
        if "system:nodes" in subject.groups and name.startswith("system:node:"):
            node = name.removeprefix("system:node:")
            return Opened(name, "node", (f"the node {node}: its status, and {_OF_NODE}",))
        return self._user(subject)

    def of_role(self, role: str | None, words: str, subject: str | None = None) -> Opened:
        """What an IAM role opens: `words` say how it is had, then who it is in the cluster, by EKS's lists.

        role: its ARN; None: not known. subject: whose the secret is.
        """
        if role is None or not is_eks(self._objects):
            return Opened(subject, "cloud", (words,), role)
        gains, opens = ["cloud"], [words]
        for user in users_of(self._objects, role):
            gain, more = self._in_cluster(user)
            gains.append(gain)
            opens += more
        if len(opens) == 1:
            missing = unread(self._objects)
            opens.append(
                f"the Kubernetes API: not known, as {missing} are not in the API's view" if missing
                else "nothing of the Kubernetes API: neither an access entry nor aws-auth names it"
            )  # fmt: skip
        return Opened(subject, furthest(gains), tuple(opens), role)

    def _in_cluster(self, user: IamUser) -> tuple[str, list[str]]:
        """(how far an identity leads, what it opens in words)."""
        groups = sorted(user.subject.groups - {"system:authenticated"})
        who = f"{user.subject.user or 'a user'}" + (f", groups {', '.join(groups)}" if groups else "")
        head = f"the Kubernetes API as {who} ({user.through})"
        if "system:masters" in user.subject.groups:
            return "cluster", [f"{head}: everything, by the group system:masters, which RBAC is not asked for"]
        if user.node:
            return "node", [f"{head}: the node whose instance it is of, and {_OF_NODE}"]
        gain, words = opened([*user.grants, *grants_of(self._objects, user.subject)])
        told = [f"{head}, policy {policy}" for policy in user.policies] or [head]
        return gain, [*told, *words]

    def _user(self, subject: Subject) -> Opened:
        answer = self._known.get(subject)
        if answer is None:
            words = f"the Kubernetes API as {subject.user}"
            if known(self._objects):
                gain, opens = opened(grants_of(self._objects, subject))
                answer = gain, opens or (f"{words}: nothing beyond what everyone may",)
            else:
                answer = None, (f"{words}: how far is not known, as {_NO_ROLES}",)
            self._known[subject] = answer
        return Opened(subject.user, *answer)

    def _role(self, namespace: str, name: str) -> str | None:
        return role_of_account(self._objects, namespace, name)

    def _refused(self, claims: Mapping[str, Any]) -> str | None:
        """Why the API server refuses a token although it is in its time: what it was bound to is gone."""
        pod = _object(_object(claims.get("kubernetes.io")).get("pod"))
        uid, name = pod.get("uid"), pod.get("name")
        if self._cluster is None or not isinstance(uid, str) or self._cluster.pod(uid) is not None:
            return None
        return f"nothing: it is bound to the pod {_short(name)}, which the API does not have"


def account_of(claims: Mapping[str, Any]) -> tuple[str, str] | None:
    """(namespace, name) of the service account that a token is of; None for another's."""
    parts = str(claims.get("sub") or "").split(":")
    if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4 and all(parts):
        return parts[2], parts[3]
    return None


def pod_of(claims: Mapping[str, Any]) -> str | None:
    """UID of the pod that a token was made for."""
    uid = _object(_object(claims.get("kubernetes.io")).get("pod")).get("uid")
    return uid if isinstance(uid, str) else None


def audiences_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Whom a token is for."""
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
    return tuple(entry for entry in listed if isinstance(entry, str))


def _for_api(audiences: Sequence[str], issuer: Any) -> bool:
    """The API server's default audience is its issuer; a token without one is an old one, and for the API."""
    return not audiences or any(each == issuer or each.startswith(_API) for each in audiences)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _short(value: Any) -> str | None:
    return value[:300] if isinstance(value, str) and value else None
