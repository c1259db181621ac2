# SPDX-License-Identifier: Apache-2.0
"""The account that logs are fetched from: servers once, what they have anew for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.fetch.account import CLUSTER, Account, enter, servers
from tests.aws.strict import Strict


@pytest.fixture(scope="session")
def aws() -> Iterator[tuple[str, Strict]]:
    import boto3

    with servers() as (moto, strict), pytest.MonkeyPatch.context() as environment:
        enter(environment, moto, strict)
        session = boto3.Session()
        subnet = session.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
        eks = session.client("eks")
        if CLUSTER in eks.list_clusters()["clusters"]:  # moto's state is the process's, also another folder's
            eks.delete_cluster(name=CLUSTER)
        eks.create_cluster(
            name=CLUSTER, roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={"subnetIds": [subnet]},
            logging={"clusterLogging": [{"types": ["audit", "authenticator"], "enabled": True}]},
        )  # fmt: skip
        environment.undo()
        yield moto, strict


@pytest.fixture
def account(aws: tuple[str, Strict], monkeypatch: pytest.MonkeyPatch) -> Account:
    return enter(monkeypatch, *aws)
