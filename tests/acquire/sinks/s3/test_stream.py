# SPDX-License-Identifier: Apache-2.0
"""Bytes through the controller into parts, and the preflight of the bucket."""

from __future__ import annotations

from typing import Any

import pytest

from memir.acquire.node.parts import Part as SentPart
from memir.acquire.sinks.s3.base import MAX_PARTS, MIB, part_size
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.sinks.s3.stream import S3StreamSink, convert
from memir.aws.address import S3Address
from memir.aws.checksum import composite
from memir.aws.client import Connection, s3_client
from memir.errors import AccessError, ConnectError, StorageError, UsageError
from tests.acquire.rigs.drive import data_of, digest, meta
from tests.acquire.rigs.s3shim import Request, Shim

FIVE = 5 * MIB


def make(s3: Any, bucket: str, shim: Shim, **options: Any) -> S3StreamSink:
    chosen: dict[str, Any] = {"part_size": FIVE, "backoff": 0.05, "connection": Connection(shim.region, shim.endpoint)}
    chosen |= options
    return S3StreamSink(S3Address(bucket, "case"), S3Options(**chosen), s3)


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [("s3://abc", "abc", ""), ("s3://a-b.c/x/y/", "a-b.c", "x/y"), ("s3://abc//x", "abc", "x")],
)
def test_addresses(text: str, bucket: str, prefix: str) -> None:
    assert S3Address.parse(text) == S3Address(bucket, prefix)


