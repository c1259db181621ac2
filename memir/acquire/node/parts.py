# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: UP006, UP007, UP035, UP045  (nodes may have Python 3.6)
"""Cuts a stream into hashed parts and stores them in parallel from bounded memory.

Each part is stored with a URL that is signed for its SHA-256, so that the store refuses any other bytes. Runs
on nodes (Python 3.6 on, standard library only) and on the controller.
"""

import base64
import hashlib
import http.client
import io
import queue
import random
import threading
import time
from typing import Callable, Dict, List, Optional, Tuple, Union

from memir.acquire.node.http import Connection, Pace, Refused, UploadFailed

CHUNK = 1 << 20
RENEW = ("ExpiredToken", "AccessDenied", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "InvalidToken")
FATAL = ("NoSuchUpload", "NoSuchBucket", "EntityTooLarge", "InvalidPart")

Grant = Callable[[int, int, str, int], str]
"""(number, size, SHA-256 hex, attempt) -> presigned URL. Blocks; raises UploadFailed."""


class Part:
    """One part as it was stored."""

    def __init__(self, number: int, offset: int, size: int, sha256: str, etag: str) -> None:
        self.number = number
        self.offset = offset
        self.size = size
        self.sha256 = sha256
        self.etag = etag


class Uploader:
    """Cuts a stream into parts and stores them in parallel: `feed` or `run`, then `finish`."""

    def __init__(
        self,
        part_size: int,
        grant: Grant,
        *,
        buffers: int = 2,
        rate: float = 0.0,
        attempts: int = 12,
        timeout: float = 60.0,
        done: Optional[Callable[[Part], None]] = None,
        backoff: float = 0.5,
    ) -> None:
        self.part_size = part_size
        self.parts: Dict[int, Part] = {}
        self.retries = 0
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.error: Optional[UploadFailed] = None
        self._grant = grant
        self._attempts = attempts
        self._backoff = backoff
        self._done = done
        self._pace = Pace(rate)
        self._timeout = timeout
        self._lock = threading.Lock()
        # each buffer is made when it is first needed: a small stream costs little memory
        self._free: queue.Queue[Optional[bytearray]] = queue.Queue()
        self._full: queue.Queue[Optional[Tuple[int, int, bytearray, int, str]]] = queue.Queue()
        for _ in range(buffers):
            self._free.put(None)
        self._buffer: Optional[bytearray] = None
        self._fill = 0
        self._hash = hashlib.sha256()
        self._number = 1
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(buffers)]
        for worker in self._workers:
            worker.start()

    def room(self) -> memoryview:
        """Where the next bytes go; waits for a free buffer (back pressure). Raises UploadFailed."""
        while self._buffer is None:
            if self.error is not None:
                raise self.error
            try:
                free = self._free.get(timeout=0.2)
            except queue.Empty:
                continue
            self._buffer = bytearray(self.part_size) if free is None else free
        return memoryview(self._buffer)[self._fill : self._fill + CHUNK]

    def filled(self, count: int) -> None:
        """`count` bytes were put where `room` said."""
        assert self._buffer is not None
        with memoryview(self._buffer) as view:
            piece = view[self._fill : self._fill + count]
            self._hash.update(piece)
            self.sha256.update(piece)
            piece.release()
        self._fill += count
        self.size += count
        if self._fill == self.part_size:
            self._send()

    def feed(self, data: Union[bytes, bytearray, memoryview]) -> None:
        """Append bytes. Raises UploadFailed once any part has failed for good."""
        view = memoryview(data)
        while view:
            room = self.room()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            room.release()
            self.filled(count)
            view = view[count:]
        if self.error is not None:
            raise self.error

    def run(self, source: io.RawIOBase) -> None:
        """Read an unbuffered stream to its end."""
        while True:
            room = self.room()
            count = source.readinto(room)
            room.release()
            if not count:
                return
            self.filled(count)
            if self.error is not None:
                raise self.error

    def _send(self) -> None:
        assert self._buffer is not None
        offset = self.size - self._fill
        self._full.put((self._number, offset, self._buffer, self._fill, self._hash.hexdigest()))
        self._buffer, self._fill, self._hash = None, 0, hashlib.sha256()
        self._number += 1

    def finish(self) -> List[Part]:
        """Send the last, shorter part, wait for all. Raises UploadFailed."""
        if self._fill:
            self._send()
        self.stop()
        if self.error is not None:
            raise self.error
        return [self.parts[number] for number in sorted(self.parts)]

    def stop(self) -> None:
        """No more parts; wait for those under way."""
        for _ in self._workers:
            self._full.put(None)
        for worker in self._workers:
            worker.join()
        self._workers = []

    def _work(self) -> None:
        connection = Connection(self._timeout, self._pace)
        while True:
            job = self._full.get()
            if job is None:
                connection.close()
                return
            number, offset, buffer, size, digest = job
            try:
                if self.error is None:
                    with memoryview(buffer) as whole, whole[:size] as body:
                        etag = self._store(connection, number, body, digest)
                    part = Part(number, offset, size, digest, etag)
                    with self._lock:
                        self.parts[number] = part
                        if self._done is not None:
                            self._done(part)
            except UploadFailed as error:
                self.error = self.error or error
            finally:
                self._free.put(buffer)

    def _store(self, connection: Connection, number: int, body: memoryview, digest: str) -> str:
        checksum = base64.b64encode(bytes.fromhex(digest)).decode()
        url, renewals, last = "", 0, "no attempt was made"
        for attempt in range(self._attempts):
            if self.error is not None:
                raise self.error
            if attempt:
                with self._lock:
                    self.retries += 1
                pause = min(30.0, self._backoff * 2 ** (attempt - 1))
                time.sleep(pause * (0.5 + random.random() / 2))
            if not url:
                url = self._grant(number, len(body), digest, renewals)
                renewals += 1
            try:
                headers, _ = connection.request("PUT", url, body, {"x-amz-checksum-sha256": checksum})
            except Refused as error:
                last = str(error)
                if error.code in FATAL:
                    raise UploadFailed(f"part {number}: {last}") from error
                if error.status == 403 or error.code in RENEW:
                    url = ""
                continue
            except (OSError, http.client.HTTPException) as error:
                last = f"{type(error).__name__}: {error}"
                continue
            stored = headers.get("x-amz-checksum-sha256")
            if stored is not None and stored != checksum:
                last = "the store answered with another SHA-256"
                continue
            etag = headers.get("etag", "")
            if etag:
                return etag
            last = "the store answered without an ETag"
        raise UploadFailed(f"part {number}: gave up after {self._attempts} attempts; last: {last}")
