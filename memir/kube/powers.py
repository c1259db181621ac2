# SPDX-License-Identifier: Apache-2.0
"""What rules of RBAC are worth to an attacker: those that lead on to more than they say, and how far.

After https://kubernetes.io/docs/concepts/security/rbac-good-practices/ (privilege escalation risks).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memir.kube.rbac import Grant

GAINS = ("cluster", "cloud", "node", "namespace", "data", "write", "read", "none")
"""How far a secret leads, the furthest first. cluster: all of it. cloud: an account or role of AWS. node: one node and
its pods. namespace: all pods of one. data: what a password or a URL guards. write, read: of the API. none: nothing."""
_MOST = 40
"""Rules that are listed; the rest is counted."""
_SYSTEM = "kube-system"  # who can run pods there can have any controller's token
_MASTERS = frozenset({"system:masters", "cluster-admin"})
"""Names that are the whole cluster, if one may act as that group or bind that role."""
_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch")
_WORKLOADS = (
    ("", "pods"), ("", "replicationcontrollers"), ("apps", "deployments"), ("apps", "daemonsets"),
    ("apps", "statefulsets"), ("apps", "replicasets"), ("batch", "jobs"), ("batch", "cronjobs"),
)  # fmt: skip
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, slots=True)
class _Power:
    """words: what it is. verbs, targets: any of them on any of (API group, resource).

    everywhere, inside: gain if it holds in the cluster, and in one namespace only; None: such objects are in no
    namespace, and a RoleBinding gives nothing. named: gain if it holds for some objects by name only.
    """

    words: str
    verbs: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]
    everywhere: str = "cluster"
    inside: str | None = "namespace"
    named: str = "write"


_POWERS = (
    _Power("gives itself any role", ("escalate", "bind"), ((_RBAC, "clusterroles"), (_RBAC, "roles"))),
    _Power("acts as users or groups", ("impersonate",), (("", "users"), ("", "groups")), inside=None),
    _Power("acts as service accounts", ("impersonate",), (("", "serviceaccounts"),)),
    _Power("makes tokens of service accounts", ("create",), (("", "serviceaccounts/token"),)),
    _Power("reads secrets", _READ, (("", "secrets"),), named="data"),
    _Power("starts pods", _WRITE, _WORKLOADS),
    _Power("runs commands in pods", ("create", "get"), (("", "pods/exec"), ("", "pods/attach"))),
    _Power("adds containers to pods", ("update", "patch"), (("", "pods/ephemeralcontainers"),)),
    _Power("reaches kubelets, and runs commands in pods by them", ("get", "create"), (("", "nodes/proxy"),),
           inside=None, named="node"),
    _Power(
        "changes what the API server accepts", _WRITE,
        (("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
         ("admissionregistration.k8s.io", "validatingwebhookconfigurations")), inside=None,
    ),
    _Power(
        "signs certificates of users", ("update", "patch"),
        (("certificates.k8s.io", "certificatesigningrequests/approval"),), inside=None,
    ),
    _Power("makes volumes of node directories", ("create",), (("", "persistentvolumes"),), "node", None),
    _Power("changes nodes", ("update", "patch"), (("", "nodes"),), "node", None),
    _Power("opens connections into pods", ("create", "get"), (("", "pods/portforward"),), "namespace"),
)  # fmt: skip


def furthest(gains: Iterable[str]) -> str | None:
    """The one of GAINS that leads the furthest; None for none."""
    ranks = [GAINS.index(gain) for gain in gains]
    return GAINS[min(ranks)] if ranks else None


def opened(grants: Sequence[Grant]) -> tuple[str, tuple[str, ...]]:
    """(how far rules lead, what they open in words, the worst first). grants: of one subject."""
    powers = [power for grant in grants for power in _powers(grant)]
    rest = sorted({f"{grant.words()} {_where(grant)}" for grant in grants if not grant.everything})
    gains = [gain for gain, _ in powers]
    gains += ["write" if set(grant.verbs) - set(_READ) else "read" for grant in grants if grant.resources]
    words = [text for _, text in sorted(set(powers), key=lambda power: (GAINS.index(power[0]), power[1]))]
    words += rest[:_MOST] + ([f"and {len(rest) - _MOST} rules more"] if len(rest) > _MOST else [])
    return furthest(gains) or "none", tuple(words)


def _powers(grant: Grant) -> Iterable[tuple[str, str]]:
    if grant.everything:
        yield ("namespace" if grant.namespace not in (None, _SYSTEM) else "cluster"), f"everything {_where(grant)}"
        return
    for power in _POWERS:
        if not any(grant.reaches(verb, group, resource) for verb in power.verbs for group, resource in power.targets):
            continue
        if grant.names:
            gain: str | None = "cluster" if _MASTERS & set(grant.names) else power.named
        else:
            gain = power.everywhere if grant.namespace in (None, _SYSTEM) else power.inside
        if gain is not None and (grant.namespace is None or power.inside is not None):
            named = f" {', '.join(grant.names)}" if grant.names else ""
            yield gain, f"{power.words}{named} {_where(grant)}"


def _where(grant: Grant) -> str:
    place = "in every namespace" if grant.namespace is None else f"in {grant.namespace}"
    return f"{place}, by {grant.through}"
