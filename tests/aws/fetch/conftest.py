# SPDX-License-Identifier: Apache-2.0
"""The account that logs are fetched from: servers once, what they have anew for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.fetch.account import CLUSTER, Account, enter, servers
from tests.aws.strict import Strict


@pytest.fixture(scope="session")
def aws() -> Iterator[tuple[str, Strict]]:
    with servers() as (moto, strict):
        yield moto, strict


@pytest.fixture
def account(aws: tuple[str, Strict], monkeypatch: pytest.MonkeyPatch) -> Account:
    entered = enter(monkeypatch, *aws)
    _have_cluster()
    return entered


def _have_cluster() -> None:
    """moto's state is the process's: another folder's tests may have emptied it, or made a cluster of that name."""
    import boto3

    session = boto3.Session()
    eks = session.client("eks")
    if CLUSTER in eks.list_clusters()["clusters"]:
        if "clusterLogging" in eks.describe_cluster(name=CLUSTER)["cluster"].get("logging", {}):
            return
        eks.delete_cluster(name=CLUSTER)
    subnet = session.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    eks.create_cluster(
        name=CLUSTER, roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={"subnetIds": [subnet]},
        logging={"clusterLogging": [{"types": ["audit", "authenticator"], "enabled": True}]},
    )  # fmt: skip
