# SPDX-License-Identifier: Apache-2.0
"""The SSM transport with a stream: commands by Run Command, the collection in parts through a bucket (parts.py)."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from memir.acquire.session import NodeSession
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.base import Result, Transport
from memir.aws.address import S3Address
from memir.aws.client import Client
from memir.collect.parts import PartObjects, PartsStream
from memir.evidence.plan import Check, Step, Trace

GRACE = 900
"""Seconds after which the node's watchdog removes what a controller that is gone has left there."""
NEED = 8 << 20
"""Bytes on tmpfs for the collector, its request and the uploader, where a tmpfs has to be mounted."""


class SsmStreams:
    """One instance. spool: where the stream passes. left: what could not be removed, of the node and of the bucket."""

    kind = "ssm"
    streams = True

    def __init__(
        self, inner: Transport, spool: S3Address, options: S3Options, client: Client | None = None
    ) -> None:  # fmt: skip
        self.inner, self.spool, self.options = inner, spool, options
        self._client = client
        self.left: list[str] = []

    def connect(self) -> None:
        """See that SSM reaches the instance. Raises ConnectError, AccessError."""
        self.inner.connect()

    def identity(self) -> Mapping[str, str]:
        """The instance as SSM knows it, and the caller's ARN."""
        return self.inner.identity()

    def check(self) -> Sequence[Check]:
        """SSM, the bucket of the passage, and whether the node has Python and reaches the bucket's endpoint."""
        parts = self._parts("check")
        return [*self.inner.check(), *parts.check(), *parts.check_node(self.inner)]

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Run a script by Run Command."""
        return self.inner.run(script, data=data, timeout=timeout, limit=limit)

    def open_stream(self, script: str, *, data: bytes = b"") -> PartsStream:
        """Run a script from tmpfs, its standard output in parts through the bucket.

        Raises NodeError where the node has no Python or another run is at work there, ConnectError, StorageError.
        """
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
        session, parts = NodeSession(self.inner, name, GRACE), self._parts(name)
        try:
            session.start(NEED)
            run = session.run
            parts.prepare(self.inner, run)
            self.inner.put(run.path("collect.sh"), script.encode())
            self.inner.put(run.path("collect.in"), data)
            words = [shlex.quote(run.path(each)) for each in ("collect.sh", "collect.in", "stream")]
            return PartsStream(self.inner, session, parts, "/bin/sh {} < {} > {}".format(*words), self.left)
        except BaseException:
            self.left += session.finish()
            raise

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Write a file on the node."""
        self.inner.put(path, source, mode=mode)

    def steps(self) -> Sequence[Step]:
        """What using SSM does, and the passage through the bucket."""
        where = self.spool.url(".memir-RUN/")
        return (
            *self.inner.steps(),
            Step("a private directory on tmpfs for the collector and the uploader; a watchdog removes it", "node",
                 changes=True),
            Step(f"store the stream in parts under {where}, with URLs signed for each part's SHA-256", "node",
                 "s3:PutObject", changes=True),
            Step("read each part, compare its SHA-256 with the node's, remove it", "controller",
                 "s3:GetObject, s3:DeleteObject", changes=True),
        )  # fmt: skip

    def traces(self) -> Sequence[Trace]:
        """What using SSM leaves, and the passage."""
        where = self.spool.url(".memir-RUN/")
        return (
            *self.inner.traces(),
            Trace(where, "parts of the stream, and letters; removed when read, but not if the controller is killed",
                  stays=False),
            Trace("CloudTrail (S3 data events, if on)", f"PutObject, GetObject, DeleteObject below {where}"),
            Trace("VPC flow logs", "the node's connections to S3"),
        )  # fmt: skip

    def reconnect(self) -> None:
        """Nothing is held open; see that the instance is there."""
        self.inner.reconnect()

    def close(self) -> None:
        """Remove the session from the node; the watchdog does it if this cannot."""
        self.inner.close()

    def _parts(self, name: str) -> PartObjects:
        return PartObjects(self.spool, self.options, name, self._client)
