# SPDX-License-Identifier: Apache-2.0
"""A stream from a node whose transport carries none: in parts through a bucket, each read as it comes, then removed.

What sends is the uploader that RAM goes by (acquire/node/upload.py): it holds no credentials, hashes each part and asks
for a URL. Here a URL stores one object, of that hash alone: parts of a multipart upload cannot be read before its end.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from memir.acquire.attach import run_to_end
from memir.acquire.scripts import abort_script, capture_script, parse_receipt
from memir.acquire.session import NodeSession
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.sinks.s3.upload import Held
from memir.acquire.transports.base import Result, Transport
from memir.aws.address import S3Address
from memir.aws.checksum import b64
from memir.aws.client import Client
from memir.aws.errors import ABSENT, calling, cause_code
from memir.aws.presign import put_url
from memir.errors import ConnectError, Interrupted, MemirError, RemoteError, StorageError
from memir.evidence.plan import Check
from memir.evidence.records import NodeReceipt

PART = 16 << 20
"""Bytes of a part; the node holds two of them, in memory."""
MOST = 99_999
"""Parts of a stream: 1.6 TB."""
DAYS = 172_800.0
"""Seconds that a collector may take: the most that Run Command lets a command run."""
TRIES = 5


class PartObjects(S3DirectSink):
    """The parts of one stream, each an object below the address. wanted: (bytes, SHA-256) by number."""

    uploader = "python"

    def __init__(self, address: S3Address, options: S3Options, name: str, client: Client | None = None) -> None:
        super().__init__(address, options, client)
        self.name, self.part_size = name, options.part_size or PART
        self.wanted: dict[int, tuple[int, str]] = {}
        self._there: set[int] = set()

    def place(self, number: int) -> str:
        """Name of a part's object below the address."""
        return f".memir-{self.name}/stream/{number}"

    def check_node(self, transport: Transport) -> Sequence[Check]:
        """Whether the node has a Python, which the collector needs too, and reaches the store."""
        advice = "collect the pod with --transport pod or ssh, which need no way from the node to S3"
        checks = super().check_node(transport)
        return tuple(replace(check, advice=advice) if check.level == "fail" else check for check in checks)

    def sign(self, number: int, size: int, sha256: str) -> str:
        """A URL that stores exactly this part. Raises StorageError for what no stream has, or for other bytes of it."""
        if not 1 <= number <= MOST or not 0 < size <= self.part_size:
            raise StorageError(f"{self.where}: part {number} of {size} bytes was asked for; refused")
        if self.wanted.get(number, (size, sha256)) != (size, sha256):
            raise StorageError(f"{self.where}: part {number} was asked for with two hashes; refused")
        key = self.address.key(self.place(number))
        url = put_url(self.client, self.address.bucket, key, seconds=self.options.url_seconds, checksum=b64(sha256))
        self._there.add(number)
        self.wanted[number] = (size, sha256)
        return url

    def held(self) -> dict[int, Held]:
        """What is in the bucket is not listed: the reader knows."""
        return {}

    def take(self, number: int) -> bytes | None:
        """A part, compared with the node's hash, then removed; None while it is not there. Raises RemoteError."""
        if number not in self.wanted:
            return None
        size, sha256 = self.wanted[number]
        where = self.address.url(self.place(number))
        try:
            with calling("s3:GetObject", where):
                answer = self.client.get_object(Bucket=self.address.bucket, Key=self.address.key(self.place(number)))
                body: bytes = answer["Body"].read(size + 1)
        except RemoteError as error:
            if cause_code(error) in ABSENT:
                return None
            raise
        if hashlib.sha256(body).hexdigest() != sha256:
            raise StorageError(f"{where} is not what the node sent: {len(body):,} bytes of another SHA-256")
        self._forget(number, str(answer.get("VersionId") or ""))
        return body

    def clear(self) -> list[str]:
        """Remove what is still in the bucket; in words, what could not be removed."""
        for number in sorted(self._there):
            self._forget(number, "")
        if not self._there:
            return []
        numbers = ", ".join(map(str, sorted(self._there)[:5]))
        return [
            f"{self.address.url(f'.memir-{self.name}/stream/')}: {len(self._there):,} parts of the stream could not be "
            f"removed ({numbers}, ...): a lock of the bucket keeps them, or s3:DeleteObject is not allowed"
        ]

    def _forget(self, number: int, version: str) -> None:
        """Remove every version of a part that is known; where that is denied it stays in `_there`."""
        bucket, key = self.address.bucket, self.address.key(self.place(number))
        with contextlib.suppress(RemoteError), calling("s3:DeleteObject", self.address.url(self.place(number))):
            if not version:
                try:
                    with calling("s3:GetObject", key):
                        version = str(self.client.head_object(Bucket=bucket, Key=key).get("VersionId") or "")
                except RemoteError as error:
                    if cause_code(error) not in ABSENT:
                        raise
                    # asked for and never stored
                    self._there.discard(number)
                    return
            which = {"VersionId": version} if version and version != "null" else {}
            self.client.delete_object(Bucket=bucket, Key=key, **which)
            self._there.discard(number)


