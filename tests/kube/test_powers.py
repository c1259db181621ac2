# SPDX-License-Identifier: Apache-2.0
"""How far rules of RBAC lead."""

from __future__ import annotations

import pytest

from memir.kube.powers import GAINS, furthest, opened
from memir.kube.rbac import Grant

RBAC = "rbac.authorization.k8s.io"


def grant(verb: str, group: str, resource: str, namespace: str | None = None, names: tuple[str, ...] = ()) -> Grant:
    return Grant((verb,), (group,), (resource,), names, (), namespace, "ClusterRoleBinding b of ClusterRole r")


@pytest.mark.parametrize(
    ("rule", "gain", "words"),
    [
        (grant("*", "*", "*"), "cluster", "everything in every namespace"),
        (grant("*", "*", "*", "shop"), "namespace", "everything in shop"),
        (grant("*", "*", "*", "kube-system"), "cluster", "everything in kube-system"),
        (grant("escalate", RBAC, "clusterroles"), "cluster", "gives itself any role in every namespace"),
        (grant("bind", RBAC, "roles", "shop"), "namespace", "gives itself any role in shop"),
        (
            grant("bind", RBAC, "clusterroles", None, ("cluster-admin",)),
            "cluster",
            "gives itself any role cluster-admin in",
        ),
        (grant("impersonate", "", "groups"), "cluster", "acts as users or groups in every namespace"),
        (grant("impersonate", "", "users", None, ("eva",)), "write", "acts as users or groups eva in every namespace"),
        (grant("impersonate", "", "serviceaccounts", "shop"), "namespace", "acts as service accounts in shop"),
        (grant("create", "", "serviceaccounts/token"), "cluster", "makes tokens of service accounts in every"),
        (grant("list", "", "secrets"), "cluster", "reads secrets in every namespace"),
        (grant("get", "", "secrets", "shop"), "namespace", "reads secrets in shop"),
        (grant("get", "", "secrets", "shop", ("db",)), "data", "reads secrets db in shop"),
        (grant("create", "apps", "daemonsets"), "cluster", "starts pods in every namespace"),
        (grant("create", "", "pods", "kube-system"), "cluster", "starts pods in kube-system"),
        (grant("create", "", "pods/exec", "shop"), "namespace", "runs commands in pods in shop"),
        (grant("get", "", "nodes/proxy"), "cluster", "reaches kubelets, and runs commands in pods by them"),
        (grant("patch", "", "nodes"), "node", "changes nodes in every namespace"),
        (grant("create", "", "persistentvolumes"), "node", "makes volumes of node directories"),
        (
            grant("update", "certificates.k8s.io", "certificatesigningrequests/approval"),
            "cluster",
            "signs certificates",
        ),
        (grant("patch", "", "configmaps", "shop"), "write", "patch configmaps in shop"),
        (grant("list", "", "pods"), "read", "list pods in every namespace"),
    ],
)
def test_opened(rule: Grant, gain: str, words: str) -> None:
    reached, opens = opened([rule])
    assert (reached, opens[0][: len(words)]) == (gain, words)


def test_a_role_binding_gives_nothing_of_objects_without_a_namespace() -> None:
    for rule in (grant("patch", "", "nodes", "shop"), grant("impersonate", "", "groups", "shop")):
        assert opened([rule])[0] == "write"
    assert opened([]) == ("none", ())


def test_the_worst_comes_first_and_the_rest_is_counted() -> None:
    many = [grant("list", "", f"things{number:02}") for number in range(50)]
    gain, opens = opened([*many, grant("list", "", "secrets"), grant("get", "", "secrets", "shop")])
    assert gain == "cluster" and opens[0].startswith("reads secrets in every namespace")
    assert opens[1].startswith("reads secrets in shop") and opens[-1] == "and 12 rules more"


def test_furthest() -> None:
    assert furthest(["read", "node", "data"]) == "node" and furthest([]) is None
    assert [furthest([gain]) for gain in GAINS] == list(GAINS)
