# SPDX-License-Identifier: Apache-2.0
"""The S3 sink for bytes that pass through the controller: parts go up in parallel from two buffers."""

from __future__ import annotations

from collections.abc import Sequence

from memir.acquire.node.http import UploadFailed
from memir.acquire.node.parts import Part as SentPart
from memir.acquire.node.parts import Uploader
from memir.acquire.sinks.base import SinkMeta
from memir.acquire.sinks.s3.base import MIB
from memir.acquire.sinks.s3.upload import S3Upload
from memir.errors import StorageError
from memir.evidence.records import Part, Stored


class S3StreamSink(S3Upload):
    """Cuts the stream into parts on the controller."""

    # two buffers of 64 MiB and the AWS client would take the controller over 200 MB
    smallest_part = 48 * MIB
    _uploader: Uploader | None = None

    def begin(self, meta: SinkMeta) -> None:
        """Create the upload and the buffers."""
        super().begin(meta)
        self._uploader = Uploader(
            self.part_size,
            lambda number, size, sha256, _: self.sign(number, size, sha256),
            buffers=self.options.buffers,
            rate=self.options.rate,
            attempts=self.options.attempts,
            backoff=self.options.backoff,
        )

    @property
    def uploader(self) -> Uploader:
        """What cuts and sends."""
        if self._uploader is None:
            raise StorageError(f"{self.where}: nothing was begun")
        return self._uploader

    @property
    def stored_bytes(self) -> int:
        """Bytes that the store has confirmed."""
        return sum(part.size for part in list(self.uploader.parts.values()))

    def write(self, data: bytes | memoryview) -> None:
        """Append; waits while both buffers are on their way. Raises StorageError."""
        try:
            self.uploader.feed(data)
        except UploadFailed as error:
            raise StorageError(f"{self.where}: {error}; what was stored stays in {self.upload_id}") from error

    def commit(self) -> Stored:
        """Send the rest, complete, compare."""
        try:
            sent = self.uploader.finish()
        except UploadFailed as error:
            return self.unfinished(self._parts(), [str(error)])
        return self.finish(convert(sent), self.uploader.size, self.uploader.sha256.hexdigest())

    def partial(self, why: str) -> Stored:
        """Keep the parts that are there."""
        if self._uploader is None:
            return self.unfinished((), [why])
        self._uploader.stop()
        return self.unfinished(self._parts(), [why])

    def _parts(self) -> tuple[Part, ...]:
        return convert([part for _, part in sorted(self.uploader.parts.items())])


def convert(sent: Sequence[SentPart]) -> tuple[Part, ...]:
    """Parts in the shape that custody records."""
    return tuple(Part(part.number, part.offset, part.size, part.sha256, part.etag) for part in sent)
