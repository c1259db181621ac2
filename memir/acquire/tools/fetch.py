# SPDX-License-Identifier: Apache-2.0
"""Tools from where they are kept: files, folders, an S3 prefix."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from memir.errors import UsageError

MAX_FILE = 256 << 20  # AVML and a module have a few MiB; with debug symbols some tens


@contextmanager
def expand(sources: Sequence[str]) -> Iterator[list[tuple[Path, str]]]:
    """The files that the sources name, each with its origin in words; S3 objects are fetched for the block's
    time.

    A folder gives the modules (`*.ko`) below it. Raises UsageError when a source is not there or holds
    nothing.
    """
    with tempfile.TemporaryDirectory(prefix="memir-tools-") as scratch:
        files: list[tuple[Path, str]] = []
        for source in sources:
            if source.startswith("s3://"):
                files += _from_s3(source, Path(scratch))
                continue
            path = Path(source)
            if not path.exists():
                raise UsageError(f"{path} is not there")
            modules = sorted(path.rglob("*.ko")) if path.is_dir() else [path]
            if not modules:
                raise UsageError(f"{path} holds no .ko file")
            files += [(module, str(module)) for module in modules]
        yield files


def _from_s3(source: str, scratch: Path) -> list[tuple[Path, str]]:
    from memir.aws.address import S3Address
    from memir.aws.client import Connection, s3_client
    from memir.aws.errors import calling

    address = S3Address.parse(source)
    client = s3_client(Connection())
    files: list[tuple[Path, str]] = []
    with calling("s3:ListBucket and s3:GetObject", source):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=address.bucket, Prefix=address.prefix)
        for page in pages:
            for item in page.get("Contents", ()):
                name = item["Key"].rsplit("/", 1)[-1]
                if item["Size"] > MAX_FILE or not (name.endswith(".ko") or name.startswith("avml")):
                    continue
                path = scratch / f"{len(files)}-{name}"
                client.download_file(address.bucket, item["Key"], str(path))
                files.append((path, f"s3://{address.bucket}/{item['Key']}"))
    if not files:
        raise UsageError(f"{source} holds no .ko and no avml")
    return files
