# SPDX-License-Identifier: Apache-2.0
"""The memory of a checkpoint, held against what /proc said of the same processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memir.checkpoint.archive import Archive
from memir.checkpoint.images import MAGIC
from memir.checkpoint.pages import PAGE, Pages
from memir.gaps import Gaps
from tests.checkpoint.sample import archive, image, members, message, of_pid, pack


def pages(path: Path | None = None) -> Pages:
    return Pages(Archive(path or archive(), Gaps()))


def changed(tmp_path: Path, **files: bytes) -> Pages:
    more = {f"checkpoint/{name.replace('_', '-')}.img": data for name, data in files.items()}
    return pages(pack(tmp_path / "a.tar", {**members(), **more}))


def test_strings_of_a_stack() -> None:
    of_all = pages()
    where = of_all.map_of(13)
    assert where is not None
    stack = next(line for line in of_pid(13)["maps"] if line.endswith("[stack]"))
    end = int(stack.split()[0].split("-")[1], 16)
    top = of_all.read(where, end - PAGE, PAGE)
    assert top is not None
    assert b"nc\x00127.0.0.1\x008443\x00" in top
    assert of_all.read(where, end, 1) is None
    assert of_all.read(where, 0x1000, 1) is None
    assert of_all.read(where, end - 8, 16) is None
    assert where.pages * PAGE == len(members()[f"checkpoint/pages-{8}.img"])


def test_gather_is_by_page_frames() -> None:
    of_all = pages()
    assert of_all.frames == sum(len(data) for name, data in members().items() if "/pages-" in name) // PAGE
    address = np.array([0, (of_all.frames - 1) * PAGE, of_all.frames * PAGE, ((1 << 52) - 1) << 12], np.uint64)
    rows, ok = of_all.gather(address, PAGE)
    assert ok.tolist() == [True, True, False, False]
    assert rows[0].tobytes() == members()["checkpoint/pages-1.img"][:PAGE]
    assert rows[1].tobytes() == members()["checkpoint/pages-8.img"][-PAGE:]
    assert not rows[2:].any()
    buffer = np.full((9, PAGE), 7, np.uint8)
    again, _ = of_all.gather(address, PAGE, buffer)
    assert again.base is buffer or again is buffer
    assert (again == rows).all()


def test_what_a_case_asks() -> None:
    of_all = pages()
    assert of_all.path == archive()
    assert len(of_all.sha256()) == 64
    of_all.check_unchanged()
    of_all.close()


ENTRY = MAGIC["pagemap"]
HEAD = message((1, 1))


@pytest.mark.parametrize(
    ("entries", "kept", "absent", "why"),
    [
        ([message((1, 0x1000), (2, 2), (4, 4))], [(0x1000, 2, 0)], 0, None),
        ([message((1, 0x1000), (5, 2), (4, 4)), message((1, 0x9000), (5, 1), (4, 4))],
         [(0x1000, 2, 0), (0x9000, 1, 2)], 0, None),
        ([message((1, 0x1000), (2, 2))], [(0x1000, 2, 0)], 0, None),  # CRIU before 2.3 wrote no flags
        ([message((1, 0x1000), (2, 2), (3, 1))], [], 2, "in a checkpoint before this one, or never dumped"),
        ([message((1, 0x1000), (2, 2), (4, 1))], [], 2, "in a checkpoint before this one, or never dumped"),
        ([message((1, 0x1000), (2, 999), (4, 4))], None, None, "cut: pages are missing"),
        ([message((1, 0x1001), (2, 1), (4, 4))], [], 0, "page map: entries overlap or make no sense"),
        ([message((1, 0x1000), (2, 0), (4, 4))], [], 0, "page map: entries overlap or make no sense"),
        ([message((1, 0x1000), (5, 1 << 60), (4, 4))], [], 0, "page map: entries overlap or make no sense"),
        ([message((1, 0x3000), (2, 1), (4, 4)), message((1, 0x1000), (2, 1), (4, 4))], [(0x3000, 1, 0)], 0,
         "page map: entries overlap or make no sense"),
        ([b"\x08"], [], 0, "page map: a number at offset 0x1 does not end"),
    ],
)  # fmt: skip
def test_page_maps(
    tmp_path: Path, entries: list[bytes], kept: list[tuple[int, int, int]] | None, absent: int | None, why: str | None
) -> None:
    of_all = changed(tmp_path, pagemap_1=image(ENTRY, HEAD, *entries))
    where = of_all.map_of(1)
    gaps = of_all._archive.gaps
    assert where is not None
    if kept is None:  # as many as there are
        kept = [(0x1000, len(members()["checkpoint/pages-1.img"]) // PAGE, 0)]
        absent = 999 - kept[0][1]
    assert list(zip(where.start.tolist(), where.count.tolist(), where.frame.tolist(), strict=True)) == kept
    assert of_all.absent == absent
    assert [gap.why for gap in gaps] == ([why] if why else [])


def test_no_page_map_and_one_of_another_kind(tmp_path: Path) -> None:
    of_all = changed(tmp_path, pagemap_1=members()["checkpoint/mm-1.img"])
    assert of_all.map_of(1) is None
    assert of_all.map_of(4711) is None
    whys = sorted(gap.why for gap in of_all._archive.gaps)
    assert whys[0] == "not in the archive"
    assert whys[1].startswith("page map: its magic is 0x57492820")
