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
from tests.kernel.accounts import X86, X86_RAM, put, raw

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
    broken, whole = sorted(result.images, key=lambda answer: answer.error is None)
    assert (whole.ram_share, whole.ram_account) == (1.0, "iomem_resource")
    assert (broken.ram_share, broken.identity) == (None, None)
    record = memir.Case(tmp_path / "case").record
    assert record is not None and list(record.identities) == [str(IMAGE)]
    assert record.identities[str(IMAGE)].clock_utc == "2026-11-23T22:12:42.272000000Z"


SECRET = r"rule token : secret { strings: $a = /MEMIR-HEAP-SECRET-[0-9a-f]{16}/ condition: $a }"


def test_many_images_of_which_one_is_cut_and_secrets_kept_apart(tmp_path: Path) -> None:
    folder, rules = tmp_path / "images", tmp_path / "secret.yar"
    folder.mkdir()
    rules.write_text(SECRET)
    put(folder, raw(X86)[:0xB80_0000]).rename(folder / "cut.raw")
    whole = folder / IMAGE.name
    whole.symlink_to(IMAGE)
    secret = case("s-6.1-small").raw_truth()["secret"]["heap_secret"]
    result = memir.hunt_images(folder, rules, tmp_path / "case", cache=cache(), workers=2, show_secrets=True)
    answers = {Path(answer.image).name: answer for answer in result.images}
    assert (result.failed, result.whole) == (0, False)
    assert (answers[whole.name].ram_share, answers["cut.raw"].ram_account) == (1.0, "e820_table")
    total, lost = sum(end - start for start, end in X86_RAM), X86_RAM[1][1] - 0xB80_0000
    assert (answers["cut.raw"].ram_total, answers["cut.raw"].ram_present) == (total, total - lost)
    assert {row["data"] for row in result.hits if row["image"] == str(whole)} == {secret}
    document = result.document()
    assert {image["ram_share"] for image in document["images"]} == {1.0, (total - lost) / total}

    saved = memir.Case(tmp_path / "case")
    assert secret.encode() not in (tmp_path / "case" / "tables" / "hits.parquet").read_bytes()
    rows = saved.sql(f"select kind, fingerprint, pod_name, valid from secrets where image = '{whole}'").rows
    assert [(row[1].split(":")[0], row[2], row[3]) for row in rows] == [("sha256", "miner-0", None)]
    assert saved.sql("select value from secret_values", reveal=True).rows == [(secret,)]
    assert (tmp_path / "case" / "tables" / "secret_values.parquet").stat().st_mode & 0o777 == 0o600

    again = memir.hunt_images(folder, rules, tmp_path / "case", cache=cache(), workers=2)
    assert again.run == result.run and secret not in str(list(again.hits))
    assert saved.sql("select count(*) from hits").rows == [(len(result.hits),)]
    whole.unlink()
    whole.symlink_to(case("s-5.10-small-v1").image)  # another node's image in the same place
    with pytest.raises(CaseError, match=f"is the case of another image than {whole} is now: they differ in kernel"):
        memir.hunt_images(folder, rules, tmp_path / "case", cache=cache(), workers=2)
    assert saved.sql("select count(*) from hits").rows == [(len(result.hits),)]


def test_an_interruption_keeps_the_answers(rule: Path) -> None:
    def answered(answer: object, count: int, every: int) -> None:
        raise KeyboardInterrupt

    result = memir.hunt_images([IMAGE, IMAGE.parent / "absent.raw"], rule, cache=cache(), workers=1, kinds="process",
                               answered=answered)  # fmt: skip
    assert result.stopped
    came, never = result.images  # whichever came first
    assert "interrupted" not in (came.error or "")
    assert (never.error, never.image != came.image) == ("interrupted by the user before it was hunted through", True)
    assert [gap.count for gap in result.gaps if "interrupted" in gap.why] == [1]


def test_is_many(tmp_path: Path) -> None:
    assert hunts.is_many(["a", "b"])
    assert hunts.is_many([tmp_path])
    assert hunts.is_many(["s3://bucket/prefix/"])
    assert not hunts.is_many(["s3://bucket/node.avml"])
    assert not hunts.is_many([IMAGE])
    (tmp_path / "manifest.jsonl").write_text("")
    assert not hunts.is_many([tmp_path])
