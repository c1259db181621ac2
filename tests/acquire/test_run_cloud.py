# SPDX-License-Identifier: Apache-2.0
"""Whole acquisitions over SSM straight to S3: the real AVML on a chosen kcore, a real S3 server, nothing left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.ssm.command import Commander
from memir.acquire.transports.ssm.transport import SsmTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection, service_client
from memir.errors import ImageError, NodeError, PartialError
from memir.evidence.ranges import Range
from tests.acquire.rigs.drive import MIB, digest
from tests.acquire.rigs.noderig import NodeRig, banner
from tests.acquire.rigs.s3shim import Request, Shim
from tests.acquire.rigs.ssm import SsmServer
from tests.acquire.rigs.wait import until


@pytest.fixture
def opened(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The image is fetched to a file before it is opened: the loopback endpoint is no name that `s3://` leads to."""
    from botocore.exceptions import ClientError

    from memir.acquire import verdict
    from memir.evidence import opened

    def fetched(where: str, kernel: str) -> tuple[list[Range], str]:
        address = S3Address.parse(where)
        path = tmp_path / "fetched.lime"
        try:
            s3.download_file(address.bucket, address.prefix, str(path))
        except ClientError as error:
            raise ImageError(str(error)) from error
        return opened.look_inside(str(path), kernel)

    monkeypatch.setattr(verdict, "look_inside", fetched)
    yield


class Cloud:
    """What one run needs."""

    def __init__(self, s3: Any, bucket: str, shim: Shim, server: SsmServer, rig: NodeRig, folder: Path) -> None:
        self.s3, self.bucket, self.shim, self.server, self.rig, self.folder = s3, bucket, shim, server, rig, folder
        self.agent = server.add(root=rig.root)

    def job(self, tool: Path, **options: Any) -> Acquisition:
        client = service_client("ssm", Connection(self.server.region, self.server.endpoint))
        place = S3Address(self.bucket, "case")
        commander = Commander(client, self.agent.instance_id, poll=0.05, delivery=30, silence=1.0)
        transport = SsmTransport(commander, s3=self.s3, spool=place, grace=20)
        chosen = S3Options(
            connection=Connection(self.shim.region, self.shim.endpoint), part_size=5 * MIB, backoff=0.05, attempts=5,
            lock_mode="GOVERNANCE", lock_days=1, patience=120,
        )  # fmt: skip
        wanted: dict[str, Any] = {"tool_path": tool, "format": "lime", "context": False, "grace": 20} | options
        return Acquisition(transport, S3DirectSink(place, chosen, self.s3), self.folder, Options(**wanted))


@pytest.fixture
def cloud(
    s3: Any, bucket: str, shim: Shim, ssm_server: SsmServer, small_node: NodeRig, tmp_path: Path, opened: None
) -> Cloud:
    return Cloud(s3, bucket, shim, ssm_server, small_node, tmp_path / "ev")


@pytest.mark.slow
def test_over_ssm_to_a_locked_object(cloud: Cloud, avml: Path) -> None:
    receipt = cloud.job(avml).execute()
    assert receipt["status"] == "complete"
    assert receipt["missing"] == receipt["left_on_node"] == []
    assert receipt["banner"] == banner().decode().strip()
    image: Any = receipt["image"]
    key = S3Address.parse(image["where"]).prefix
    body = cloud.s3.get_object(Bucket=cloud.bucket, Key=key)["Body"].read()
    assert digest(body) == image["sha256"]
    assert image["size"] == len(body)
    head = cloud.s3.head_object(Bucket=cloud.bucket, Key=key)
    assert head["ObjectLockMode"] == "GOVERNANCE"
    # nothing in the node's memory, nothing secret on its disk
    assert cloud.rig.left() == []
    disk = cloud.agent.disk()
    for secret in (b"X-Amz-", b"AKIA", b"PRIVATE KEY"):
        assert secret not in disk
    names = [one["Key"] for one in cloud.s3.list_object_versions(Bucket=cloud.bucket).get("Versions", [])]
    assert [name for name in names if ".memir-" in name] == []


@pytest.mark.slow
def test_agent_dies_in_the_capture(cloud: Cloud, avml: Path) -> None:
    job = cloud.job(avml)

    def die(request: Request) -> float:
        if request.query.get("partNumber") == "1":
            cloud.agent.dead, cloud.agent.ping = True, "ConnectionLost"
            for one in cloud.agent.invocations:
                one.kill()
        return 0.0

    preflight = job.preflight()
    cloud.shim.delay = die
    with pytest.raises(PartialError, match="the agent was lost while a command ran"):
        job.execute(preflight)
    cloud.shim.delay = None
    until(lambda: not cloud.rig.left(), cloud.rig.left)


@pytest.mark.slow
def test_agent_that_comes_back_in_time(cloud: Cloud, avml: Path) -> None:
    """The agent and its script are killed in the middle of the upload; the node sends on, and is found again."""
    import threading

    job = cloud.job(avml, grace=120)
    died = threading.Event()

    def die(request: Request) -> float:
        if request.key.endswith("/image.lime") and request.query.get("partNumber") == "1" and not died.is_set():
            died.set()
            cloud.agent.dead, cloud.agent.ping = True, "ConnectionLost"
            for one in cloud.agent.invocations:
                one.kill()
            threading.Timer(3.0, cloud.agent.revive).start()
        return 0.0

    preflight = job.preflight()
    cloud.shim.delay = die
    receipt = job.execute(preflight)
    assert died.is_set()
    assert receipt["status"] == "complete"
    key = S3Address.parse(receipt["image"]["where"]).prefix
    assert digest(cloud.s3.get_object(Bucket=cloud.bucket, Key=key)["Body"].read()) == receipt["image"]["sha256"]
    assert cloud.rig.left() == []


@pytest.mark.slow
def test_two_runs_at_once_on_one_instance(cloud: Cloud, avml: Path) -> None:
    from memir.acquire.session import NodeSession

    first = cloud.job(avml)
    first.transport.connect()
    session = NodeSession(first.transport, "first", 120)
    session.start(1 << 20)
    second = cloud.job(avml)
    with pytest.raises((NodeError, PartialError), match=r"a(nother)? run is going on: first"):
        second.execute()
    assert session.finish() == []
    first.transport.close()
    assert cloud.rig.left() == []
