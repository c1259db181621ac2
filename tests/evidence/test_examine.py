# SPDX-License-Identifier: Apache-2.0
"""An image is read again and held against its record."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from memir.evidence.examine import Examination, examine
from memir.evidence.records import Begin, Image, Part, ToolRecord, last

OLD = Path(__file__).parent / "data" / "evidence-0.1.0"
RECORDS = [json.loads(line) for line in (OLD / "manifest.jsonl").read_bytes().splitlines()]


def record() -> Image:
    image = last(RECORDS, "image", Image)
    assert image is not None
    return image


def look(folder: Path, image: Image, *, deep: bool = True) -> Examination:
    begin, tool = last(RECORDS, "begin", Begin), last(RECORDS, "tool", ToolRecord)
    return examine(folder, image, begin, tool, None, deep=deep, report=lambda _: None)


def test_an_image_that_is_as_recorded() -> None:
    found = look(OLD, record())
    assert (found.problems, found.missing, found.read) == ([], [], True)
    assert found.checked[0] == "111,503 bytes of the image in 1 parts"
    assert found.checked[1] == "2 ranges against 2 of System RAM"
    assert found.checked[2].startswith("the image opens, Linux version 6.18")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(record(), parts=(Part(1, 5, 111503, "0" * 64),)), "is recorded at 5, not at 0"),
        (replace(record(), parts=()), "has SHA-256"),
        (replace(record(), parts=(Part(1, 0, 1 << 60, "0" * 64),)), "bytes short"),
        (replace(record(), parts=(Part(1, 0, -1, "0" * 64),)), "has SHA-256"),
        (replace(record(), parts=tuple(Part(n, 0, 0, "") for n in range(10_001))), "has 10,001 parts"),
        (replace(record(), size=7), "has 111,503 bytes, recorded are 7"),
        (replace(record(), where="receipt.json"), "is no name of an image"),
        (replace(record(), where="image.lime"), "is missing"),
    ],
)
def test_what_does_not_match(changed: Image, words: str) -> None:
    found = look(OLD, changed)
    assert any(words in what for _, what in found.problems), found.problems


def test_a_partial_image_is_not_judged(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "e")
    (tmp_path / "e" / "image.avml").rename(tmp_path / "e" / "image.avml.partial")
    found = look(tmp_path / "e", replace(record(), where="image.avml.partial", complete=False))
    assert (found.problems, found.notes) == ([], ["image.avml.partial is kept as partial; its ranges are not judged"])
    found = look(tmp_path / "e", replace(record(), where="s3://b/k", complete=False))
    assert not found.read
    assert look(tmp_path / "e", replace(record(), where="")).missing == ["no image is recorded"]
