# SPDX-License-Identifier: Apache-2.0
"""Where an evidence folder's image is."""

from __future__ import annotations

import stat
from pathlib import Path

from memir.errors import CustodyError
from memir.evidence.folder import IMAGE, PARTIAL, SUFFIX
from memir.evidence.receipt import read_receipt


def address_of(folder: Path) -> str:
    """Where the image is: a path in the folder. Raises CustodyError if there is none.

    A name in the receipt that points out of the folder is refused: the folder may come from anyone. So is an image in
    S3: what is asked there is asked with the reader's credentials, at a bucket that the folder's maker chose.
    """
    where = read_receipt(folder).image.where
    if where.startswith("s3://"):
        raise CustodyError(
            f"the image of {folder} is at {where}, and a bucket that a folder names is not asked with your credentials "
            "unless you name it: give that address itself"
        )
    for path in _candidates(folder):
        if path.name == where and _is_file(path):
            return str(path)
    raise CustodyError(f"{folder} has no image: the receipt names {where or 'none'!r}")


def image_of(folder: Path) -> Path:
    """The image file of an evidence folder, whole or partial. Raises CustodyError if it is not on this machine."""
    return Path(address_of(folder))


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _candidates(folder: Path) -> list[Path]:
    names = [IMAGE + suffix for suffix in SUFFIX.values()]
    return [folder / name for name in [*names, *(name + PARTIAL for name in names)]]
