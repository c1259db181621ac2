# SPDX-License-Identifier: Apache-2.0
"""A controller of its own process, so that it can be killed: one acquisition to S3 from the node.

python -m tests.acquire.rigs.controller '{"transport": "local" | "ssm", "root": ..., "evidence": ..., ...}'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.base import Transport
from memir.acquire.transports.local import LocalTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection, s3_client


def transport_of(said: dict[str, Any], s3: Any) -> Transport:
    """The way to the node; over SSM everything is quick."""
    if said["transport"] == "local":
        return LocalTransport(Path(said["root"]))
    from memir.acquire.transports.ssm.command import Commander
    from memir.acquire.transports.ssm.transport import SsmTransport
    from memir.aws.client import Connection, service_client

    client = service_client("ssm", Connection(said["region"], said["ssm_endpoint"]))
    commander = Commander(client, said["instance"], poll=0.05, delivery=30, silence=5.0)
    return SsmTransport(commander, s3=s3, spool=S3Address(said["bucket"], "case"), grace=said["grace"])


def main(said: dict[str, Any]) -> None:
    chosen = S3Options(
        connection=Connection(said["region"], said["endpoint"]), part_size=said["part_size"], backoff=0.05, patience=60
    )
    s3 = s3_client(chosen.connection)
    sink = S3DirectSink(S3Address(said["bucket"], "case/run"), chosen, s3)
    sink.uploader = said["uploader"]
    folder = Path(said["evidence"])
    key = Path(said["key"]) if said.get("key") else None
    options = Options(
        tool_path=Path(said["tool"]), format="lime", context=False, grace=said["grace"], node_hash=False, sign_key=key
    )
    Acquisition(transport_of(said, s3), sink, folder, options).execute()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
