# SPDX-License-Identifier: Apache-2.0
"""Where an evidence folder's image is: in the folder, and nowhere that its receipt leads out to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from memir.errors import CustodyError
from memir.evidence.location import address_of, image_of

OLD = Path(__file__).parent / "data" / "evidence-0.1.0"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old"


def point(folder: Path, where: str) -> None:
    receipt = json.loads((folder / "receipt.json").read_bytes())
    receipt["image"]["where"] = where
    (folder / "receipt.json").write_text(json.dumps(receipt))


def test_the_image_in_the_folder(old: Path) -> None:
    assert address_of(old) == str(old / "image.avml")
    assert image_of(old) == old / "image.avml"
    (old / "image.avml").rename(old / "image.avml.partial")
    point(old, "image.avml.partial")
    assert image_of(old) == old / "image.avml.partial"


@pytest.mark.parametrize("where", ["../key", "/etc/passwd", "context/version", "", "manifest.jsonl", "image.lime"])
def test_a_receipt_cannot_point_elsewhere(old: Path, where: str) -> None:
    point(old, where)
    with pytest.raises(CustodyError, match="has no image"):
        image_of(old)


def test_a_link_is_no_image(old: Path, tmp_path: Path) -> None:
    (old / "image.avml").rename(tmp_path / "elsewhere")
    (old / "image.avml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CustodyError, match="has no image"):
        address_of(old)


def test_someone_s_bucket_is_not_asked(old: Path) -> None:
    point(old, "s3://bucket/key/image.lime")
    with pytest.raises(CustodyError, match=r"is at s3://bucket/key/image\.lime, and a bucket that a folder names"):
        address_of(old)


def test_no_receipt(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match="is missing"):
        image_of(tmp_path)
