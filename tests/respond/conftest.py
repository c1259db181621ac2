# SPDX-License-Identifier: Apache-2.0
"""A real API server for the tests that need its controllers, where the lab's binaries are; an account in moto."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import memir
from memir.aws.client import Connection
from tests.images import case
from tests.respond.aws_rig import AwsRig
from tests.respond.kube_rig import KubeRig, running


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeRig]:
    with running(tmp_path_factory.mktemp("kube")) as made:
        yield made


@pytest.fixture(scope="session")
def intruded_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of a real image; read only."""
    path = tmp_path_factory.mktemp("case") / "case"
    with memir.open(case("s-6.12-intruded").image) as node:
        node.save(path)
    return path


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def account(moto: str, monkeypatch: pytest.MonkeyPatch) -> AwsRig:
    """An account of its own for each test."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    return AwsRig(Connection("eu-west-1", moto))
