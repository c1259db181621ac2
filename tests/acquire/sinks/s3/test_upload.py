# SPDX-License-Identifier: Apache-2.0
"""One multipart upload to a real S3 server: what is signed, what may be completed, what is compared afterwards."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from typing import Any

import pytest

from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.sinks.s3.upload import MAX_RENEWALS, Held, S3Upload
from memir.aws.address import S3Address
from memir.aws.checksum import b64, composite
from memir.aws.client import Connection
from memir.errors import StorageError
from memir.evidence.records import Part
from tests.acquire.rigs.drive import MIB, data_of, meta
from tests.acquire.rigs.s3shim import Shim

FIVE = 5 * MIB
DATA = data_of(FIVE + 99)
PIECES = (DATA[:FIVE], DATA[FIVE:])
SHA = [hashlib.sha256(piece).hexdigest() for piece in PIECES]


def make(s3: Any, bucket: str, shim: Shim, **options: Any) -> S3Upload:
    chosen: dict[str, Any] = {"part_size": FIVE, "connection": Connection(shim.region, shim.endpoint)} | options
    return S3Upload(S3Address(bucket, "case"), S3Options(**chosen), s3)


def begun(s3: Any, bucket: str, shim: Shim, **options: Any) -> S3Upload:
    upload = make(s3, bucket, shim, **options)
    upload.begin(meta(ram=2 * FIVE))
    return upload


def put(url: str, body: bytes, sha256: str) -> str:
    headers = {"x-amz-checksum-sha256": b64(sha256), "Content-Type": ""}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PUT")) as answer:
        return str(answer.headers["ETag"])


def stored(upload: S3Upload) -> list[Part]:
    """Both pieces, sent with the URLs that were signed for them."""
    parts, offset = [], 0
    for number, (piece, sha256) in enumerate(zip(PIECES, SHA, strict=True), 1):
        etag = put(upload.sign(number, len(piece), sha256), piece, sha256)
        parts.append(Part(number, offset, len(piece), sha256, etag))
        offset += len(piece)
    return parts


def test_from_begin_to_a_whole_object(s3: Any, bucket: str, shim: Shim) -> None:
    upload = begun(s3, bucket, shim, lock_mode="GOVERNANCE", lock_days=1)
    parts = stored(upload)
    held = upload.held()
    assert {number: part.size for number, part in held.items()} == {1: FIVE, 2: 99}
    assert held[1] == Held(FIVE, frozenset({parts[0].etag}))
    assert upload.lacking(parts, len(DATA)) == []
    # parts may come in any order, and with ETags that lost their quotes
    bare = [Part(part.number, part.offset, part.size, part.sha256, part.etag.strip('"')) for part in parts]
    assert upload.with_name(bare) == tuple(parts)
    done = upload.finish(parts[::-1], len(DATA), hashlib.sha256(DATA).hexdigest())
    assert (done.complete, done.missing, done.size) == (True, (), len(DATA))
    assert done.where == f"s3://{bucket}/case/ram.lime"
    assert done.receipt["ChecksumSHA256"] == composite(SHA)
    assert (done.receipt["ObjectLockMode"], done.receipt["UploadId"]) == ("GOVERNANCE", upload.upload_id)
    assert s3.get_object(Bucket=bucket, Key="case/ram.lime")["Body"].read() == DATA
    assert upload.reread(parts) == []
    wrong = [parts[0], Part(2, FIVE, 99, SHA[0], parts[1].etag)]
    assert upload.reread(wrong) == [f"part 2 at byte {FIVE} differs from what the node sent"]


def test_other_bytes_are_refused_by_the_store(s3: Any, bucket: str, shim: Shim) -> None:
    upload = begun(s3, bucket, shim)
    with pytest.raises(urllib.error.HTTPError, match=r"40[03]"):
        put(upload.sign(2, 99, SHA[1]), PIECES[1][:-1] + b"?", SHA[1])
    assert upload.held() == {}


def test_what_no_upload_can_hold_is_not_signed(s3: Any, bucket: str, shim: Shim) -> None:
    upload = begun(s3, bucket, shim)
    # ten MiB of RAM are two parts; their headers and a stream that grew may be two more
    assert "partNumber=4&" in upload.sign(4, FIVE, SHA[0])
    for number, size in ((0, 1), (5, 1), (1, 0), (1, FIVE + 1)):
        with pytest.raises(StorageError, match=f"part {number} of {size} bytes was asked for; refused"):
            upload.sign(number, size, SHA[0])


def test_wishes_are_answered_and_nothing_else_is(s3: Any, bucket: str, shim: Shim) -> None:
    upload = begun(s3, bucket, shim)
    first, second = upload.grants([
        f"1 {FIVE} {SHA[0]} 0", "hostile", f"1 5 {SHA[0]} {MAX_RENEWALS + 1}", f"W 2 99 {SHA[1]} 1",
        f"1 5 {SHA[0]} 0 x",
    ])  # fmt: skip
    assert (first.split(" ")[:2], second.split(" ")[:2]) == (["1", "0"], ["2", "1"])
    assert "partNumber=2&" in second
    assert upload.grants([f"9999 1 {SHA[0]} 0"]) == ["STOP the controller refuses this part"]
    assert upload.errors == [f"{upload.where}: part 9999 of 1 bytes was asked for; refused"]


def test_what_is_lacking_is_named_and_the_upload_kept(s3: Any, bucket: str, shim: Shim) -> None:
    upload = begun(s3, bucket, shim)
    first, second = stored(upload)
    assert upload.lacking([], None) == ["no part was stored"]
    assert upload.lacking([first], FIVE) == ["the store holds parts that the node did not report: [2]"]
    assert upload.lacking([second], None)[0] == "part 1 at byte 0 is missing"
    assert upload.lacking([first, second], 7) == [f"the parts hold {len(DATA)} bytes, the node sent 7"]
    other = Part(1, 0, FIVE - 1, SHA[0], first.etag)
    assert upload.lacking([other, Part(2, FIVE - 1, 99, SHA[1], second.etag)], None) == [
        f"part 1 has {FIVE - 1} bytes instead of {FIVE}", "the store does not hold part 1 as the node sent it",
    ]  # fmt: skip
    kept = upload.finish([first], FIVE, SHA[0])
    assert (kept.complete, kept.sha256, kept.size) == (False, "", FIVE)
    assert f"--upload-id {upload.upload_id}" in kept.resume
    again = make(s3, bucket, shim, resume=upload.upload_id)
    again.begin(meta(ram=2 * FIVE))
    assert set(again.held()) == {1, 2}
    assert again.finish([first, second], len(DATA), hashlib.sha256(DATA).hexdigest()).complete


def test_a_name_that_is_taken_is_never_overwritten(s3: Any, bucket: str, shim: Shim) -> None:
    s3.put_object(Bucket=bucket, Key="case/ram.lime", Body=b"first")
    upload = begun(s3, bucket, shim)
    done = upload.finish(stored(upload), len(DATA), hashlib.sha256(DATA).hexdigest())
    assert not done.complete
    assert done.missing[0].startswith("the upload could not be completed: ")
    assert s3.get_object(Bucket=bucket, Key="case/ram.lime")["Body"].read() == b"first"


def test_no_bucket(s3: Any, shim: Shim) -> None:
    with pytest.raises(StorageError, match="the bucket does not exist: create it before the run"):
        make(s3, "evidence-nowhere", shim).begin(meta())
