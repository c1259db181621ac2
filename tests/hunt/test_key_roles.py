# SPDX-License-Identifier: Apache-2.0
"""Whose temporary keys of AWS probably are."""

from __future__ import annotations

import json
from typing import Any

from memir.hunt.key_roles import likely
from memir.kube.opens import Access
from memir.kube.snapshot import ClusterSnapshot
from tests.kube.test_iam_access import ACCOUNT, NODE, OPS, cluster, config_map, entry

OBJECTS = entry(NODE, "EC2_LINUX") | entry(OPS, "STANDARD", (), ("ClusterAdminPolicy", [])) | cluster("API")
ROW: dict[str, Any] = {
    "kind": "aws session", "pid": 7, "claims": json.dumps({"temporary": True, "account": ACCOUNT}),
}  # fmt: skip


def test_a_key_in_a_pod_with_a_role_and_elsewhere() -> None:
    access = Access(ClusterSnapshot({}, {}, {}, OBJECTS, ()))
    pod = likely(ROW, OPS, OBJECTS, access)
    assert pod["gain"] == "cluster" and pod["opens"][:2] == [
        f"probably IAM role {OPS}, its pod's (a key names no role; CloudTrail does)",
        "the Kubernetes API as u (access entry, type STANDARD), policy AmazonEKSClusterAdminPolicy in the cluster",
    ]
    assert pod["opens"][2] == "everything in every namespace, by access policy AmazonEKSClusterAdminPolicy"
    node = likely(ROW, None, OBJECTS, access)
    assert node["gain"] == "cloud" and node["opens"] == [
        f"probably IAM role {NODE}, the node's (a key names no role; CloudTrail does)",
        "the Kubernetes API as u, groups system:nodes (access entry, type EC2_LINUX): the node whose instance it is "
        "of, and secrets, config maps, volumes and tokens of the pods on it (node authorizer)",
    ]


def test_where_nothing_can_be_said() -> None:
    access = Access(None)
    assert likely({**ROW, "kind": "token"}, OPS, OBJECTS, access) == {}
    assert likely({**ROW, "claims": json.dumps({"temporary": False})}, OPS, OBJECTS, access) == {}
    assert likely({**ROW, "claims": "{"}, OPS, OBJECTS, access) == {}
    assert likely({**ROW, "pid": None}, None, OBJECTS, access) == {}, "a copy in free memory is anyone's"
    other = json.dumps({"temporary": True, "account": "999900001111"})
    assert likely({**ROW, "claims": other}, OPS, OBJECTS, access) == {}, "the key is of another account"
    two = OBJECTS | entry(NODE + "-2", "EC2_LINUX")
    assert likely(ROW, None, two, access) == {}, "two kinds of nodes: it may be either's"
    assert likely(ROW, None, config_map(), access)["opens"][0].startswith(f"probably IAM role {NODE}, the node's")
