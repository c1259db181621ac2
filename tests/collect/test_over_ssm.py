# SPDX-License-Identifier: Apache-2.0
"""A pod collected over SSM's stand-in, whose agent runs in the node's root, and an S3 server: whole, cut, locked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.ssm.command import Commander
from memir.acquire.transports.ssm.transport import SsmTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection, service_client
from memir.collect.objects import ObjectStore
from memir.collect.over_ssm import SsmStreams
from memir.collect.run import CollectOptions, PodCollection
from memir.collect.target import by_uid
from memir.errors import PartialError
from memir.evidence.verify import verify
from tests.acquire.rigs.s3shim import Request, Shim
from tests.acquire.rigs.sshd import keygen
from tests.acquire.rigs.ssm import SsmServer
from tests.acquire.rigs.ssm_agent import Agent
from tests.collect.podrig import HEAP, PodRig


@pytest.fixture
def agent(ssm_server: SsmServer, pod: PodRig, shm: Path) -> Agent:
    return ssm_server.add(root=pod.root)


@pytest.fixture
def way(ssm_server: SsmServer, agent: Agent, s3: Any, bucket: str, shim: Shim) -> Iterator[SsmStreams]:
    client = service_client("ssm", Connection(ssm_server.region, ssm_server.endpoint))
    spool = S3Address(bucket, "passage")
    inner = SsmTransport(Commander(client, agent.instance_id, poll=0.05, delivery=30), s3=s3, spool=spool)
    options = S3Options(Connection(shim.region, shim.endpoint), backoff=0.05, part_size=1 << 20)
    yield SsmStreams(inner, spool, options, s3)
    inner.close()


def objects(s3: Any, bucket: str) -> list[str]:
    """Keys of every version that is in the bucket."""
    return [item["Key"] for item in s3.list_object_versions(Bucket=bucket).get("Versions", [])]


def nodes_own(pod: PodRig) -> list[str]:
    return [path.name for path in (pod.root / "dev/shm").iterdir()] + pod.left()


def test_whole_into_a_folder_and_nothing_left(
    pod: PodRig, way: SsmStreams, agent: Agent, s3: Any, bucket: str, tmp_path: Path
) -> None:
    key = keygen(tmp_path / "key")
    run = PodCollection(way, by_uid(pod.uid), tmp_path / "ev", CollectOptions(case="IR-7", sign_key=key))
    receipt = run.execute()
    assert (receipt["status"], receipt["missing"], receipt["left_on_node"]) == ("complete", [], [])
    collection = receipt["collection"]
    assert (collection["processes"], collection["exit_code"]) == (3, 0)
    assert collection["sent"] == collection["received"]
    assert HEAP in (tmp_path / f"ev/clear/memory/{pod.pid}.core").read_bytes()
    found = verify(tmp_path / "ev", public_key=tmp_path / "key.pub", expect={"case": "IR-7", "transport": "ssm"})
    assert (found.problems, found.status, found.exit_code) == ([], "complete", 0)
    assert objects(s3, bucket) == [], "what passed through is removed"
    assert nodes_own(pod) == []
    for secret in (b"X-Amz-Signature", HEAP, b"PRIVATE KEY"):
        assert secret not in agent.disk()


@pytest.mark.long
def test_into_objects(pod: PodRig, way: SsmStreams, s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    store = ObjectStore(S3Address(bucket, "ir-7/web"), S3Options(Connection(shim.region, shim.endpoint)), s3)
    run = PodCollection(way, by_uid(pod.uid), tmp_path / "ev", CollectOptions(), store=store)
    assert run.execute()["status"] == "complete"
    assert {key.partition("/")[0] for key in objects(s3, bucket)} == {"ir-7"}
    assert HEAP in s3.get_object(Bucket=bucket, Key=f"ir-7/web/clear/memory/{pod.pid}.core")["Body"].read()


def test_a_node_that_stops_leaves_what_arrived(
    pod: PodRig, way: SsmStreams, agent: Agent, s3: Any, bucket: str, shim: Shim, tmp_path: Path
) -> None:
    """The store takes the third part no more, as when the node's way to it is cut."""
    way.options = S3Options(way.options.connection, backoff=0.01, attempts=2, part_size=1 << 18)

    def cut(request: Request) -> int | None:
        return 0 if request.method == "PUT" and request.path.partition("?")[0].endswith("/stream/3") else None

    shim.cut = cut
    with pytest.raises(PartialError, match=r"partial, .*What arrived is kept"):
        PodCollection(way, by_uid(pod.uid), tmp_path / "ev", CollectOptions()).execute()
    shim.cut = None
    found = verify(tmp_path / "ev")
    assert (found.problems, found.status, found.exit_code) == ([], "partial", 4)
    assert "the uploader on the node ended with 3: part 3: gave up after 2 attempts" in "".join(found.missing)
    assert list((tmp_path / "ev/node").rglob("*")), "the first two parts are read and kept"
    assert objects(s3, bucket) == []
    assert nodes_own(pod) == []


@pytest.mark.long
def test_what_a_lock_keeps_is_said(pod: PodRig, way: SsmStreams, s3: Any, bucket: str, tmp_path: Path) -> None:
    """A bucket that retains every object by itself: letters go by commands, and the parts stay, as the receipt says."""
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    receipt = PodCollection(way, by_uid(pod.uid), tmp_path / "ev", CollectOptions(memory=False)).execute()
    assert receipt["status"] == "complete"
    (left,) = receipt["left_on_node"]
    assert "parts of the stream could not be removed" in left
    assert left.startswith(f"s3://{bucket}/passage/.memir-2")


def test_what_is_said_before(way: SsmStreams, pod: PodRig, bucket: str, tmp_path: Path) -> None:
    way.connect()
    checks = {check.name: check for check in way.check()}
    assert checks["SSM ping"].level == checks["uploader"].level == checks["the node's way to S3"].level == "ok"
    assert way.identity()["instance_id"] == "i-0123456789abcdef0"
    steps = " ".join(step.what for step in way.steps())
    assert f"store the stream in parts under s3://{bucket}/passage/.memir-RUN/" in steps
    assert any("letters; removed when read" in trace.what for trace in way.traces())
    assert way.run("cat", data=b"x").out == b"x"
    way.put("/dev/shm/put", b"y")
    assert (pod.root / "dev/shm/put").read_bytes() == b"y"
    (pod.root / "dev/shm/put").unlink()
    way.reconnect()
    way.close()
    assert nodes_own(pod) == []
