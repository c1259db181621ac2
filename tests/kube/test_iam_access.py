# SPDX-License-Identifier: Apache-2.0
"""Who IAM's roles are in a cluster: lists in the shape that AWS's API and the ConfigMap have them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memir.kube.iam_access import CONFIG_MAP, IamUser, is_eks, node_roles, unread, users_of
from memir.kube.rbac import Grant, Subject

ACCOUNT = "111122223333"
NODE, OPS = f"arn:aws:iam::{ACCOUNT}:role/eks-node", f"arn:aws:iam::{ACCOUNT}:role/team/ops"
POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKS"
MAP_ROLES = f"""
- rolearn: {NODE}
  username: system:node:{{{{EC2PrivateDNSName}}}}
  groups:
  - system:bootstrappers
  - system:nodes
- rolearn: arn:aws:iam::{ACCOUNT}:role/Ops
  username: ops:{{{{SessionName}}}}
  groups: [system:masters]
- rolearn: arn:aws:iam::{ACCOUNT}:role/team/with-path
  groups: [system:masters]
"""
Objects = dict[tuple[str, str, str], dict[str, Any]]


def entry(arn: str, kind: str = "STANDARD", groups: tuple[str, ...] = (), *policies: tuple[str, list[str]]) -> Objects:
    """An access entry as DescribeAccessEntry and ListAssociatedAccessPolicies give it. policies: (name, namespaces)."""
    listed = [
        {"policyArn": POLICY + name,
         "accessScope": {"type": "namespace" if spaces else "cluster", "namespaces": spaces}}
        for name, spaces in policies
    ]  # fmt: skip
    spec = {"principalArn": arn, "type": kind, "username": "u", "kubernetesGroups": list(groups), "policies": listed}
    return {("AccessEntry", "", arn): {"kind": "AccessEntry", "metadata": {"name": arn}, "spec": spec}}


def cluster(mode: str) -> Objects:
    return {("EksCluster", "", "lab"): {"spec": {"accessConfig": {"authenticationMode": mode}}}}


def config_map(roles: str = MAP_ROLES, **more: str) -> Objects:
    return {CONFIG_MAP: {"kind": "ConfigMap", "data": {"mapRoles": roles, **more}}}


def subject(user: str, *groups: str) -> Subject:
    return Subject(user, frozenset({*groups, "system:authenticated"}))


def test_an_entry_with_groups_and_policies() -> None:
    objects = entry(OPS, "STANDARD", ("viewers",), ("ClusterAdminPolicy", []), ("EditPolicy", ["shop"]), ("X", ["a-*"]))
    (user,) = users_of(objects, OPS)
    assert (user.subject, user.node, user.through) == (subject("u", "viewers"), False, "access entry, type STANDARD")
    assert user.policies == (
        "AmazonEKSClusterAdminPolicy in the cluster", "AmazonEKSEditPolicy in shop", "AmazonEKSX in a-*",
    )  # fmt: skip
    everything = Grant(("*",), ("*",), ("*",), (), (), None, "access policy AmazonEKSClusterAdminPolicy")
    assert user.grants[0] == everything and {grant.namespace for grant in user.grants[1:]} == {"shop"}
    assert any(grant.reaches("create", "", "pods/exec") for grant in user.grants[1:])
    # a role's name is once in an account: with another path, and as a session, it is the same one
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/i-0abc"
    assert users_of(objects, session) == users_of(objects, f"arn:aws:iam::{ACCOUNT}:role/ops") == [user]
    assert users_of(objects, OPS.replace(ACCOUNT, "999900001111")) == [] and users_of(objects, "nonsense") == []


def test_a_node_s_entry() -> None:
    objects = entry(NODE, "EC2_LINUX") | entry(OPS)
    (user,) = users_of(objects, NODE)
    assert user.node and user.subject == subject("u", "system:nodes") and node_roles(objects) == [NODE]


def test_the_config_map() -> None:
    objects = config_map(mapUsers=f"- userarn: arn:aws:iam::{ACCOUNT}:user/eva\n  username: eva\n  groups: [dev]\n",
                         mapAccounts='- "999900001111"\n')  # fmt: skip
    (node,) = users_of(objects, NODE)
    assert node.node and node.through == "ConfigMap kube-system/aws-auth"
    # compared without path, in lower case: as the authenticator does, which is why an entry with a path has no effect
    (ops,) = users_of(objects, OPS)
    assert ops.subject == subject("ops:{{SessionName}}", "system:masters")
    assert users_of(objects, f"arn:aws:iam::{ACCOUNT}:role/team/with-path") == []
    (eva,) = users_of(objects, f"arn:aws:iam::{ACCOUNT}:user/eva")
    assert eva.subject == subject("eva", "dev")
    other = "arn:aws:iam::999900001111:role/any"
    assert users_of(objects, other) == [IamUser(subject(other), "ConfigMap kube-system/aws-auth, mapAccounts")]
    assert node_roles(objects) == [NODE]


def test_the_mode_says_which_list_counts() -> None:
    both = entry(OPS, "STANDARD", ("viewers",)) | config_map()
    (by_entry,) = users_of(both | cluster("API_AND_CONFIG_MAP"), OPS)
    assert by_entry.subject == subject("u", "viewers"), "an entry comes before the ConfigMap"
    (by_map,) = users_of(both | cluster("CONFIG_MAP"), OPS)
    assert by_map.subject.groups >= {"system:masters"}
    assert users_of(both | cluster("API"), NODE) == [] and node_roles(both | cluster("API")) == []
    assert users_of(both | cluster("API_AND_CONFIG_MAP"), NODE)[0].node


def test_what_is_not_there() -> None:
    assert not is_eks({}) and is_eks(cluster("API")) and is_eks(config_map()) and is_eks(entry(OPS))
    assert unread(cluster("API") | entry(OPS)) is None and unread(cluster("CONFIG_MAP") | config_map()) is None
    assert unread(cluster("API_AND_CONFIG_MAP") | entry(OPS)) == "the ConfigMap aws-auth"
    assert unread(config_map()) == "access entries"
    assert unread(cluster("API_AND_CONFIG_MAP")) == "access entries and the ConfigMap aws-auth"


def test_hostile_config_maps() -> None:
    for text in ("- rolearn: [", "7", "a: b", "&a [*a, *a]", "- 7\n- {rolearn: 7}", "x" * (2 << 20)):
        assert users_of(config_map(text), OPS) == [] and node_roles(config_map(text)) == []


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["principalArn", "policies", "kubernetesGroups", "type", "accessScope", "policyArn"]), inner)))
def test_any_entry_is_read(spec: Any) -> None:
    objects = {("AccessEntry", "", "a"): {"spec": spec}, CONFIG_MAP: {"data": spec}}
    assert users_of(objects, OPS) == [] or isinstance(spec, dict)
