# SPDX-License-Identifier: Apache-2.0
"""Who may do what in a cluster by AWS's own lists: EKS access entries and pod identity associations, read-only.

https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html,
https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from memir.aws.client import Client, Connection, service_client
from memir.aws.errors import calling, cause_code
from memir.errors import RemoteError, UsageError

MAX_ITEMS = 10_000
"""Of a list: a cluster has up to 5,000 pod identity associations, and some hundred access entries."""
ACTIONS = (
    "eks:DescribeAccessEntry", "eks:DescribeCluster", "eks:DescribePodIdentityAssociation", "eks:ListAccessEntries",
    "eks:ListAssociatedAccessPolicies", "eks:ListPodIdentityAssociations",
)  # fmt: skip
RESOURCES = ("arn:aws:eks:*:*:cluster/*", "arn:aws:eks:*:*:access-entry/*", "arn:aws:eks:*:*:podidentityassociation/*")
_CLUSTER = ("name", "arn", "version", "platformVersion", "status", "endpoint", "createdAt", "accessConfig", "identity",
            "logging", "resourcesVpcConfig")  # fmt: skip


@dataclass
class ClusterAccess:
    """cluster: what DescribeCluster says of it. entries: access entries, each with `policies`. associations: of pods.

    unread: by list, why it is not or not wholly there, and whether for want of a permission.
    """

    cluster: dict[str, Any]
    entries: list[dict[str, Any]] = field(default_factory=list)
    associations: list[dict[str, Any]] = field(default_factory=list)
    unread: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As aws.json has it, by AWS's own names."""
        return {
            "cluster": self.cluster, "accessEntries": self.entries, "podIdentityAssociations": self.associations,
        }  # fmt: skip


def cluster_access(name: str, to: Connection) -> ClusterAccess:
    """Both lists of a cluster. UsageError where there is none of this name, AccessError, ConnectError.

    A list that is denied, or that the cluster has not, is noted in `unread`, and the other one is read.
    """
    client = service_client("eks", to)
    where = f"cluster {name}"
    try:
        with calling("eks:DescribeCluster", where):
            described = client.describe_cluster(name=name)["cluster"]
    except RemoteError as error:
        if cause_code(error) == "ResourceNotFoundException":
            raise UsageError(
                f"there is no cluster {name!r} in region {client.meta.region_name}: pass --cluster-name, --region"
            ) from error
        raise
    access = ClusterAccess({key: _plain(described[key]) for key in _CLUSTER if key in described})
    _read(access, "accessentries", access.entries, lambda: _entries(client, name, where))
    _read(access, "podidentityassociations", access.associations, lambda: _associations(client, name, where))
    return access


def _read(
    access: ClusterAccess, name: str, into: list[dict[str, Any]], items: Callable[[], Iterator[dict[str, Any]]]
) -> None:
    try:
        for item in items():
            if len(into) == MAX_ITEMS:
                access.unread[name] = (f"more than {MAX_ITEMS:,}: the others were not asked for", False)
                return
            into.append(_plain(item))
    except RemoteError as error:
        access.unread[name] = (str(error), type(error).__name__ == "AccessError")


def _entries(client: Client, name: str, where: str) -> Iterator[dict[str, Any]]:
    for principal in _listed(client, "list_access_entries", "accessEntries", where, clusterName=name):
        with calling("eks:DescribeAccessEntry", where):
            entry = client.describe_access_entry(clusterName=name, principalArn=principal)["accessEntry"]
        policies = _listed(
            client, "list_associated_access_policies", "associatedAccessPolicies", where, clusterName=name,
            principalArn=principal,
        )  # fmt: skip
        yield {**entry, "policies": list(policies)}


def _associations(client: Client, name: str, where: str) -> Iterator[dict[str, Any]]:
    for summary in _listed(client, "list_pod_identity_associations", "associations", where, clusterName=name):
        with calling("eks:DescribePodIdentityAssociation", where):
            yield client.describe_pod_identity_association(
                clusterName=name, associationId=summary["associationId"]
            )["association"]


def _listed(client: Client, operation: str, key: str, where: str, **asked: str) -> Iterator[Any]:
    action = "eks:" + "".join(part.capitalize() for part in operation.split("_"))
    with calling(action, where):
        for page in client.get_paginator(operation).paginate(**asked):
            yield from page[key]


def _plain(value: Any) -> Any:
    """Times as ISO 8601, so that it can be written as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