class PartsStream:
    """The stream of a script that runs on the node, read from the bucket. left: gets what `close` cannot remove."""

    def __init__(
        self, transport: Transport, session: NodeSession, parts: PartObjects, command: str, left: list[str]
    ) -> None:  # fmt: skip
        self.left = left
        self._transport, self._session, self._parts = transport, session, parts
        self._number, self._size, self._hash, self._rest = 1, 0, hashlib.sha256(), memoryview(b"")
        self._failed: list[MemirError] = []
        self._receipt: NodeReceipt | None = None
        self._ended, self._stop = threading.Event(), threading.Event()
        self._signer = threading.Thread(target=self._sign, daemon=True)
        self._runner = threading.Thread(target=self._run, args=(command,), daemon=True)
        self._signer.start()
        self._runner.start()

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end. Raises ConnectError where the node's end is missing, StorageError."""
        if not self._rest:
            self._rest = memoryview(self._next())
        data = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        return data

    def wait(self, timeout: float) -> Result:
        """The collector's exit code, None unless the stream is the one that the node hashed; its last words."""
        self._ended.wait(timeout)
        receipt, why = self._receipt, self._problem()
        words = receipt.log if receipt is not None else ""
        code = receipt.tool if receipt is not None and not why else None
        return Result(code, err=f"{words}\n{why}".strip().encode())

    def close(self) -> None:
        """End the collector if it still runs; remove it from the node, and the parts from the bucket."""
        if not self._ended.is_set():
            with contextlib.suppress(RemoteError):
                self._transport.run(abort_script(self._session.run), timeout=60)
            self._ended.wait(60)
        self._stop.set()
        self._signer.join(60)
        self.left += [*self._session.finish(), *self._parts.clear()]
        self.left += [error for error in self._parts.errors if "could not be removed" in error]

    def _next(self) -> bytes:
        pause, lost = 0.05, 0
        while True:
            # looked at first: whoever has ended has stored before
            ended = self._ended.is_set()
            if self._parts.refusal is not None:
                raise self._parts.refusal
            try:
                body = self._parts.take(self._number)
            except ConnectError:
                lost += 1
                if lost == TRIES:
                    raise
                body, ended = None, False
            if body is not None:
                self._hash.update(body)
                self._number, self._size = self._number + 1, self._size + len(body)
                return body
            if ended:
                if why := self._problem():
                    raise ConnectError(why)
                return b""
            time.sleep(pause)
            pause = min(1.0, pause * 1.3)

    def _problem(self) -> str:
        """Why what was read is not the whole stream as the node hashed it, "" if it is."""
        if not self._ended.is_set():
            return "the node has not said that it has ended"
        receipt = self._receipt
        if receipt is None:
            return "; ".join(map(str, self._failed)) or "the collector on the node ended without its receipt"
        if receipt.consumer != 0:
            why = str(receipt.extra.get("error", ""))[:300]
            return f"the uploader on the node ended with {receipt.consumer}: {why}"
        if (receipt.size, receipt.sha256) != (self._size, self._hash.hexdigest()):
            return f"the node sent {receipt.size} bytes of SHA-256 {receipt.sha256}, {self._size} of others were read"
        return ""

    def _run(self, command: str) -> None:
        run = self._session.run
        script = capture_script(run, command, self._parts.consumer(run), nice=0)
        try:
            with self._session.heartbeat():
                result = run_to_end(self._transport, run, script, DAYS)
            self._receipt = parse_receipt(result.err)
        except MemirError as error:
            self._failed.append(error)
        finally:
            self._ended.set()
            self._stop.set()

    def _sign(self) -> None:
        run = self._session.run
        try:
            self._parts.sign_urls(self._transport, run, self._stop, lambda _: None)
        except (RemoteError, Interrupted) as error:
            self._failed.append(error)
            # nobody signs any more: end it now, not when the uploader's patience ends
            with contextlib.suppress(RemoteError):
                self._transport.run(abort_script(run), timeout=60)
