# SPDX-License-Identifier: Apache-2.0
"""Access entries and pod identity associations, from a stand-in as strict as EKS's model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from memir.aws import eks_access
from memir.aws.client import Connection
from memir.aws.eks_access import ACTIONS, cluster_access
from memir.errors import AccessError, UsageError
from tests.aws.eks import ADMIN, ARN, CI, CLUSTER, OPS, ROLE, eks, lead
from tests.aws.strict import Refused, Strict


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> Iterator[Strict]:
    made = eks()
    lead(monkeypatch, made)
    yield made
    made.stop()


def test_both_lists(strict: Strict) -> None:
    access = cluster_access(CLUSTER, Connection())
    assert (access.cluster["arn"], access.cluster["accessConfig"]) == (ARN, {"authenticationMode": "API"})
    assert "certificateAuthority" not in access.cluster
    assert [(entry["principalArn"], [each["policyArn"] for each in entry["policies"]]) for entry in access.entries] == [
        (OPS, [ADMIN]), (CI, []),
    ]  # fmt: skip
    assert [(each["namespace"], each["serviceAccount"]) for each in access.associations] == [
        ("shop", "api"), ("payments", "default"),
    ]  # fmt: skip
    assert access.associations[0]["roleArn"] == ROLE
    assert json.loads(json.dumps(access.document()))["accessEntries"][0]["createdAt"] == "2026-11-20T10:00:00+00:00"
    assert access.unread == {}
    # what is asked is what the policy allows, and nothing of it changes anything
    assert strict.names() == set(ACTIONS)
    assert all(name.partition(":")[2].startswith(("Describe", "List")) for name in ACTIONS)


def test_what_cannot_be_read(strict: Strict, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: object) -> dict[str, object]:
        raise Refused("InvalidRequestException", 400, "The cluster's authentication mode must be set to one of [API]")

    strict.denied = {"eks:DescribePodIdentityAssociation"}
    strict.services["eks"]["ListAccessEntries"] = refused
    access = cluster_access(CLUSTER, Connection())
    assert (access.entries, access.associations) == ([], [])
    assert access.unread["podidentityassociations"][1] and not access.unread["accessentries"][1]
    assert "authentication mode must be set" in access.unread["accessentries"][0]
    with pytest.raises(UsageError, match="there is no cluster 'other' in region eu-west-1"):
        cluster_access("other", Connection())
    strict.denied = {"eks:DescribeCluster"}
    with pytest.raises(AccessError, match="eks:DescribeCluster is denied on cluster lab"):
        cluster_access(CLUSTER, Connection())
    strict.denied = set()
    monkeypatch.setattr(eks_access, "MAX_ITEMS", 1)
    assert cluster_access(CLUSTER, Connection()).unread["podidentityassociations"][0].startswith("more than 1:")
