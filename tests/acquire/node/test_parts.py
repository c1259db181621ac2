# SPDX-License-Identifier: Apache-2.0
"""A stream cut into parts and stored in a real multipart upload."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest

from memir.acquire.node.http import UploadFailed
from memir.acquire.node.parts import Part, Uploader
from memir.aws.checksum import b64
from tests.acquire.rigs.drive import data_of
from tests.acquire.rigs.s3shim import Request, Shim

FIVE = 5 << 20
DATA = data_of(2 * FIVE + 777)


class Upload:
    """What hands out the URLs, as the controller does."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self.s3, self.bucket = s3, bucket
        self.id = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
        self.asked: list[tuple[int, int, int]] = []

    def grant(self, number: int, size: int, sha256: str, attempt: int) -> str:
        self.asked.append((number, size, attempt))
        params = {
            "Bucket": self.bucket, "Key": "k", "UploadId": self.id, "PartNumber": number,
            "ChecksumSHA256": b64(sha256), "ContentLength": size,
        }  # fmt: skip
        signed: str = self.s3.generate_presigned_url("upload_part", Params=params)
        return signed


def whole(parts: list[Part]) -> list[tuple[int, int, int, str]]:
    return [(part.number, part.offset, part.size, part.sha256) for part in parts]


EXPECTED = [
    (number + 1, number * FIVE, len(piece), hashlib.sha256(piece).hexdigest())
    for number, piece in enumerate((DATA[:FIVE], DATA[FIVE : 2 * FIVE], DATA[2 * FIVE :]))
]


def test_parts_are_hashed_and_stored(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    done: list[Part] = []
    uploader = Uploader(FIVE, upload.grant, done=done.append)
    for start in range(0, len(DATA), 700_001):
        uploader.feed(DATA[start : start + 700_001])
    assert whole(uploader.finish()) == EXPECTED
    assert (uploader.size, uploader.sha256.hexdigest()) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert sorted(part.number for part in done) == [1, 2, 3]
    assert sorted(upload.asked) == [(1, FIVE, 0), (2, FIVE, 0), (3, 777, 0)]


def test_a_lost_connection_is_tried_again_from_a_file(s3: Any, bucket: str, shim: Shim) -> None:
    upload, cuts = Upload(s3, bucket), [1]

    def cut(request: Request) -> int | None:
        return 1000 if request.method == "PUT" and cuts and cuts.pop() else None

    shim.cut = cut
    uploader = Uploader(FIVE, upload.grant, backoff=0.01)
    uploader.run(io.BytesIO(DATA))  # type: ignore[arg-type]  # readinto is all that is used
    assert whole(uploader.finish()) == EXPECTED
    assert (shim.cuts, uploader.retries) == (1, 1)


def test_an_upload_that_is_gone_stops_the_stream(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload.id)
    uploader = Uploader(FIVE, upload.grant, backoff=0.01, attempts=3)
    uploader.feed(DATA[:777])
    with pytest.raises(UploadFailed, match=r"part 1: .*404"):
        uploader.finish()
