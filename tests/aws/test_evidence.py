# SPDX-License-Identifier: Apache-2.0
"""Evidence in a bucket, brought here but for its image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from memir.aws.client import Connection
from memir.aws.evidence import S3PartReader, fetched
from memir.errors import CustodyError, StorageError
from tests.acquire.rigs.s3shim import Shim


@pytest.fixture
def run(shim: Shim) -> str:
    """The address of a run's evidence."""
    client: Any = boto3.Session().client("s3")
    name = f"ev-{shim.port}"
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": shim.region})
    for key, body in {"r/manifest.jsonl": b"{}", "r/context/iomem": b"x", "r/image.lime": b"RAM"}.items():
        client.put_object(Bucket=name, Key=key, Body=body)
    return f"s3://{name}/r"


def test_the_small_files_are_brought_here(run: str) -> None:
    with fetched(run, Connection()) as folder:
        files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == {"manifest.jsonl": b"{}", "context/iomem": b"x"}
    assert not folder.exists()
    with fetched("/some/folder", Connection()) as local:
        assert local == Path("/some/folder")


def test_the_image_is_read_where_it_is(run: str) -> None:
    reader = S3PartReader(within=run)
    with reader.open(f"{run}/image.lime", "") as body:
        assert body.read(10) == b"RAM"
    assert list(reader.facts(f"{run}/image.lime", "")) == ["LastModified"]
    assert reader.facts(f"{run}/none", "") == {}
    with pytest.raises(CustodyError, match=r"the evidence is at s3://other/image\.lime, outside of .*: .* --fetch"):
        reader.facts("s3://other/image.lime", "")
    with pytest.raises(StorageError, match="no such object"), reader.open(f"{run}/none", ""):
        pass
