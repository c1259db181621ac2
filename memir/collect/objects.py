# SPDX-License-Identifier: Apache-2.0
"""The files of a collection as objects in S3, one each, under their names in an evidence folder.

A small file is one PutObject; a larger one is a multipart upload through the controller, as an image's is. The store
checks the SHA-256 of what it takes, and never overwrites. Nothing of the pod touches the controller's disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from memir.acquire.sinks.base import SinkMeta
from memir.acquire.sinks.s3.base import MIB, S3Sink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.sinks.s3.stream import S3StreamSink
from memir.aws.address import S3Address
from memir.aws.client import Client
from memir.errors import StorageError
from memir.evidence.plan import Check, Step, Trace
from memir.evidence.records import Scalar

SMALL = 8 * MIB
"""Bytes of a file that goes in one request."""

Begun = Callable[[str, str, int], object]
"""Told of a multipart upload when it begins: its address, id and part size, for the record of a run that is killed."""


class ObjectStore:
    """Where the files go. small: bytes up to which a file is one request."""

    def __init__(
        self, address: S3Address, options: S3Options, client: Client | None = None, *, small: int = SMALL
    ) -> None:
        self.address, self.options, self.small = address, options, small
        self.sink = S3Sink(address, options, client)
        self.where = self.sink.where

    def check(self) -> Sequence[Check]:
        """The bucket: region, clock, Object Lock; leaves nothing behind."""
        return self.sink.check()

    def steps(self) -> Sequence[Step]:
        """What storing does."""
        options = self.options
        lock = f", with {options.lock_mode} lock for {options.lock_days} days" if options.lock_mode else ""
        return (
            Step(f"store every file under {self.where}{lock}, unless its name exists", "aws", "s3:PutObject",
                 changes=True),
            Step("compare the store's SHA-256 of each with what arrived", "aws", "s3:GetObject"),
        )  # fmt: skip

    def traces(self) -> Sequence[Trace]:
        """What storing leaves, beside the files."""
        return (
            Trace("CloudTrail (S3 data events, if on)", f"PutObject, CreateMultipartUpload, ... on {self.where}"),
            Trace(self.where, "an unfinished multipart upload if the run is cut in a large file", stays=False),
        )

    def open(self, run_id: str, name: str, begun: Begun) -> Object:
        """A new object. begun: called if it becomes a multipart upload."""
        return Object(self, run_id, name, begun)


class Object:
    """One file on its way; at most 8 MiB of it are held here, or two parts."""

    def __init__(self, store: ObjectStore, run_id: str, name: str, begun: Begun) -> None:
        self._store, self._run_id, self._name, self._begun = store, run_id, name, begun
        self._held = bytearray()
        self._upload: S3StreamSink | None = None

    def write(self, data: memoryview) -> int:
        """Append. Raises StorageError, AccessError, ConnectError."""
        if self._upload is None:
            self._held += data
            if len(self._held) > self._store.small:
                self._upload = self._begin()
                self._upload.write(memoryview(self._held))
                self._held = bytearray()
        else:
            self._upload.write(data)
        return len(data)

    def commit(self) -> Mapping[str, Scalar]:
        """Store what is not stored yet; what the store says of it. Raises StorageError, AccessError, ConnectError."""
        if self._upload is None:
            return {name: value for name, value in self._store.sink.record(self._name, bytes(self._held)).items()
                    if isinstance(value, str | int | float | bool) or value is None}  # fmt: skip
        stored = self._upload.commit()
        if not stored.complete:
            raise StorageError(f"{stored.where}: {'; '.join(stored.missing[:2])}; {stored.resume}")
        return {"where": stored.where, "size": stored.size, **stored.receipt}

    def stop(self, why: str) -> None:
        """It will not be whole: keep the parts that are stored."""
        if self._upload is not None:
            self._upload.partial(why)

    def _begin(self) -> S3StreamSink:
        store = self._store
        upload = S3StreamSink(store.address, store.options, store.sink.client)
        # of no announced size: 10,000 parts of 48 MiB hold 480 GB
        upload.begin(SinkMeta(self._run_id, "", self._name, "lime", 0, ""))
        self._begun(upload.where, upload.upload_id, upload.part_size)
        return upload
