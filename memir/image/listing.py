"""Images in folders and below S3 prefixes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from memir.errors import UsageError

SUFFIXES = (".raw", ".lime", ".avml", ".elf", ".core", ".mem", ".vmem", ".dd", ".dmp", ".img", ".bin")
_PACKED = (".zst", ".gz")
_SMALLEST = 1 << 16  # bytes: a packed image of a node is never smaller


def looks_like_image(name: str) -> bool:
    """Whether a file's name is one that images of RAM have, packed or not."""
    low = name.lower()
    for packed in _PACKED:
        low = low.removesuffix(packed)
    return low.endswith(SUFFIXES)


def images_in(folder: Path) -> list[str]:
    """Paths of the images in a folder and below, sorted."""
    found = (one for one in folder.rglob("*") if looks_like_image(one.name) and one.is_file())
    return sorted(str(one) for one in found if one.stat().st_size >= _SMALLEST)


def images_below(address: str) -> list[str]:
    """Addresses of the images below s3://bucket/prefix, sorted; the object itself if the address is one's.

    AccessError or StorageError if the bucket cannot be listed.
    """

    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError(f"{address}: write s3://BUCKET/PREFIX")
    if looks_like_image(prefix):
        return [address]
    found = [key for key, size in _objects(address, bucket, prefix) if size >= _SMALLEST and looks_like_image(key)]
    return sorted(f"s3://{bucket}/{key}" for key in found)


def _objects(address: str, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """(key, bytes) of the objects below a prefix."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    from memir.image.s3 import explain

    try:
        for part in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for one in part.get("Contents", []):
                yield str(one.get("Key", "")), int(one.get("Size", 0))
    except (BotoCoreError, ClientError, ValueError) as error:
        raise explain(error, address, False) from error


def expand(targets: list[str]) -> list[str]:
    """Every image that files, folders and prefixes name, each once; UsageError for a folder without any."""
    return list(dict.fromkeys(one for target in targets for one in _one(target)))


def _one(target: str) -> Iterator[str]:
    if target.startswith("s3://"):
        found = images_below(target)
    elif Path(target).is_dir():
        found = images_in(Path(target))
    else:
        yield target
        return
    if not found:
        raise UsageError(f"{target}: no images there (names end in {' '.join(SUFFIXES)}, or with .zst or .gz behind)")
    yield from found
