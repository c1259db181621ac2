# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from memir.aws import image as s3
from memir.aws.image import expand, images_below, open_image
from memir.errors import AccessError, ChangedImageError, ImageFormatError, RemoteError, StorageError, UsageError
from memir.image import remote
from tests.acquire.rigs.s3shim import Request
from tests.image.files import THREE, avml, elf, gz, lime, noise, put, seekable, u64, zstd

if TYPE_CHECKING:
    from tests.acquire.rigs.s3shim import Shim

Store = Callable[[bytes], str]
RAW = noise(21 << 20)
MIB = 1 << 20


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ranges and short pauses: the same code, sooner."""
    monkeypatch.setattr(remote, "CHUNK", MIB)
    monkeypatch.setattr(s3, "FIRST_PAUSE", 0.01)


def gets(shim: Shim) -> int:
    return sum(method == "GET" for method, *_ in shim.seen)


@pytest.mark.parametrize(
    "data",
    [
        lime(THREE),
        avml(THREE),
        elf(THREE),
        seekable(lime(THREE), 64 << 10),
        zstd(lime(THREE)),
        gz(avml(THREE)),
    ],
    ids=["lime", "avml", "elf", "seekable", "zstd", "gzip"],
)
def test_every_format(data: bytes, store: Store, tmp_path: Path) -> None:
    address = store(data)
    with (
        open_image(address, cache=tmp_path) as memory,
        open_image(put(tmp_path, data), cache=tmp_path) as local,
    ):
        assert (memory.path, memory.file_size) == (address, len(data))
        assert (memory.format, memory.container, memory.ranges) == (
            local.format,
            local.container,
            local.ranges,
        )
        assert memory.sha256() == local.sha256()
        for pa, part in THREE:
            assert memory.read(pa, len(part)) == part


def test_only_what_is_touched_is_fetched(store: Store, shim: Shim, tmp_path: Path) -> None:
    address = store(RAW)
    with open_image(address, cache=tmp_path) as memory:
        assert gets(shim) == 1
        values, ok = memory.gather_as(u64(5 * MIB, 9 * MIB - 4, 30 * MIB), "<u8")
        assert ok.tolist() == [True, True, False]
        assert values[1:2].tobytes() == RAW[9 * MIB - 4 :][:8]
        assert gets(shim) == 1 + 3
        assert list(tmp_path.iterdir()) == []


def test_seekable_zstd_is_fetched_by_its_frames(store: Store, shim: Shim, tmp_path: Path) -> None:
    address = store(seekable(RAW, MIB))
    with open_image(address, cache=tmp_path) as memory:
        opening = gets(shim)
        assert opening <= 3  # the head, the table at the end
        assert memory.read(10 * MIB, 16) == RAW[10 * MIB :][:16]
        assert gets(shim) <= opening + 2


def test_a_scan_reads_ahead_and_everything_once(store: Store, shim: Shim, tmp_path: Path) -> None:
    address = store(RAW)
    with open_image(address, cache=tmp_path) as memory:
        assert b"".join(view.tobytes() for _, view in memory.views(MIB)) == RAW
        assert gets(shim) == 21
        assert memory.read(0, len(RAW)) == RAW
        assert gets(shim) == 21


def test_an_object_that_is_replaced(store: Store, tmp_path: Path) -> None:
    address = store(RAW)
    with open_image(address, cache=tmp_path) as memory:
        first = memory.identity()
        store(RAW[::-1])
        assert memory.read(0, 16) == RAW[:16]  # fetched before
        with pytest.raises(ChangedImageError, match=f"{address} was replaced or deleted while it was read"):
            memory.read(5 * MIB, 16)
    with open_image(address, cache=tmp_path) as memory:
        assert memory.identity() != first
        assert memory.read(5 * MIB, 16) == RAW[::-1][5 * MIB :][:16]


def test_an_object_that_is_deleted(store: Store, tmp_path: Path) -> None:
    address = store(RAW)
    bucket, key = address.removeprefix("s3://").split("/", 1)
    with open_image(address, cache=tmp_path) as memory:
        boto3.Session().client("s3").delete_object(Bucket=bucket, Key=key)
        with pytest.raises(ChangedImageError, match="replaced or deleted"):
            memory.read(5 * MIB, 16)


def test_connections_that_are_lost_are_made_again(store: Store, shim: Shim, tmp_path: Path) -> None:
    address = store(RAW)
    left = [8]

    def cut(request: Request) -> int | None:
        if request.method == "GET" and left[0] > 0:
            left[0] -= 1
            return -(300_000 if left[0] % 2 else 0) - 1
        return None

    with open_image(address, cache=tmp_path) as memory:
        shim.cut = cut
        assert memory.read(0, len(RAW)) == RAW
    assert left == [0]


def test_a_connection_that_stays_lost(store: Store, shim: Shim, tmp_path: Path) -> None:
    address = store(RAW)
    with open_image(address, cache=tmp_path) as memory:
        shim.cut = lambda request: -1
        with pytest.raises(StorageError, match=f"{address}: the connection failed 5 times"):
            memory.read(5 * MIB, 16)
        shim.cut = None
        assert memory.read(5 * MIB, 16) == RAW[5 * MIB :][:16]


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, store: Store, tmp_path: Path) -> None:
    address = store(RAW)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="the connection failed 5 times: Could not connect"):
        open_image(address, cache=tmp_path)


def test_what_is_not_there(store: Store, tmp_path: Path) -> None:
    address = store(RAW)
    with pytest.raises(StorageError, match=f"{address}x: there is no such object in the bucket"):
        open_image(address + "x", cache=tmp_path)
    with pytest.raises(StorageError, match="s3://no-such-bucket-1/x: there is no such bucket"):
        open_image("s3://no-such-bucket-1/x", cache=tmp_path)
    with pytest.raises(ImageFormatError, match=f"{address} is empty"):
        open_image(store(b""), cache=tmp_path)


def test_who_may_not(store: Store, shim: Shim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    address = store(RAW)
    shim.deny.add("s3:GetObject")
    with pytest.raises(AccessError, match=f"s3:GetObject is denied on {address}: allow it .*AccessDenied"):
        open_image(address, cache=tmp_path)
    shim.deny.clear()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(AccessError, match="SignatureDoesNotMatch"):
        open_image(address, cache=tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOTKNOWN")
    with pytest.raises(AccessError, match=r"no longer valid .InvalidAccessKeyId"):
        open_image(address, cache=tmp_path)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(AccessError, match=r"no AWS credentials .*sign in, or set AWS_PROFILE"):
        open_image(address, cache=tmp_path)
    monkeypatch.setenv("AWS_PROFILE", "unknown-profile")
    with pytest.raises(AccessError, match="unknown-profile"):
        open_image(address, cache=tmp_path)


def test_a_bucket_of_another_region_is_followed_there(
    store: Store, shim: Shim, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = store(RAW)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    with open_image(address, cache=tmp_path) as memory:
        assert memory.read(5 * MIB, 16) == RAW[5 * MIB :][:16]


@pytest.mark.parametrize(
    ("code", "status", "kind", "words"),
    [
        ("InvalidObjectState", 403, StorageError, "is archived .the storage class.: restore it first"),
        ("ExpiredToken", 400, AccessError, "no longer valid .ExpiredToken.: sign in again"),
        ("SlowDown", 503, StorageError, "s3:GetObject failed with SlowDown: the storage class"),
        ("412", 412, ChangedImageError, "was replaced or deleted"),
        ("PermanentRedirect", 301, StorageError, "is in region eu-north-1: pass --region eu-north-1"),
        ("", 500, StorageError, "s3:GetObject failed with 500"),
    ],
)
def test_answers_in_words(code: str, status: int, kind: type[RemoteError], words: str) -> None:
    from botocore.exceptions import ClientError

    answer = {
        "Error": {"Code": code, "Message": "the storage class"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"x-amz-bucket-region": "eu-north-1"}},
    }
    found = s3.read_error(ClientError(answer, "GetObject"), "s3://b/k", opened=False)  # type: ignore[arg-type]  # a plain dict will do
    assert type(found) is kind
    with pytest.raises(kind, match=words):
        raise found


def test_busy_services_are_asked_again(store: Store, shim: Shim, tmp_path: Path) -> None:
    begin = time.monotonic()
    address = store(RAW)
    shim.cut = lambda request: -1
    with pytest.raises(StorageError):
        open_image(address, cache=tmp_path)
    assert shim.cuts == 5
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    "address", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key", "s3://bucket/folder/", "s3://b/c"]
)
def test_addresses_of_no_object(address: str) -> None:
    with pytest.raises(UsageError, match="s3://BUCKET/KEY"):
        open_image(address)


def test_images_below_a_prefix(store: Store) -> None:
    address = store(RAW)
    bucket, key = address.removeprefix("s3://").split("/", 1)
    folder = key.rpartition("/")[0]
    client = boto3.Session().client("s3")
    for name, size in {"b/node.lime": 1 << 16, "a.avml.zst": 1 << 16, "notes.txt": 1 << 16, "small.lime": 10}.items():
        client.put_object(Bucket=bucket, Key=f"{folder}/{name}", Body=bytes(size))
    prefix = f"s3://{bucket}/{folder}"
    assert images_below(prefix) == [f"{prefix}/a.avml.zst", f"{prefix}/b/node.lime"]
    assert images_below(f"{prefix}/b/node.lime") == [f"{prefix}/b/node.lime"]
    assert expand([prefix, f"{prefix}/b/node.lime", "local.raw"]) == [
        f"{prefix}/a.avml.zst", f"{prefix}/b/node.lime", "local.raw",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="no images there"):
        expand([f"{prefix}/notes"])
    with pytest.raises(UsageError, match="too short"):
        images_below("s3://b/x")
