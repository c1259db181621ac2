# SPDX-License-Identifier: Apache-2.0
"""EKS's lists of who may do what, as strict as its model: two entries, two associations, a page of one each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.aws.strict import Refused, Strict

CLUSTER, ACCOUNT = "lab", "111122223333"
ARN = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/{CLUSTER}"
OPS, CI = f"arn:aws:iam::{ACCOUNT}:role/ops", f"arn:aws:iam::{ACCOUNT}:role/ci"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/api"
WHEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
ASSOCIATIONS = {"a-1": ("shop", "api"), "a-2": ("payments", "default")}


def eks() -> Strict:
    """The stand-in; the caller stops it."""
    return Strict({"eks": {
        "DescribeCluster": _cluster, "ListAccessEntries": _entries, "DescribeAccessEntry": _entry,
        "ListAssociatedAccessPolicies": _policies, "ListPodIdentityAssociations": _associations,
        "DescribePodIdentityAssociation": _association,
    }})  # fmt: skip


def _cluster(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["name"] != CLUSTER:
        raise Refused("ResourceNotFoundException", 404, f"No cluster found for name: {asked['name']}.")
    return {"cluster": {"name": CLUSTER, "arn": ARN, "version": "1.34", "createdAt": WHEN,
                        "accessConfig": {"authenticationMode": "API"},
                        "certificateAuthority": {"data": "x"}}}  # fmt: skip


def _page(asked: dict[str, Any], key: str, every: list[Any]) -> dict[str, Any]:
    start = int(asked.get("nextToken") or 0)
    more = {"nextToken": str(start + 1)} if start + 1 < len(every) else {}
    return {key: every[start : start + 1], **more}


def _entries(asked: dict[str, Any]) -> dict[str, Any]:
    return _page(asked, "accessEntries", [OPS, CI])


def _entry(asked: dict[str, Any]) -> dict[str, Any]:
    name = asked["principalArn"].rpartition("/")[2]
    return {"accessEntry": {"clusterName": CLUSTER, "principalArn": asked["principalArn"], "kubernetesGroups": [name],
                            "username": name, "type": "STANDARD", "createdAt": WHEN}}  # fmt: skip


def _policies(asked: dict[str, Any]) -> dict[str, Any]:
    every = [{"policyArn": ADMIN, "accessScope": {"type": "cluster"}}] if asked["principalArn"] == OPS else []
    return {"associatedAccessPolicies": every, "clusterName": CLUSTER}


def _associations(asked: dict[str, Any]) -> dict[str, Any]:
    every = [{"associationId": ident, "namespace": namespace, "serviceAccount": name, "clusterName": CLUSTER}
             for ident, (namespace, name) in ASSOCIATIONS.items()]  # fmt: skip
    return _page(asked, "associations", every)


def _association(asked: dict[str, Any]) -> dict[str, Any]:
    namespace, name = ASSOCIATIONS[asked["associationId"]]
    return {"association": {"associationId": asked["associationId"], "clusterName": CLUSTER, "namespace": namespace,
                            "serviceAccount": name, "roleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                            "createdAt": WHEN}}  # fmt: skip


def lead(environment: Any, strict: Strict) -> None:
    """boto3 goes to the stand-in. environment: monkeypatch."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        environment.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL_EKS": strict.url,
    }.items():  # fmt: skip
        environment.setenv(name, value)
