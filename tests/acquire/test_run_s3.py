# SPDX-License-Identifier: Apache-2.0
"""The whole run with S3 as the sink: from the node by presigned parts, and through the controller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.sinks.s3.stream import S3StreamSink
from memir.acquire.transports.local import LocalTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection
from memir.aws.evidence import S3PartReader, fetched
from memir.evidence.verify import verify
from tests.acquire.rigs.noderig import MIB, NodeRig
from tests.acquire.rigs.runs import clean, stream_of
from tests.acquire.rigs.s3shim import Shim


@pytest.mark.parametrize("form", ["lime", "avml"])
@pytest.mark.parametrize("way", ["node", "controller"])
def test_from_the_node_to_s3_and_verified_from_there(
    node: NodeRig, tmp_path: Path, avml: Path, s3: Any, bucket: str, shim: Shim, way: str, form: Any
) -> None:
    chosen = S3Options(part_size=5 * MIB, backoff=0.05, connection=Connection(shim.region, shim.endpoint),
                       lock_mode="GOVERNANCE", lock_days=2)  # fmt: skip
    address = S3Address(bucket, "case/run-1")
    sink = (S3DirectSink if way == "node" else S3StreamSink)(address, chosen, s3)
    folder = tmp_path / "ev"
    options = Options(tool_path=avml, format=form, grace=20)
    receipt = Acquisition(LocalTransport(node.root), sink, folder, options).execute()
    assert receipt["status"] == "complete"
    where = f"s3://{bucket}/case/run-1/image.{form}"
    assert receipt["image"]["where"] == where
    if form == "lime":
        held = s3.get_object(Bucket=bucket, Key=f"case/run-1/image.{form}")["Body"].read()
        assert held == stream_of(node)
    assert receipt["image"]["stored"]["ObjectLockMode"] == "GOVERNANCE"
    assert clean(node)
    connection = Connection(shim.region, shim.endpoint)
    reader = S3PartReader(connection=connection)
    assert verify(folder, reader=reader).complete
    with fetched(f"s3://{bucket}/case/run-1", connection) as copy:
        found = verify(copy, reader=reader)
        assert found.complete, found.problems
    begin = json.loads((folder / "manifest.jsonl").read_text().splitlines()[0])
    assert "X-Amz-Signature" not in (folder / "manifest.jsonl").read_text()
    assert begin["plan"]["steps"]