@pytest.mark.parametrize("text", ["abc", "s3://", "s3://A/b", "http://abc/x", "s3://abc/\n", "s3://a"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        S3Address.parse(text)


def test_part_sizes() -> None:
    assert part_size(1 << 30) == 64 * MIB
    assert part_size(512 << 30) == 64 * MIB
    for ram in (1 << 40, 24 << 40, 32 << 40):
        size = part_size(ram)
        assert size % MIB == 0
        assert -(-ram // size) <= MAX_PARTS
        assert size <= 5 << 30


def test_whole_way(s3: Any, bucket: str, shim: Shim) -> None:
    source = data_of(3 * FIVE + 11)
    sink = make(s3, bucket, shim, lock_mode="COMPLIANCE", lock_days=1)
    sink.begin(meta())
    for start in range(0, len(source), 777_777):
        sink.write(source[start : start + 777_777])
    stored = sink.commit()
    assert stored.missing == ()
    assert stored.complete
    assert stored.sha256 == digest(source)
    assert stored.receipt["ChecksumSHA256"] == composite([part.sha256 for part in stored.parts])
    assert stored.receipt["ObjectLockMode"] == "COMPLIANCE"
    version = str(stored.receipt["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="case/ram.lime")["Body"].read() == source
    with pytest.raises(Exception, match=r"AccessDenied|WORM|retention|lock"):
        s3.delete_object(Bucket=bucket, Key="case/ram.lime", VersionId=version)
    again = make(s3, bucket, shim)
    again.begin(meta())
    again.write(b"other")
    assert "exists already and evidence is never overwritten" in again.commit().missing[0]
    assert s3.get_object(Bucket=bucket, Key="case/ram.lime")["Body"].read() == source


def test_records_are_never_overwritten_and_versions_where_a_run_goes_on(s3: Any, bucket: str, shim: Shim) -> None:
    first = make(s3, bucket, shim).record("manifest.jsonl", b"one\n")
    with pytest.raises(StorageError, match="exists already and evidence is never overwritten"):
        make(s3, bucket, shim).record("manifest.jsonl", b"other\n")
    second = make(s3, bucket, shim, resume="u").record("manifest.jsonl", b"one\ntwo\n")
    assert first["VersionId"] != second["VersionId"]
    old = s3.get_object(Bucket=bucket, Key="case/manifest.jsonl", VersionId=first["VersionId"])
    assert old["Body"].read() == b"one\n"


def test_partial_is_kept_and_resumed(s3: Any, bucket: str, shim: Shim) -> None:
    sink = make(s3, bucket, shim)
    sink.begin(meta())
    sink.write(data_of(FIVE * 2 + 5))
    stored = sink.partial("the connection was lost")
    assert not stored.complete
    assert stored.missing == ("the connection was lost",)
    assert [part.size for part in stored.parts] == [FIVE, FIVE]
    again = make(s3, bucket, shim, resume=sink.upload_id)
    again.begin(meta())
    assert {number: part.size for number, part in again.held().items()} == {1: FIVE, 2: FIVE}
    with pytest.raises(StorageError, match="NoSuchUpload"):
        make(s3, bucket, shim, resume="gone").begin(meta())


def test_two_runs_of_one_name(s3: Any, bucket: str, shim: Shim) -> None:
    """The second Complete is refused, nothing is overwritten."""
    first, second = make(s3, bucket, shim), make(s3, bucket, shim)
    for sink in (first, second):
        sink.begin(meta())
    first.write(b"first")
    second.write(b"second")
    assert first.commit().complete
    lost = second.commit()
    assert not lost.complete
    assert "exists already" in lost.missing[0]
    assert s3.get_object(Bucket=bucket, Key="case/ram.lime")["Body"].read() == b"first"


def test_answer_to_complete_is_lost(s3: Any, bucket: str, shim: Shim) -> None:
    sink = make(s3, bucket, shim)
    sink.begin(meta())
    sink.write(b"some bytes")
    asked: list[Request] = []

    def cut(request: Request) -> int | None:
        if request.method == "POST" and "uploadId" in request.query and not asked:
            asked.append(request)
            return -1
        return None

    shim.cut = cut
    stored = sink.commit()
    assert asked
    assert stored.complete
    assert stored.size == 10


def test_store_that_dies_stops_the_stream(s3: Any, bucket: str, shim: Shim) -> None:
    sink = make(s3, bucket, shim, attempts=2)
    sink.begin(meta())
    shim.stop()
    with pytest.raises(StorageError, match="gave up after 2 attempts"):
        for _ in range(40):
            sink.write(bytes(MIB))
    assert not sink.partial("the store died").complete


def test_bucket_in_another_region(s3: Any, bucket: str, shim: Shim) -> None:
    shim.region = "us-east-2"
    sink = make(s3, bucket, shim, connection=Connection("eu-west-1", shim.endpoint))
    with pytest.raises(StorageError, match=r"is in region us-east-2, not eu-west-1: pass --region us-east-2"):
        sink.begin(meta())
    check = sink.check()[0]
    assert (check.name, check.level, check.advice) == ("bucket region", "fail", "pass --region us-east-2")


def test_no_such_bucket(s3: Any, shim: Shim) -> None:
    sink = make(s3, "no-such-bucket-here", shim)
    assert [(check.name, check.level) for check in sink.check()] == [("bucket", "fail")]
    with pytest.raises(StorageError, match=r"bucket does not exist|NoSuchBucket"):
        sink.begin(meta())


def test_nothing_is_tried_on_what_does_not_exist(s3: Any, bucket: str, shim: Shim) -> None:
    """A role that may only write is enough, and CloudTrail sees no request that a run would not make."""
    shim.deny = {"s3:ListBucket", "s3:GetObject", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"}
    shim.seen.clear()
    sink = make(s3, bucket, shim)
    assert [check.name for check in sink.check() if check.level == "fail"] == []
    assert [method for method, *_ in shim.seen] == ["HEAD", "GET"]  # the bucket, and its Object Lock
    shim.seen.clear()
    sink.begin(meta())
    assert [method for method, *_ in shim.seen] == ["HEAD", "POST"]  # the bucket's region, and the upload
    assert sink.upload_id


def test_denied_create_names_the_action(s3: Any, bucket: str, shim: Shim) -> None:
    shim.deny = {"s3:PutObject"}
    with pytest.raises(AccessError, match=r"^s3:PutObject is denied on s3://"):
        make(s3, bucket, shim).begin(meta())


def test_wrong_secret_key(bucket: str, shim: Shim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    client = s3_client(Connection(shim.region, shim.endpoint))
    with pytest.raises(AccessError, match=r"SignatureDoesNotMatch|403"):
        make(client, bucket, shim).begin(meta())


def test_no_store_at_all(s3: Any, bucket: str, shim: Shim) -> None:
    shim.stop()
    with pytest.raises(ConnectError, match="did not get through"):
        make(s3, bucket, shim).begin(meta())


def test_what_the_shim_refuses_as_s3_does(s3: Any, bucket: str, shim: Shim) -> None:
    import http.client
    from urllib.parse import urlsplit

    url = urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "x"}))

    def put(headers: dict[str, str], body: bytes = b"abc") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(url.netloc, timeout=10)
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(body)
        answer = connection.getresponse()
        return answer.status, answer.read()

    assert put({"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n0\r\n\r\n")[0] == 501
    assert put({}, b"")[0] == 411
    status, text = put({"Content-Length": "3", "x-amz-checksum-sha256": "AAAA"})
    assert status == 403
    assert b"<HeadersNotSigned>x-amz-checksum-sha256</HeadersNotSigned>" in text
    assert put({"Content-Length": "3", "Content-MD5": "AAAA"})[0] == 403
    assert put({"Content-Length": "3"})[0] == 200


def test_parts_as_custody_records_them() -> None:
    (part,) = convert([SentPart(1, 0, 5, "ab" * 32, '"etag"')])
    assert (part.number, part.offset, part.size, part.sha256, part.etag) == (1, 0, 5, "ab" * 32, '"etag"')
