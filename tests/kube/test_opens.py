# SPDX-License-Identifier: Apache-2.0
"""What tokens, certificates and passwords open, by an API server's view."""

from __future__ import annotations

from typing import Any

from memir.kube.opens import Access, Opened, account_of, audiences_of, pod_of
from memir.kube.snapshot import ClusterSnapshot
from tests.kube.test_iam_access import OPS, cluster, config_map, entry

ISSUER = "https://oidc.eks.eu-west-1.amazonaws.com/id/LAB"
ROLE = "arn:aws:iam::111122223333:role/shop-api"
CLAIMS: dict[str, Any] = {
    "sub": "system:serviceaccount:shop:api", "iss": ISSUER, "aud": [ISSUER],
    "kubernetes.io": {"pod": {"name": "api-1", "uid": "u-1"}},
}  # fmt: skip
USER = "system:serviceaccount:shop:api"


def snapshot(pods: bool = True) -> ClusterSnapshot:
    """A view with a role of AWS, and a binding that lets the account read secrets."""
    subject = {"kind": "ServiceAccount", "namespace": "shop", "name": "api"}
    objects: dict[tuple[str, str, str], dict[str, Any]] = {
        ("ServiceAccount", "shop", "api"): {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": ROLE}}},
        ("ClusterRoleBinding", "", "b"): {"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [subject]},
        ("ClusterRole", "", "r"): {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]},
    }
    known: Any = {"u-1": object()} if pods else {}
    return ClusterSnapshot(known, {}, {}, objects, ())


def test_a_token_of_the_api() -> None:
    by = "by ClusterRoleBinding b of ClusterRole r"
    assert Access(snapshot()).token(CLAIMS) == Opened(
        USER, "cluster",
        (f"reads secrets in every namespace, {by}", f"get secrets in every namespace, {by}"),
    )  # fmt: skip
    assert Access(None).token(CLAIMS) == Opened(USER, None, (
        f"the Kubernetes API as {USER}: how far is not known, as no roles (RBAC) are in the API's view",
    ))
    nothing = Access(snapshot()).token({**CLAIMS, "sub": "system:serviceaccount:shop:web"})
    assert (nothing.gain, nothing.opens[0][-34:]) == ("none", ": nothing beyond what everyone may")


def test_a_token_of_a_pod_that_is_gone_is_refused() -> None:
    gone = Access(snapshot(pods=False)).token(CLAIMS)
    assert gone == Opened(USER, "none", ("nothing: it is bound to the pod api-1, which the API does not have",))


def test_tokens_of_aws() -> None:
    irsa = Access(snapshot()).token({**CLAIMS, "aud": ["sts.amazonaws.com"]})
    assert irsa == Opened(USER, "cloud", (f"IAM role {ROLE}, by AssumeRoleWithWebIdentity",), ROLE)
    blind = Access(None).token({**CLAIMS, "aud": "sts.amazonaws.com"})
    assert blind.opens == (f"an IAM role that trusts {USER}, by AssumeRoleWithWebIdentity",)
    assert blind.gain == "cloud" and blind.role is None
    identity = Access(snapshot()).token({**CLAIMS, "aud": ["pods.eks.amazonaws.com"]})
    assert identity.opens == ("the IAM role of the Pod Identity association of shop/api, from this node",)


def test_what_a_role_is_in_the_cluster() -> None:
    irsa = {**CLAIMS, "aud": ["sts.amazonaws.com"]}
    view = snapshot()
    assert Access(view).token(irsa).gain == "cloud", "no lists of EKS in the view"
    view.objects.update(entry(ROLE, "STANDARD", ("dev",), ("ViewPolicy", ["shop"])) | cluster("API"))
    view.objects[("ClusterRoleBinding", "", "dev")] = {
        "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "Group", "name": "dev"}],
    }  # fmt: skip
    opened = Access(view).token(irsa)
    assert (opened.gain, opened.role) == ("cluster", ROLE) and opened.opens[:3] == (
        f"IAM role {ROLE}, by AssumeRoleWithWebIdentity",
        "the Kubernetes API as u, groups dev (access entry, type STANDARD), policy AmazonEKSViewPolicy in shop",
        "reads secrets in every namespace, by ClusterRoleBinding dev of ClusterRole r",
    )
    del view.objects[("AccessEntry", "", ROLE)]
    assert Access(view).token(irsa).opens[1] == "the Kubernetes API: not known, as access entries are not in the " \
        "API's view"
    view.objects.update(entry(OPS))
    assert Access(view).token(irsa).opens[1].startswith("nothing of the Kubernetes API: neither an access entry")
    masters = config_map(f"- rolearn: {ROLE}\n  groups: [system:masters]\n")
    view.objects.update(masters | cluster("API_AND_CONFIG_MAP"))
    admin = Access(view).token(irsa)
    assert admin.gain == "cluster" and "(ConfigMap kube-system/aws-auth): everything, by the group" in admin.opens[1]


def test_a_role_by_pod_identity() -> None:
    view = snapshot()
    view.objects[("PodIdentityAssociation", "shop", "api")] = {"spec": {"roleArn": OPS}}
    view.objects.update(entry(OPS, "STANDARD", (), ("AdminPolicy", ["shop"])))
    opened = Access(view).token({**CLAIMS, "aud": ["pods.eks.amazonaws.com"]})
    assert (opened.gain, opened.role) == ("cloud", OPS)
    assert opened.opens[0] == f"IAM role {OPS}, by the Pod Identity association of shop/api, from this node"
    assert "starts pods in shop, by access policy AmazonEKSAdminPolicy" in opened.opens


def test_other_audiences_and_other_tokens() -> None:
    vault = Access(snapshot()).token({**CLAIMS, "aud": ["vault"]})
    assert vault == Opened(USER, None, ("vault, not the Kubernetes API",))
    assert Access(snapshot()).token({"sub": "eva@example"}) == Opened(subject="eva@example")
    assert Access(snapshot()).token({"sub": 7}) == Opened()
    assert Access(snapshot()).token({**CLAIMS, "aud": ["https://kubernetes.default.svc"]}).gain == "cluster"


def test_certificates() -> None:
    node = Access(None).certificate("system:node:n1", ["system:nodes"])
    assert (node.subject, node.gain, node.opens[0].split(":")[0]) == ("system:node:n1", "node", "the node n1")
    admin = Access(None).certificate("kubernetes-admin", ["system:masters"])
    assert (admin.gain, admin.opens[0][:10]) == ("cluster", "everything")
    assert Access(snapshot()).certificate("eva", []).gain == "none"


def test_kinds_and_claims() -> None:
    assert Access(None).kind("aws secret key") == Opened(gain="cloud") and Access(None).kind("else") == Opened()
    assert account_of(CLAIMS) == ("shop", "api") and account_of({"sub": "system:serviceaccount:shop"}) is None
    assert pod_of(CLAIMS) == "u-1" and pod_of({"kubernetes.io": 7}) is None
    assert audiences_of({"aud": "a"}) == ("a",) and audiences_of({"aud": ["a", 7]}) == ("a",)
    assert audiences_of({}) == ()
