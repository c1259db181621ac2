# SPDX-License-Identifier: Apache-2.0
"""The framing of CRIU's images, on the sample's and on broken ones."""

from __future__ import annotations

import struct

import pytest

from memir.checkpoint import images
from memir.checkpoint.images import MAGIC, entries
from memir.errors import ImageFormatError
from tests.checkpoint.sample import image, members, message

PSTREE = MAGIC["pstree"]


def test_the_tree_of_the_sample() -> None:
    rows, why = entries(members()["checkpoint/pstree.img"], "pstree", "pstree.img")
    assert why is None
    assert [(row["pid"], row["ppid"]) for row in rows] == [
        (1, 0), (6, 1), (7, 1), (15, 7), (8, 1), (11, 8), (12, 1), (13, 1),
    ]  # fmt: skip


def test_inventory_has_one_magic() -> None:
    rows, why = entries(members()["checkpoint/inventory.img"], "inventory", "inventory.img")
    assert (rows[0]["img_version"], rows[0]["fdinfo_per_id"], why) == (2, True, None)


def test_a_page_map_begins_with_its_head() -> None:
    rows, why = entries(members()["checkpoint/pagemap-1.img"], "pagemap", "pagemap-1.img")
    assert why is None
    assert rows[0] == {"pages_id": 1}
    assert all(row["vaddr"] % 4096 == 0 for row in rows[1:])
    assert sum(row.get("nr_pages") or row["compat_nr_pages"] for row in rows[1:]) * 4096 == len(
        members()["checkpoint/pages-1.img"]
    )


def test_version_1_and_service_images() -> None:
    row = message((1, 5), (2, 1))
    assert entries(image(PSTREE, row, common=None), "pstree", "x")[0] == [{"pid": 5, "ppid": 1}]
    assert entries(image(PSTREE, row, common=images.SERVICE), "pstree", "x")[0] == [{"pid": 5, "ppid": 1}]


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (b"\1", "ends within an entry's size"),
        (struct.pack("<I", 9) + b"\x08\x01", "ends within an entry"),
        (struct.pack("<I", 0xFFFFFFFF), "ends within an entry"),
        (struct.pack("<I", 1) + b"\x08", "a number at offset 0x1 does not end"),
    ],
)
def test_what_is_broken_gives_what_was_before(tail: bytes, why: str) -> None:
    rows, told = entries(image(PSTREE, message((1, 5))) + tail, "pstree", "x")
    assert rows == [{"pid": 5}]
    assert told == why


def test_no_more_entries_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST", 2)
    assert entries(image(PSTREE, b"", b"", b""), "pstree", "x") == ([{}, {}], "more than 2 entries")


@pytest.mark.parametrize("data", [b"", b"\x19\x43\x56\x54", b"ELF\x7f" + bytes(40), members()["checkpoint/mm-1.img"]])
def test_another_kind_of_image(data: bytes) -> None:
    with pytest.raises(
        ImageFormatError, match=r"x.img: its magic is 0x[0-9a-f]{8} where an image of CRIU's of kind pstree"
    ):
        entries(data, "pstree", "x.img")
