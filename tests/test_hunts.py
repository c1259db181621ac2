# SPDX-License-Identifier: Apache-2.0
"""Hunts through one image and many, through the library."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import memir
from memir import hunts
from memir.errors import CaseError
from tests.images import cache, case

IMAGE = case("s-6.1-small").image
GIVEN = {"cache": cache()}


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "server.yar"
    path.write_text('rule server { strings: $a = "/app/server" condition: $a }')
    return path


def test_one_image(rule: Path, tmp_path: Path) -> None:
    result = memir.hunt_image(IMAGE, rule, tmp_path / "case", given=GIVEN, pod="web-7d4b9c6f5-abcde")
    assert (result.many, result.failed, result.whole, result.stopped) == (False, 0, True, False)
    assert result.facts.hits == len(set(result.hits["hit_id"])) > 0
    assert set(result.hits["pod_name"]) == {"web-7d4b9c6f5-abcde"}
    document = result.document()
    assert (document["hit_count"], document["ram_share"], document["run"]) == (result.facts.hits, 1.0, result.run)
    again = memir.hunt_image(IMAGE, rule, tmp_path / "case", given=GIVEN, pod="web-7d4b9c6f5-abcde")
    assert again.run == result.run
    saved = memir.Case(tmp_path / "case")
    assert saved.sql("select count(*) from hits").rows == [(len(result.hits),)]
    with pytest.raises(CaseError, match="is the case of another image"):
        memir.hunt_image(case("s-5.10-small-v1").image, rule, tmp_path / "case", given=GIVEN)


def test_many_images(rule: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.raw").write_bytes(os.urandom(1 << 21))
    came: list[tuple[int, int]] = []
    result = memir.hunt_images(
        [IMAGE, tmp_path / "broken.raw"], rule, tmp_path / "case", cache=cache(), kinds="process", workers=1,
        answered=lambda answer, count, every: came.append((count, every)),
    )  # fmt: skip
    assert came == [(1, 2), (2, 2)]
    assert (result.many, result.failed, result.whole) == (True, 1, True)
    assert {row["image"] for row in result.hits} == {str(IMAGE)}
    assert [gap.where for gap in result.gaps if gap.kind == "image"] == [str(tmp_path / "broken.raw")]
    assert len(result.document()["images"]) == 2
    assert memir.Case(tmp_path / "case").record is not None


def test_an_interruption_keeps_the_answers(rule: Path) -> None:
    def answered(answer: object, count: int, every: int) -> None:
        raise KeyboardInterrupt

    result = memir.hunt_images([IMAGE, IMAGE.parent / "absent.raw"], rule, cache=cache(), workers=1, kinds="process",
                               answered=answered)  # fmt: skip
    assert result.stopped
    assert len(result.images) == 1
    assert [gap.count for gap in result.gaps if "interrupted" in gap.why] == [1]


def test_is_many(tmp_path: Path) -> None:
    assert hunts.is_many(["a", "b"])
    assert hunts.is_many([tmp_path])
    assert hunts.is_many(["s3://bucket/prefix/"])
    assert not hunts.is_many(["s3://bucket/node.avml"])
    assert not hunts.is_many([IMAGE])
    (tmp_path / "manifest.jsonl").write_text("")
    assert not hunts.is_many([tmp_path])
