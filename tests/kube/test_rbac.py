# SPDX-License-Identifier: Apache-2.0
"""What RBAC lets a user do, held against the roles that a real API server gave, and against hand-made hostile ones."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memir.kube.rbac import Grant, Subject, certificate_user, grants_of, known, service_account

RULES = [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods/exec"], "resourceNames": ["a"]}]


def binding(
    kind: str, namespace: str, role: tuple[str, str], *subjects: dict[str, Any]
) -> dict[tuple[str, str, str], Any]:
    return {(kind, namespace, "b"): {"roleRef": {"kind": role[0], "name": role[1]}, "subjects": list(subjects)}}


def role(kind: str, namespace: str, name: str, rules: list[Any], **more: Any) -> dict[tuple[str, str, str], Any]:
    return {(kind, namespace, name): {"rules": rules, **more}}


def test_subjects() -> None:
    assert service_account("shop", "api") == Subject(
        "system:serviceaccount:shop:api",
        frozenset({"system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"}),
    )
    assert certificate_user("a", ["system:masters"]).groups == {"system:masters", "system:authenticated"}


def test_a_role_binding_gives_its_role_in_its_namespace() -> None:
    account = {"kind": "ServiceAccount", "name": "api"}
    objects = binding("RoleBinding", "shop", ("ClusterRole", "view"), account) | role("ClusterRole", "", "view", RULES)
    (grant,) = grants_of(objects, service_account("shop", "api"))
    assert grant == Grant(("get",), ("",), ("pods/exec",), ("a",), (), "shop", "RoleBinding shop/b of ClusterRole view")
    assert grant.words() == "get pods/exec (only a)"
    assert grants_of(objects, service_account("other", "api")) == []
    everywhere = binding("ClusterRoleBinding", "", ("ClusterRole", "view"), account | {"namespace": "shop"})
    (grant,) = grants_of(everywhere | role("ClusterRole", "", "view", RULES), service_account("shop", "api"))
    assert (grant.namespace, grant.through) == (None, "ClusterRoleBinding b of ClusterRole view")


def test_users_and_groups() -> None:
    rules = role("Role", "shop", "r", RULES)
    for subject, who, wanted in (
        ({"kind": "User", "name": "eva"}, certificate_user("eva", []), 1),
        ({"kind": "User", "name": "eva"}, certificate_user("eve", []), 0),
        ({"kind": "Group", "name": "system:serviceaccounts:shop"}, service_account("shop", "x"), 1),
        ({"kind": "Group", "name": "system:authenticated"}, certificate_user("eve", []), 1),
        ({"kind": "Group", "name": "eva"}, certificate_user("eva", []), 0),
    ):
        objects = binding("RoleBinding", "shop", ("Role", "r"), subject) | rules
        assert len(grants_of(objects, who)) == wanted, subject


def test_an_aggregated_role_without_rules_takes_those_that_it_selects() -> None:
    label = {"metadata": {"labels": {"to-admin": "true"}}}
    for selector in (
        {"matchLabels": {"to-admin": "true"}},
        {"matchExpressions": [{"key": "to-admin", "operator": "Exists"}]},
    ):
        aggregated = {"aggregationRule": {"clusterRoleSelectors": [selector]}}
        objects = {
            **binding("ClusterRoleBinding", "", ("ClusterRole", "admin"), {"kind": "User", "name": "eva"}),
            **role("ClusterRole", "", "admin", [], **aggregated),
            **role("ClusterRole", "", "part", RULES, **label),
            **role("ClusterRole", "", "other", [{"verbs": ["*"]}]),
        }
        assert [grant.resources for grant in grants_of(objects, certificate_user("eva", []))] == [("pods/exec",)]


def test_reaches() -> None:
    def grant(*resources: str, verbs: tuple[str, ...] = ("get",), groups: tuple[str, ...] = ("",)) -> Grant:
        return Grant(verbs, groups, resources, (), (), None, "")

    assert grant("pods/exec").reaches("get", "", "pods/exec")
    assert not grant("pods").reaches("get", "", "pods/exec")
    assert grant("*").reaches("get", "", "pods/exec") and grant("*/exec").reaches("get", "", "pods/exec")
    assert not grant("pods", groups=("apps",)).reaches("get", "", "pods")
    assert grant("pods", verbs=("*",), groups=("*",)).reaches("create", "", "pods")
    assert grant("*", verbs=("*",), groups=("*",)).everything and not grant("*").everything


def test_what_everyone_may_is_left_out() -> None:
    everyone = {"kind": "Group", "name": "system:authenticated"}
    objects = binding("ClusterRoleBinding", "", ("ClusterRole", "system:discovery"), everyone)
    objects |= role("ClusterRole", "", "system:discovery", [{"verbs": ["get"], "nonResourceURLs": ["/api"]}])
    assert known(objects) and grants_of(objects, certificate_user("eva", [])) == []
    assert not known({("Pod", "a", "b"): {}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["*", "User", "eva", "In"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([
            "subjects", "kind", "name", "rules", "verbs", "resources", "aggregationRule", "clusterRoleSelectors",
            "matchLabels", "matchExpressions", "operator", "values", "key", "metadata", "labels",
        ]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON, JSON, JSON)
def test_hostile_objects(one: Any, two: Any, subjects: Any) -> None:
    objects: dict[tuple[str, str, str], Any] = {
        ("ClusterRoleBinding", "", "b"): {"roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": subjects},
        ("ClusterRole", "", "r"): one if isinstance(one, dict) else {"rules": one},
        ("ClusterRole", "", "s"): {"rules": two, "aggregationRule": one, "metadata": two},
    }
    for grant in grants_of(objects, certificate_user("eva", [])):
        assert all(isinstance(part, str) for part in (*grant.verbs, *grant.resources, grant.words()))
