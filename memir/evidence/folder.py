# SPDX-License-Identifier: Apache-2.0
"""The evidence folder.

::

    EVIDENCE/
      image.lime | image.avml     the RAM; image.*.partial when it is not whole; not there when it is in S3
      context/                    what the node said: iomem, version, kallsyms, btf/, before/, after/ ...
      cluster/                    the Kubernetes API snapshot, with --cluster
      manifest.jsonl              what happened, hash-chained (custody.py)
      manifest.sig                Ed25519 signature over the manifest's end, with --sign-key
      receipt.json                the summary: status, image, tool, node, what was left, what is missing
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from memir.errors import CustodyError
from memir.evidence.custody import MANIFEST

RECEIPT = "receipt.json"
CONTEXT = "context"
CLUSTER = "cluster"
IMAGE = "image"
SUFFIX: Mapping[str, str] = {"lime": ".lime", "avml": ".avml"}
PARTIAL = ".partial"


def is_evidence(path: Path) -> bool:
    """Whether a path is an evidence folder."""
    return path.is_dir() and (path / MANIFEST).is_file()


def read_receipt(folder: Path) -> Mapping[str, Any]:
    """receipt.json. Raises CustodyError when it is not there or not readable."""
    path = folder / RECEIPT
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise CustodyError(f"{path} is missing: the run did not end, or this is no evidence folder") from error
    except (ValueError, RecursionError) as error:
        raise CustodyError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("image"), dict):
        raise CustodyError(f"{path} is not a receipt of memir's")
    return value


def address_of(folder: Path) -> str:
    """Where the image is: a path in the folder, or s3://... Raises CustodyError if there is none.

    A name in the receipt that points out of the folder is refused: the folder may come from anyone.
    """
    where = str(read_receipt(folder)["image"].get("where") or "")
    if where.startswith("s3://"):
        return where
    for path in _candidates(folder):
        if path.name == where and path.is_file() and not path.is_symlink():
            return str(path)
    raise CustodyError(f"{folder} has no image: the receipt names {where or 'none'!r}")


def image_of(folder: Path) -> Path:
    """The image file of an evidence folder, whole or partial.

    Raises CustodyError if it is not on this machine.
    """
    where = address_of(folder)
    if where.startswith("s3://"):
        raise CustodyError(f"the image of {folder} is at {where}: give that address, or fetch it first")
    return Path(where)


def cluster_of(folder: Path) -> Path | None:
    """The Kubernetes API snapshot's folder, if one was taken."""
    path = folder / CLUSTER
    return path if path.is_dir() else None


def inside(folder: Path, name: str) -> Path | None:
    """The path of a recorded name, None if it leads out of the folder or through a symbolic link."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or any(part in {"..", "."} for part in parts) or "\0" in name:
        return None
    path = folder
    for part in parts:
        path /= part
        if path.is_symlink():
            return None
    return path


def _candidates(folder: Path) -> list[Path]:
    names = [IMAGE + suffix for suffix in SUFFIX.values()]
    return [folder / name for name in [*names, *(name + PARTIAL for name in names)]]
